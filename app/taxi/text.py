"""Text as the taxi rules read it: folded to plain lower case, with every position kept."""

import unicodedata

_LETTERS = (*range(0x00A0, 0x0250), *range(0x1E00, 0x1F00), *range(0xFF01, 0xFF5F))
"""Latin letters with marks, and the full-width forms that some keyboards write."""

_MARKS: dict[str, str] = {
    "‘": "'", "’": "'", "´": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "−": "-",
    "\t": " ", "\r": " ", "\v": " ", "\f": " ", "\0": " ", "\u00a0": " ", "\u2007": " ", "\u202f": " ",
    "\u200b": " ", "\u200c": " ", "\u200d": " ", "\u2060": " ", "\ufeff": " ",
    "…": ".", "º": "°", "ª": "°",
}  # fmt: skip


def _fold_letter(letter: str) -> str:
    folded = unicodedata.normalize("NFKD", letter.lower())[:1].lower()
    if folded.isdecimal() and not letter.isdecimal():
        return letter  # «½» is no house number
    return folded if folded.isprintable() and folded else letter


_TABLE: dict[int, str] = {
    **{code: chr(code).lower() for code in range(0x41, 0x5B)},
    **{code: _fold_letter(chr(code)) for code in _LETTERS},
    **{ord(mark): plain for mark, plain in _MARKS.items()},
}


def fold(text: str) -> str:
    """Return ``text`` without case and accents and exactly as long, so that spans in one are spans in the other."""
    return text.translate(_TABLE)


def compose(text: str) -> str:
    """Return ``text`` with every letter and its accent as one character; some telephones send the two apart."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def blank(text: str, start: int, end: int) -> str:
    """Return ``text`` with the characters of a span replaced by spaces, and exactly as long."""
    return text[:start] + " " * (end - start) + text[end:]


def words(table: str) -> tuple[str, ...]:
    """Return the words of a table that is written as running text."""
    return tuple(table.split())


def word_set(table: str) -> frozenset[str]:
    """Return the words of a table whose order says nothing."""
    return frozenset(table.split())
