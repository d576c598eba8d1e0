"""When a ride is, on the clock and the calendar of Colombia."""

from datetime import date, datetime

import pytest

from app.taxi.moments import COLOMBIA, Moment, load_holidays, local_time, ride_moment

pytestmark = pytest.mark.unit

HOLIDAYS = load_holidays()
SATURDAY = datetime(2026, 1, 10, 15, 30, tzinfo=COLOMBIA)
"""The day before a Sunday, two before Reyes Magos, which is kept on Monday the 12th."""


@pytest.mark.parametrize(
    ("when", "moment"),
    [
        (None, Moment(15, "workday")),
        ("ahora", Moment(15, "workday")),
        ("en 29 minutos", Moment(15, "workday")),
        ("en 30 minutos", Moment(16, "workday")),
        ("en 8 horas", Moment(23, "workday")),
        ("en 9 horas", Moment(0, "sunday")),
        ("15:30", Moment(15, "workday")),
        ("15:29", Moment(15, "sunday")),
        ("23:00", Moment(23, "workday")),
        ("07:00", Moment(7, "sunday")),
        ("hoy 22:00", Moment(22, "workday")),
        ("mañana 07:00", Moment(7, "sunday")),
        ("pasado mañana 07:00", Moment(7, "holiday")),
        ("mañana", Moment(None, "sunday")),
        ("mañana a las 7:00", Moment(None, "sunday")),
        ("hoy en la noche", Moment(None, "workday")),
        ("el lunes 08:00", Moment(8, "holiday")),
        ("el sábado 08:00", Moment(8, "workday")),
        ("el domingo", Moment(None, "sunday")),
        ("el 20 de julio 10:00", Moment(10, "holiday")),
        ("el 9 de enero 10:00", Moment(10, "workday")),
        ("el 31 de febrero 10:00", Moment(10, None)),
        ("a las 7:00", Moment()),
        ("en un rato", Moment()),
        ("en la noche", Moment()),
        ("más tarde", Moment()),
    ],
)
def test_a_ride_has_the_hour_and_the_day_that_are_known_for_certain(when: str | None, moment: Moment) -> None:
    assert ride_moment(when, SATURDAY, HOLIDAYS) == moment


def test_the_clock_is_five_hours_behind_greenwich_all_year() -> None:
    assert local_time(1_767_243_600_000) == datetime(2026, 1, 1, 0, 0, tzinfo=COLOMBIA)
    assert local_time(1_782_882_000_000) == datetime(2026, 7, 1, 0, 0, tzinfo=COLOMBIA)


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 4, 3), date(2026, 12, 25), date(2027, 1, 11)])
def test_the_calendar_knows_fixed_moved_and_church_holidays_of_any_year(day: date) -> None:
    assert day in HOLIDAYS
