"""When a ride is, on the clock and the calendar of Colombia. Pure but for loading the calendar."""

import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal

COLOMBIA = timezone(timedelta(hours=-5))
"""Civil time; the country has no daylight saving."""

Day = Literal["workday", "sunday", "holiday"]

_WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip
_FROM_NOW = re.compile(r"en (?P<count>\d+) (?P<unit>minuto|hora)s?")
_CLOCK = re.compile(r"(?:^| )(?P<hour>\d\d):(?P<minute>\d\d)$")
_DAY = re.compile(
    rf"(?P<today>hoy)|(?P<after>pasado mañana)|(?P<tomorrow>mañana)|el (?P<weekday>{'|'.join(_WEEKDAYS)})"
    rf"|el (?P<date>\d+) de (?P<month>{'|'.join(_MONTHS)})"
)
_SUNDAY = 6


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known of when a ride is; None where it is not known."""

    hour: int | None = None
    """0 to 23."""
    day: Day | None = None


def load_holidays() -> Container[date]:
    """Return the public holidays of Colombia, of any year.

    Source: the package ``holidays``. Imported here because it takes a fifth of a second; a server loads it
    when it starts, not in a rider's turn.
    """
    from holidays import country_holidays

    return country_holidays("CO", years=datetime.now(UTC).year)


def local_time(now_ms: int) -> datetime:
    """Return the time in Colombia at so many milliseconds since the epoch."""
    return datetime.fromtimestamp(now_ms / 1000, COLOMBIA)


def ride_moment(when: str | None, now: datetime, holidays: Container[date]) -> Moment:
    """Return when a ride is.

    Args:
        when: The pick-up time as it is kept (see ``Slots.when``); None is now.
        now: The local time.
        holidays: The public holidays.
    """
    if when is None or when == "ahora":
        return _at(now, holidays)
    if match := _FROM_NOW.fullmatch(when):
        count = int(match["count"])
        return _at(now + (timedelta(hours=count) if match["unit"] == "hora" else timedelta(minutes=count)), holidays)
    clock, said_day = _CLOCK.search(when), _DAY.match(when)
    day = _date(said_day, now.date()) if said_day else None
    hour = int(clock["hour"]) if clock else None
    if clock and said_day is None:
        is_over = (int(clock["hour"]), int(clock["minute"])) < (now.hour, now.minute)
        day = now.date() + timedelta(days=is_over)
    return Moment(hour, _kind(day, holidays) if day else None)


def _at(moment: datetime, holidays: Container[date]) -> Moment:
    return Moment(moment.hour, _kind(moment.date(), holidays))


def _kind(day: date, holidays: Container[date]) -> Day:
    if day in holidays:
        return "holiday"
    return "sunday" if day.weekday() == _SUNDAY else "workday"


def _date(said: re.Match[str], today: date) -> date | None:
    """Return the next day that is called so; None for a day that no calendar has."""
    if said["today"]:
        return today
    if said["tomorrow"] or said["after"]:
        return today + timedelta(days=1 if said["tomorrow"] else 2)
    if said["weekday"]:
        return today + timedelta(days=(_WEEKDAYS.index(said["weekday"]) - today.weekday() - 1) % 7 + 1)
    for year in (today.year, today.year + 1):
        try:
            day = date(year, _MONTHS.index(said["month"]) + 1, int(said["date"]))
        except ValueError:
            continue
        if day >= today:
            return day
    return None
