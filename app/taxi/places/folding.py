"""Folding of text for comparison, character by character, so that spans keep pointing into the original."""

import unicodedata
from typing import Final


def _fold_character(character: str) -> str:
    """One folded character for one: lower case, no diacritics; unknown scripts stay as they are."""
    if character in "ºª°":
        return "°"
    base = unicodedata.normalize("NFKD", character)[:1].lower()[:1]
    if base.isdecimal() and not character.isdecimal():
        return character  # "½" is no street number
    return base or character


class _Table(dict[int, str]):
    """Translation table filled on demand; bounded because there are finitely many code points in use."""

    def __missing__(self, code: int) -> str:
        folded = _fold_character(chr(code))
        if len(self) < 5000:
            self[code] = folded
        return folded


_TABLE: Final = _Table()


def fold(text: str) -> str:
    """Fold a text to lower case without accents, keeping its length.

    Args:
        text: anything, also with lone surrogates or control characters.

    Returns:
        A string of exactly the same length, so that an index into it is an index into ``text``.
    """
    return text.translate(_TABLE)
