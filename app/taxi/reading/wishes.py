"""What features and notes share: a thing is wished for, taken back, or only part of the name of a place."""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Mention(NamedTuple):
    """One wish in a sentence, as a span of it."""

    start: int
    end: int
    meaning: str
    """What is written down for it."""


class WishReading(NamedTuple):
    """What a sentence wishes for, each named once, in the order of its first mention."""

    wished: tuple[str, ...]
    removed: tuple[str, ...]
    """What the sentence takes back."""
    spans: tuple[tuple[int, int], ...]


_BEFORE_PLACE = re.compile(
    r"\b(?:veterinaria|tienda|almacen|local|frente a(?:l)?|lado de(?:l)?|diagonal a(?:l)?|cerca de(?:l)?|parque|"
    r"colegio|clinica|hospital|centro|barrio|plaza|casa|hogar|jardin|restaurante|edificio|salon|negocio"
    r"|fundacion|calle|de|del)\W+(?:(?:de|del|la|las|los|el)\W+)*$"
)

_TAKEN_BACK = re.compile(
    r"\b(?:(?:ya )?no (?!,)(?:(?:me|te|le|lo|se|yo|voy|vamos|va|a|llev\w+|traig\w+|tengo|necesit\w+|quiero|queremos|"
    r"es|sea|hace|falta|requiero|importa|uso|viajo|pido|pongas?|pedir|ir|van?|quiera|hay)\W+)*"
    r"|sin|quit\w+|borr\w+|elimin\w+|ni|olvid\w+|cancel\w+)\W{0,2}(?:(?:con|el|la|los|las|un|una|unos|unas|mi|mis|"
    r"lo|del?|ningun|ninguna|tanto|tanta|nota|a|que|para|hacia|de)\W+){0,4}$"
)
_TAKEN_BACK_AFTER = re.compile(r"^\W{0,2}(?:ya )?no\b(?=\W*$|\W*[,.;]|\W+(?:hace|es|va|necesito|quiero|llevo|mejor))")


def read_wishes(folded: str, mentions: Iterable[Mention]) -> WishReading:
    """Tell what is wished for from what is taken back; of several mentions of one thing the last one counts."""
    wanted: dict[str, bool] = {}
    spans: list[tuple[int, int]] = []
    for start, end, meaning in mentions:
        spans.append((start, end))
        wanted[meaning] = not (is_taken_back(folded, start) or _TAKEN_BACK_AFTER.search(folded[end : end + 30]))
    return WishReading(
        tuple(name for name, kept in wanted.items() if kept),
        tuple(name for name, kept in wanted.items() if not kept),
        tuple(spans),
    )


def is_taken_back(folded: str, start: int) -> bool:
    """Say whether the words before a position take back what starts there."""
    return _TAKEN_BACK.search(folded[max(0, start - 40) : start]) is not None


def is_part_of_place(before: str) -> bool:
    """Say whether the words before something make it part of a place («la tienda de mascotas»)."""
    return _BEFORE_PLACE.search(before) is not None


def table(entries: tuple[tuple[str, str], ...], kind: str) -> str:
    """Return one pattern for all entries of a table; its group says which, by kind and index."""
    return "|".join(f"(?P<{kind}{index}>{pattern})" for index, (pattern, _) in enumerate(entries))
