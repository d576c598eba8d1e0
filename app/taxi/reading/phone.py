"""A Colombian mobile number, written in digits or spoken."""

import re
from collections.abc import Iterator

from app.taxi.reading.numbers import NUMBERS

_PHONE = re.compile(
    r"(?<!\d)(?:\(?\+?57\)?[ .-]{0,2})?\(?(3\d{2})\)?[ .-]{0,3}(\d{1,4})[ .-]{0,2}(\d{1,4})(?:[ "
    r".-]{0,2}(\d{1,4}))?(?:[ .-]{0,2}(\d{1,2}))?(?!\d)",
    re.ASCII,
)
_HUNDREDS = {
    "cien": 1, "ciento": 1, "doscientos": 2, "trescientos": 3, "cuatrocientos": 4,
    "quinientos": 5, "seiscientos": 6, "setecientos": 7, "ochocientos": 8, "novecientos": 9,
}  # fmt: skip
_WORD = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")


def read_phone(folded: str) -> str | None:
    """Read a mobile number: digits in groups, or spoken one by one, in pairs and in hundreds."""
    for match in _PHONE.finditer(folded):
        digits = "".join(group for group in match.groups() if group)
        if len(digits) == 10:
            return digits
    run = ""
    for digits in _spoken_digits(folded):
        if digits:
            run += digits
        else:
            if len(run) == 10 and run.startswith("3"):
                return run
            run = ""
    return None


def _spoken_digits(folded: str) -> Iterator[str]:
    """Yield the digits of each number in turn, and an empty string where something else stands or the text ends."""
    words = _WORD.findall(folded)
    index = 0
    while index < len(words):
        word = words[index]
        value = int(word) if word.isdecimal() and len(word) < 11 else None
        if value is not None:
            yield word
        elif word in _HUNDREDS:
            following = NUMBERS.get(words[index + 1], 100) if index + 1 < len(words) else 100
            if following < 100 and following > 9:
                index += 1
                unit = _unit_after_y(words, index)
                index += 2 if unit else 0
                yield f"{_HUNDREDS[word] * 100 + following + unit}"
            else:
                yield f"{_HUNDREDS[word] * 100}"
        elif word in NUMBERS:
            unit = _unit_after_y(words, index) if NUMBERS[word] >= 30 else 0
            index += 2 if unit else 0
            yield f"{NUMBERS[word] + unit}"
        elif word not in ("-", ".", ","):
            yield ""
        index += 1
    yield ""


def _unit_after_y(words: list[str], index: int) -> int:
    """Return the unit in «treinta y cinco», or 0."""
    if index + 2 < len(words) and words[index + 1] == "y" and 0 < NUMBERS.get(words[index + 2], 0) < 10:
        return NUMBERS[words[index + 2]]
    return 0
