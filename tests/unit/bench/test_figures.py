"""What many measurements come to."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bench.figures import Slope, Spread, quantile, table

pytestmark = pytest.mark.unit


def test_a_spread_says_its_median_its_tail_and_its_ends() -> None:
    spread = Spread.of(range(1, 101))
    assert (spread.count, spread.median, spread.low, spread.high) == (100, 50.5, 1, 100)
    assert spread.p90 == pytest.approx(90.1)
    assert spread.p95 == pytest.approx(95, abs=0.1)


def test_of_nothing_there_is_nothing_to_say() -> None:
    assert Spread.of([]).cells() == ["0", "-", "-", "-", "-", "-"]
    assert Slope.of([], []) is None
    assert Slope.of([1, 1, 1], [1, 2, 3]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_within_the_sample(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert ordered[0] - 1e-6 <= quantile(ordered, share) <= ordered[-1] + 1e-6


@pytest.mark.parametrize("leak", [0.0, 0.5, 3.0])
def test_a_slope_is_found_within_its_interval(leak: float) -> None:
    noise = random.Random(1)
    minutes = [number / 6 for number in range(180)]
    slope = Slope.of(minutes, [100 + leak * minute + noise.gauss(0, 2) for minute in minutes])
    assert slope is not None
    assert slope.low < leak < slope.high
    assert slope.high - slope.low < 0.5


def test_a_wave_is_no_certain_slope() -> None:
    minutes = [number / 6 for number in range(60)]
    slope = Slope.of(minutes, [100 + (5 if number // 20 % 2 else 0) for number in range(60)])
    assert slope is not None
    assert slope.low < 0 < slope.high


def test_a_table_has_its_columns_under_each_other() -> None:
    assert table(("what", "n"), [["first", "1"], ["second", "200"]]).splitlines() == [
        "what      n",
        "-----------",
        "first     1",
        "second  200",
    ]
