"""When the next piece is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.pace import Pace

pytestmark = pytest.mark.unit


def test_who_reads_at_once_is_sent_equal_pieces_on_a_schedule_that_does_not_drift() -> None:
    pace = Pace(characters=50, seconds=0.05, now=100)
    for number in range(1000):
        assert pace.due == pytest.approx(100 + number * 0.05)
        assert pace.size == 50
        pace.sent(began=pace.due + 0.007, now=pace.due + 0.012)


def test_who_reads_slowly_is_sent_fewer_and_longer_pieces_and_then_shorter_ones_again() -> None:
    pace = Pace(characters=50, seconds=0.05, now=0)
    sizes = []
    for took in (0.2, 0.3, 0.4, 0.5, 0.6, 0.03, 0, 0, 0, 0, 0):
        pace.sent(began=pace.due, now=pace.due + took)
        sizes.append(pace.size)

    assert sizes == [100, 200, 400, 800, 800, 800, 400, 200, 100, 50, 50]


def test_what_a_slow_reader_missed_is_not_sent_in_a_rush() -> None:
    pace = Pace(characters=50, seconds=0.05, now=0)
    pace.sent(began=0, now=30)

    assert pace.due == 30


@given(st.lists(st.floats(0, 2), max_size=50))
def test_as_much_is_sent_in_a_time_however_long_the_pieces_are(delays: list[float]) -> None:
    pace = Pace(characters=50, seconds=0.05, now=0)
    now, sent = 0.0, 0
    for took in delays:
        began = now = max(now, pace.due)
        sent += pace.size
        now += took
        pace.sent(began=began, now=now)

    assert pace.size <= 800
    assert sent <= 50 + 1000 * pace.due + 1
