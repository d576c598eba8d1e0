"""The plan is the seed's, and gives nobody less than was promised."""

from itertools import islice
from typing import get_args

import pytest

from app.chaos.faults import POSTGRES_FAULTS, GlobalFault, plan_globals, plan_rider
from app.chaos.personas import make_rider, plan_wish
from app.chaos.report import percentiles

pytestmark = pytest.mark.unit

SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_is_the_same_storm_and_another_one_is_not(seed: int) -> None:
    def everything(of: int) -> list[object]:
        riders = [(plan_rider(of, number), plan_wish(of, number)) for number in range(50)]
        return [*riders, *islice(plan_globals(of, 3), 100)]

    assert everything(seed) == everything(seed)
    assert everything(seed) != everything(seed + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_rider_has_four_faults_or_more_that_their_transport_can_have(seed: int) -> None:
    plans = [plan_rider(seed, number) for number in range(500)]

    assert min(plan.count for plan in plans) >= 4
    for plan in plans:
        kinds = {fault.kind for fault in [*plan.lines.values(), plan.at_yes] if fault is not None}
        assert plan.transport == "websocket" or not kinds & {"cancel", "pause"}
    assert {plan.transport for plan in plans} == {"websocket", "sse"}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_kind_of_fault_comes_before_any_comes_a_third_time(seed: int) -> None:
    kinds = get_args(GlobalFault)
    pack = list(islice(plan_globals(seed, 3), len(kinds) + 3))

    assert {event.kind for event in pack} == set(kinds)
    assert {event.server for event in islice(plan_globals(seed, 3), 100)} == {0, 1, 2}
    assert not POSTGRES_FAULTS & {event.kind for event in islice(plan_globals(seed, 3, without=POSTGRES_FAULTS), 50)}


def test_a_rider_says_one_thing_at_a_time() -> None:
    wish = plan_wish(1, 1)
    rider = make_rider(wish, 1, 1)

    assert rider.next("").text == "Hola"  # type: ignore[union-attr]
    assert rider.next("¿En qué dirección te recogemos?").text == wish.address  # type: ignore[union-attr]


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentiles(range(1, 101)) == {"n": 100, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert percentiles([7.0]) == {"n": 1, "p50": 7.0, "p95": 7.0, "p99": 7.0, "max": 7.0}
    assert percentiles([])["p99"] == 0
