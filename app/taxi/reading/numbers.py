"""Spoken numbers of people, minutes, hours and telephones, in words or digits."""

from app.taxi.text import words

_UNITS = words("""
cero un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis diecisiete dieciocho
diecinueve veinte
""")
_TWENTIES = words("""
veintiun veintidos veintitres veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve
""")
_TENS = {"treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60, "setenta": 70, "ochenta": 80, "noventa": 90}

NUMBERS: dict[str, int] = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: value for value, word in enumerate(_TWENTIES, start=21)},
    "uno": 1, "una": 1, "veintiuno": 21, "veintiuna": 21, "ventiuno": 21, "ventidos": 22, "venticinco": 25, **_TENS,
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
}  # fmt: skip
"""Spanish number words up to ninety; «treinta y cinco» is read by `number`."""


def _longest_first(word: str) -> tuple[int, str]:
    return -len(word), word


NUMBER = (
    r"(?:\d{1,3}|(?:"
    + "|".join(sorted(_TENS, key=_longest_first))
    + r")(?: y (?:un[oa]?|dos|tres|cuatro|cinco|seis|siete|ocho|nueve))?|"
    + "|".join(sorted(NUMBERS.keys() - _TENS.keys(), key=_longest_first))
    + r")\b"
)
"""A number as digits or words, to be used inside other patterns."""


def number(words: str) -> int:
    """Return the value of what `NUMBER` matched."""
    return int(words) if words.isdecimal() else sum(NUMBERS[word] for word in words.split() if word != "y")
