"""A time of day whose half was not said: «a las 7:00» is in the morning or in the evening. Pure.

What is open is settled by what the rider said before or says next, or by the clock where one half is over;
otherwise the rider is asked.
"""

import re
from datetime import datetime

from app.taxi.phrases import Language
from app.taxi.reading.when import written_clock
from app.taxi.text import fold

_OPEN = re.compile(r"(?:(?P<day>.+) )?a las? (?P<hour>\d{1,2}):(?P<minute>\d\d)")
_CLOCK = re.compile(r"(?:(?P<day>.+) )?(?P<hour>\d\d):\d\d")
_DAY = re.compile(r"hoy|pasado mañana|mañana|el (?:\w+|\d+ de \w+)")
_PART = re.compile(r"(?:^| )en la (?P<part>mañana|tarde|noche|madrugada)$")
_SAID_PART = re.compile(
    r"\b(?P<lead>(?:de|en|por) la |del? (?=medi)|a (?:la )?(?=medi)|al (?=medio)|esta |in the |at )?"
    r"(?P<part>mananita|manj?ana|madrugada|tardecita|tarde|noche|medio ?dia|media ?noche|a\.? ?m\b|p\.? ?m\b|"
    r"morning|afternoon|evening|night|noon|midnight)\b"
)
_GREETED = re.compile(
    r"\b(?:buen[oa]s?|good|feliz|lindo|linda) (?:dias?|tardes?|noches?|morning|afternoon|evening|night)\b"
)
_PARTS = {
    "mananita": "manana", "manana": "manana", "manjana": "manana", "madrugada": "madrugada", "am": "am",
    "morning": "am",
    "tardecita": "tarde", "tarde": "tarde", "pm": "pm", "mediodia": "pm", "afternoon": "pm", "evening": "pm",
    "noon": "pm", "noche": "noche", "medianoche": "noche", "night": "noche", "midnight": "noche",
}  # fmt: skip


def is_open(when: str | None) -> bool:
    """Return whether a pick-up time lacks its half of the day."""
    return when is not None and _OPEN.fullmatch(when) is not None


def next_time(known: str | None, said: str | None, heard: str, now: datetime) -> str | None:
    """Return the pick-up time after one more sentence.

    Args:
        known: The time so far.
        said: What the sentence says about when (see ``Slots.when``).
        heard: The sentence.
        now: The local time.
    """
    if known is not None and is_open(known) and not _has_clock(said) and (part := _part(heard)):
        return _with_part(known, part)
    if said is None or not _has_clock(said):
        return said or known
    if known is not None and _day(said) is None and (day := _day(known)) is not None:
        said = f"{day} {said}"
    if not is_open(said):
        return said
    part = _part(heard, of_a_day=True) or _part_of(known) or _part_to_come(said, now)
    return _with_part(said, part) if part else said


def choices(when: str, language: Language) -> tuple[str, str]:
    """Return the two times that an open one may be, as they are said."""
    match = _OPEN.fullmatch(when)
    assert match is not None
    hour, minute = int(match["hour"]), match["minute"]
    if language == "en":
        halves = ("at midnight", "at noon") if hour == 12 else ("in the morning", "in the evening")
        return f"{hour}:{minute} {halves[0]}", f"{hour}:{minute} {halves[1]}"
    halves = (
        ("de la medianoche", "del mediodía") if hour == 12
        else ("de la madrugada", "de la tarde") if hour < 5
        else ("de la mañana", "de la tarde") if hour < 6
        else ("de la mañana", "de la noche")
    )  # fmt: skip
    time = f"a la{'s' if hour > 1 else ''} {hour}:{minute}"
    return f"{time} {halves[0]}", f"{time} {halves[1]}"


def _has_clock(when: str | None) -> bool:
    return when is not None and (is_open(when) or _CLOCK.fullmatch(when) is not None)


def _day(when: str) -> str | None:
    match = _DAY.match(when)
    return match.group() if match else None


def _part(heard: str, *, of_a_day: bool = False) -> str | None:
    """Return the part of the day in a sentence; a greeting is none.

    Args:
        heard: The sentence.
        of_a_day: Only «de la mañana»; by itself «mañana» may be tomorrow.
    """
    for match in _SAID_PART.finditer(_GREETED.sub(" ", fold(heard))):
        if match["lead"] or not of_a_day:
            return _PARTS[match["part"].replace(" ", "").replace(".", "")]
    return None


def _part_of(known: str | None) -> str | None:
    """Return the part of the day that was said before, or that the time so far lies in."""
    if known is None:
        return None
    if match := _PART.search(known):
        return fold(match["part"])
    match = _CLOCK.fullmatch(known)
    return None if match is None else "am" if int(match["hour"]) < 12 else "pm"


def _part_to_come(when: str, now: datetime) -> str | None:
    """Return the half that is still to come today, where the other one is over."""
    match = _OPEN.fullmatch(when)
    if match is None or match["day"] not in (None, "hoy"):
        return None
    time = (int(match["hour"]) % 12, int(match["minute"]))
    is_over = {"am": time < (now.hour, now.minute), "pm": (time[0] + 12, time[1]) < (now.hour, now.minute)}
    return "pm" if is_over["am"] and not is_over["pm"] else None


def _with_part(when: str, part: str) -> str:
    match = _OPEN.fullmatch(when)
    assert match is not None
    clock = written_clock(int(match["hour"]), int(match["minute"]), part)
    return f"{match['day']} {clock}" if match["day"] else clock
