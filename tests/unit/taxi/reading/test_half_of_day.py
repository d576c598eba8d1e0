"""A time of day whose half was not said."""

from datetime import datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.moments import COLOMBIA
from app.taxi.reading import choices, is_open, next_time, read_slots

pytestmark = pytest.mark.unit

DAWN = datetime(2026, 1, 13, 5, 0, tzinfo=COLOMBIA)
AFTERNOON = datetime(2026, 1, 13, 15, 0, tzinfo=COLOMBIA)
NIGHT = datetime(2026, 1, 13, 21, 0, tzinfo=COLOMBIA)


def hear(*sentences: str, now: datetime = DAWN) -> str | None:
    known = None
    for heard in sentences:
        known = next_time(known, read_slots(heard).when, heard, now)
    return known


@pytest.mark.parametrize(
    ("sentences", "when"),
    [
        (["a las 7:00"], "a las 7:00"),
        (["mañana a las siete"], "mañana a las 7:00"),
        (["a las 7:00", "de la noche"], "19:00"),
        (["a las 7:00", "en la mañana por favor"], "07:00"),
        (["a las 7:00", "mañana"], "07:00"),
        (["a las 7:00", "a las 7 pm"], "19:00"),
        (["a las 7:00", "7 PM"], "19:00"),
        (["mañana a las 7", "in the evening"], "mañana 19:00"),
        (["mañana a las 7", "a las 7 de la noche"], "mañana 19:00"),
        (["mañana a las 12", "del mediodía"], "mañana 12:00"),
        (["mañana a las 12", "a medianoche"], "mañana 00:00"),
        (["mañana a la 1", "de la madrugada"], "mañana 01:00"),
        (["mañana a las 12", "a las 12 de la medianoche"], "mañana 00:00"),
        (["mañana en la noche", "a las 8"], "mañana 20:00"),
        (["mañana a las 7 de la noche", "mejor a las 8"], "mañana 20:00"),
        (["mañana a las 7", "ahora mismo"], "ahora"),
        (["mañana a las 7", "buenas noches"], "mañana a las 7:00"),
        (["mañana a las 7", "en efectivo"], "mañana a las 7:00"),
        (["mañana a las 7", "mejor el lunes a las 8 de la mañana"], "el lunes 08:00"),
        (["en 30 minutos", "en efectivo"], "en 30 minutos"),
    ],
)
def test_what_is_said_before_or_next_settles_it_and_nothing_else_does(sentences: list[str], when: str) -> None:
    assert hear(*sentences) == when


@pytest.mark.parametrize(
    ("now", "sentence", "when"),
    [
        (AFTERNOON, "a las 7", "19:00"),
        (AFTERNOON, "a las 3", "15:00"),
        (AFTERNOON, "hoy a las 7", "hoy 19:00"),
        (AFTERNOON, "mañana a las 7", "mañana a las 7:00"),
        (AFTERNOON, "a las 2", "a las 2:00"),
        (NIGHT, "a las 7", "a las 7:00"),
        (NIGHT, "a las 11", "23:00"),
        (DAWN, "a las 7", "a las 7:00"),
        (DAWN, "a las 12", "12:00"),
    ],
)
def test_the_clock_settles_it_where_one_half_is_over_today(now: datetime, sentence: str, when: str) -> None:
    assert hear(sentence, now=now) == when


@pytest.mark.parametrize(
    ("when", "language", "first", "second"),
    [
        ("mañana a las 7:00", "es", "a las 7:00 de la mañana", "a las 7:00 de la noche"),
        ("a las 5:30", "es", "a las 5:30 de la mañana", "a las 5:30 de la tarde"),
        ("a la 1:00", "es", "a la 1:00 de la madrugada", "a la 1:00 de la tarde"),
        ("a las 12:00", "es", "a las 12:00 de la medianoche", "a las 12:00 del mediodía"),
        ("a las 7:00", "en", "7:00 in the morning", "7:00 in the evening"),
    ],
)
def test_the_two_halves_are_said_as_people_do(
    when: str, language: Literal["es", "en"], first: str, second: str
) -> None:
    assert choices(when, language) == (first, second)


@given(hour=st.integers(1, 12), minute=st.integers(0, 59), half=st.sampled_from([0, 1]))
def test_each_choice_read_back_is_settled(hour: int, minute: int, half: int) -> None:
    when = f"mañana a la{'s' if hour > 1 else ''} {hour}:{minute:02d}"

    settled = next_time(when, read_slots(choices(when, "es")[half]).when, choices(when, "es")[half], DAWN)

    assert settled == f"mañana {hour % 12 + 12 * half:02d}:{minute:02d}"
    assert not is_open(settled)
