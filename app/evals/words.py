"""Words of agents and riders, made comparable. Independent of the clerk's own reading: a judge shares no rules."""

import re
import unicodedata

_TOKEN = re.compile(r"[a-z0-9]+")
_NUMBER = re.compile(r"\d+[a-z]?\d*")
_SPACED_LETTER = re.compile(r"(\d) ([a-z])\b")
"""«51 B», as some write «51B»."""


def plain(text: str) -> str:
    """Return a text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def tokens(text: str) -> list[str]:
    """Return the plain words and numbers of a text."""
    return _TOKEN.findall(plain(text))


def mentions(text: str, name: str) -> bool:
    """Return whether the words of a name stand in a text, in a row."""
    return f" {' '.join(tokens(name))} " in f" {' '.join(tokens(text))} "


def numbers(text: str) -> list[str]:
    """Return the numbers of an address with their letters: «72», «43B», «42B1»."""
    return _NUMBER.findall(plain(text))


def shows_address(text: str, address: str) -> bool:
    """Return whether a text shows an address: all its numbers, or its name where it has none."""
    wanted = numbers(address)
    if not wanted:
        return mentions(text, address)
    apart, joined = numbers(text), numbers(_SPACED_LETTER.sub(r"\1\2", plain(text)))
    return all(max(apart.count(number), joined.count(number)) >= wanted.count(number) for number in wanted)
