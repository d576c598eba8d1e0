"""Spoken Spanish numbers and letters, as a speech recogniser writes them, into digits.

The grammar is that of a street number: cardinals up to 9,999, leading zeros ("cero cinco" is 05), the ordinals that
name streets ("carrera séptima"), and names of letters ("be", "jota", "doble a"). Pure: text in, text out.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import OSA

from app.taxi.places.sounds import sound_key
from app.taxi.text import fold

UNITS: Final[dict[str, int]] = {
    "uno": 1, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9,
}  # fmt: skip
_SHORT_ONE: Final = {"un": 1, "una": 1}
_TEENS: Final[dict[str, int]] = {
    "diez": 10, "once": 11, "doce": 12, "trece": 13, "catorce": 14, "quince": 15,
    "dieciseis": 16, "diesiseis": 16, "dieciceis": 16, "diecisiete": 17, "diesisiete": 17,
    "dieciocho": 18, "diesiocho": 18, "diecinueve": 19, "diesinueve": 19, "veinte": 20, "vente": 20,
}  # fmt: skip
_TENS: Final[dict[str, int]] = {
    "treinta": 30, "trenta": 30, "cuarenta": 40, "cincuenta": 50, "sincuenta": 50, "sesenta": 60, "secenta": 60,
    "setenta": 70, "ochenta": 80, "chenta": 80, "noventa": 90,
}  # fmt: skip
_HUNDREDS: Final[dict[str, int]] = {
    "ciento": 100, "siento": 100, "cientos": 100, "doscientos": 200, "docientos": 200, "trescientos": 300,
    "trecientos": 300, "cuatrocientos": 400, "quinientos": 500, "seiscientos": 600, "seicientos": 600,
    "setecientos": 700, "sietecientos": 700, "ochocientos": 800, "novecientos": 900, "nuevecientos": 900,
}  # fmt: skip
ORDINALS: Final[dict[str, int]] = {
    "primera": 1, "segunda": 2, "tercera": 3, "cuarta": 4, "quinta": 5, "sexta": 6, "septima": 7, "octava": 8,
    "novena": 9, "decima": 10,
}  # fmt: skip
LETTERS: Final[dict[str, str]] = {
    "be": "B", "be larga": "B", "ve": "B", "ve corta": "V", "ve chica": "V", "ce": "C", "se": "C", "efe": "F",
    "ge": "G", "hache": "H", "ache": "H", "jota": "J", "ka": "K",
    "ele": "L", "eme": "M", "ene": "N", "pe": "P", "cu": "Q", "erre": "R", "ere": "R", "ese": "S", "te": "T",
    "uve": "V", "equis": "X", "zeta": "Z",
}  # fmt: skip
"""Names of letters that are not ordinary words beside a number ("de", "a", "y" are read only as single letters).
"Ce" and "se" sound alike, as "be" and "ve" do; the city's streets have a B and no V, which is said "ve corta" where it
is meant."""


def _glued_forms() -> dict[str, int]:
    """Words that recognisers and riders write in one piece: veintidós, ventidos, treintaidos, treinta-y-dos glued."""
    forms: dict[str, int] = {}
    for unit, value in (UNITS | {"un": 1}).items():
        for head in ("veinti", "venti", "veinte", "beinti"):
            forms[head + unit] = 20 + value
        for tens, base in _TENS.items():
            for joint in ("i", "y"):
                forms[tens + joint + unit] = base + value
    return forms


_SHORTEST_BY_SOUND: Final = 4
"""Letters; shorter words are too much alike."""
_SMALL: Final[dict[str, int]] = _TEENS | _glued_forms()
_NUMBERS: Final = frozenset([*UNITS, *_SMALL, *_TENS, *_HUNDREDS])
_BY_SOUND: Final = {sound_key(word): word for word in sorted(_NUMBERS) if len(word) >= _SHORTEST_BY_SOUND}
_HALVES: Final = {"senta": "sesenta", "centa": "sesenta", "tenta": "setenta"}
"""What recognisers write after «se»: "se senta y dos"."""
_JOINED: Final = {
    word: (unit, "ciento")
    for word, value in _HUNDREDS.items()
    for unit, count in UNITS.items()
    if value == 100 * count > 100
} | {"doce": ("dos", "ce"), "trece": ("tres", "ce")}


def joined(word: str, before: Sequence[str]) -> tuple[str, str] | None:
    """Return the two words that a recogniser made one of, where no number can have it; None elsewhere.

    Args:
        word: a folded word.
        before: the two words before it.

    Returns:
        "dos" and "ciento" for the "doscientos" of "ochenta y doscientos", "dos" and "ce" for that of "cuarenta y doce".
    """
    is_after_tens = len(before) == 2 and before[0] in _TENS and before[1] in {"y", "i"}
    return (_JOINED.get(word) or _JOINED.get(f"{word}s")) if is_after_tens else None


@lru_cache(maxsize=4096)
def numeral(word: str, before: str = "") -> str:
    """Return the number that a misspelt word means, or the word.

    Args:
        word: a folded word.
        before: the word before it.

    Returns:
        "veintiseis" for "veinticeis", which sound the same; "cincuenta" for "cinquenta": a multiple of ten one slip
        away, of the same first letter, and no other is as near.
    """
    if before == "se" and word in _HALVES:
        return _HALVES[word]
    if word in _NUMBERS:
        return word
    if len(word) >= _SHORTEST_BY_SOUND and (same := _BY_SOUND.get(sound_key(word))) is not None:
        return same
    if not 6 <= len(word) <= 10 or word in _TENS or word in ORDINALS:
        return word
    near = [tens for tens in _TENS if tens[0] == word[0] and OSA.distance(tens, word, score_cutoff=1) <= 1]
    return near[0] if len({_TENS[tens] for tens in near}) == 1 else word


def _hundreds_glued(word: str) -> int | None:
    """Value of "cientodós", "cientoveinte" or "doscientosdiez" written as one word; None otherwise."""
    for head, base in _HUNDREDS.items():
        if word.startswith(head) and len(word) > len(head):
            rest = word[len(head) :]
            value = UNITS.get(rest) or _SMALL.get(rest) or _TENS.get(rest)
            if value is not None:
                return base + value
    return None


def _below_hundred(words: Sequence[str], start: int) -> tuple[int, int] | None:
    """Read 1..99 at ``start``; return (value, next index)."""
    if start >= len(words):
        return None
    word = words[start]
    following = words[start + 1] if start + 1 < len(words) else ""
    last = words[start + 2] if start + 2 < len(words) else ""
    if word in UNITS:
        return UNITS[word], start + 1
    joined = _TENS.get(word) or {"diez": 10, "veinte": 20}.get(word)
    if joined is not None:
        unit = UNITS.get(last) or _SHORT_ONE.get(last)
        if following in {"y", "i"} and unit is not None and not (joined == 10 and unit < 6):
            return joined + unit, start + 3
        return joined, start + 1
    if word in {"veinti", "venti"} and following in UNITS:
        return 20 + UNITS[following], start + 2
    if word in _SMALL:
        return _SMALL[word], start + 1
    return None


def _below_thousand(words: Sequence[str], start: int) -> tuple[int, int] | None:
    """Read 1..999 at ``start``; return (value, next index)."""
    if start >= len(words):
        return None
    word = words[start]
    if word == "cien":
        return 100, start + 1
    if word in _HUNDREDS:
        rest = _below_hundred(words, start + 1)
        return (_HUNDREDS[word] + rest[0], rest[1]) if rest else (_HUNDREDS[word], start + 1)
    if word.startswith(("cien", "sien", "dos", "doc", "tre", "cua", "qui", "sei", "set", "sie", "och", "nov", "nue")):
        glued = _hundreds_glued(word)
        if glued is not None:
            return glued, start + 1
    return _below_hundred(words, start)


def read_number(words: Sequence[str], start: int = 0) -> tuple[str, int] | None:
    """Read one spoken number.

    Args:
        words: folded words (lower case, no accents), one an item.
        start: where to begin.

    Returns:
        The digits and the index after the number, or None when no number starts there. Digits keep a spoken
        leading zero: ("cero", "cinco") is "05".
    """
    if start >= len(words):
        return None
    zeros = 0
    while start + zeros < len(words) and words[start + zeros] == "cero" and zeros < 4:
        zeros += 1
    begin = start + zeros
    if zeros:
        unit = UNITS.get(words[begin]) if begin < len(words) else None
        return ("0" * zeros + str(unit), begin + 1) if unit is not None else ("0" * zeros, begin)
    head = (1, start) if words[start] == "mil" else _below_thousand(words, start)
    if head is None:
        return None
    value, after = head
    if value < 10 and after < len(words) and words[after] == "mil":
        rest = _below_thousand(words, after + 1)
        return (str(value * 1000 + rest[0]), rest[1]) if rest else (str(value * 1000), after + 1)
    return str(value), after


def read_letters(words: Sequence[str], start: int = 0) -> tuple[str, int] | None:
    """Read a letter as people say it: "b", "be", "jota", "doble a".

    Args:
        words: folded words.
        start: where to begin.

    Returns:
        The capital letters and the index after them, or None. The single words "y", "o" and "u" are conjunctions.
    """
    if start >= len(words):
        return None
    word = words[start]
    if word == "doble" and start + 1 < len(words):
        single = read_letters(words, start + 1)
        return (single[0] * 2, single[1]) if single and len(single[0]) == 1 else None
    if len(word) == 1 and word.isascii() and word.isalpha() and word not in "you":
        return word.upper(), start + 1
    if word in LETTERS:
        following = words[start + 1] if start + 1 < len(words) else ""
        long_name = LETTERS.get(f"{word} {following}")
        return (long_name, start + 2) if long_name else (LETTERS[word], start + 1)
    return None


_WORD: Final = re.compile(r"[a-z]+|\d+|[^\sa-z\d]")


def spoken_to_digits(text: str) -> str:
    """Rewrite the numbers and street letters of a text in digits.

    Args:
        text: for example "cuarenta y dos b uno sesenta y uno".

    Returns:
        The same text folded, with digits: "42B1 61". A letter after a number is glued to it, and a number from 1 to 10
        right after that letter too (the city writes 42B1), unless the letter is separated by other words.
    """
    words = _WORD.findall(fold(text))
    out: list[str] = []
    position = 0
    after_number = False
    while position < len(words):
        number = (words[position], position + 1) if words[position].isdigit() else read_number(words, position)
        if number is not None:
            digits, position = number
            letter = read_letters(words, position)
            if letter is not None:
                digits, position = digits + letter[0], letter[1]
                suffix = read_number(words, position)
                if suffix is not None and not suffix[0].startswith("0") and int(suffix[0]) <= 10:
                    digits, position = digits + suffix[0], suffix[1]
            out.append(digits)
            after_number = True
            continue
        word = words[position]
        out.append("-" if after_number and word in {"guion", "raya"} else word)
        after_number = False
        position += 1
    return " ".join(out).replace(" - ", "-")
