"""The grade comes from what is stored."""

from typing import Any

import pytest

from app.evals.grading import Verdict, grade
from app.evals.scenario import Scenario

pytestmark = pytest.mark.unit

EXPECTED: dict[str, Any] = {"address": "Calle 72 #43-25", "neighborhood": "El Prado", "payment_method": "efectivo"}


def scenario(*expect: dict[str, Any]) -> Scenario:
    return Scenario.model_validate({"id": "x", "kind": "x", "rider": {"opening": "Hola"}, "expect": list(expect)})


def stored(number: str = "1", **changed: Any) -> dict[str, Any]:
    place = {"address": "Calle 72 #43-25", "neighborhood": "El Prado", "city": "Barranquilla", "detail": None}
    return {
        "booking_id": number,
        "status": "accepted",
        "pickup": place | changed.pop("pickup", {}),
        "destination": None,
        "payment_method": "efectivo",
        "observation": "Sin observaciones",
        "vehicle_features": [],
        "passenger_name": None,
        "passengers": None,
        "pickup_time": None,
    } | changed


def slots(verdict: Verdict) -> list[str]:
    return [slot.name for slot in verdict.wrong_slots]


def test_the_expected_booking_with_a_yes_is_a_success() -> None:
    verdict = grade(scenario(EXPECTED), [stored()], ["1"])
    assert verdict.success
    assert not verdict.wrong_dispatches


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"pickup": {"address": "Calle 73 #43-25"}}, "address"),
        ({"pickup": {"neighborhood": None}}, "neighborhood"),
        ({"pickup": {"city": "Soledad"}}, "city"),
        ({"pickup": {"detail": "Apto 1"}}, "detail"),
        ({"payment_method": "nequi"}, "payment_method"),
        ({"observation": "Pasajero lleva mascota"}, "observation"),
        ({"vehicle_features": ["parrilla"]}, "vehicle_features"),
        ({"destination": {"address": "Centro"}}, "destination"),
        ({"passenger_name": "Ana"}, "passenger_name"),
        ({"passengers": 2}, "passengers"),
        ({"pickup_time": "07:00"}, "pickup_time"),
        ({"status": "cancelled"}, "status"),
    ],
)
def test_every_slot_is_compared_also_where_nothing_was_expected(changed: dict[str, Any], name: str) -> None:
    verdict = grade(scenario(EXPECTED), [stored(**changed)], ["1"])
    assert slots(verdict) == [name]
    assert not verdict.success


@pytest.mark.parametrize(
    ("expected", "note", "is_right"),
    [
        ({}, None, True),
        ({}, "Sin observaciones.", True),
        ({}, "Ninguna", True),
        ({"observation": "mascota"}, "El pasajero lleva MASCOTA", True),
        ({"observation": ["niños", "mercado"]}, "Viaja con niños", False),
        ({"observation_equals": "Pasajero lleva mascota"}, "Pasajero lleva mascota", True),
        ({"observation_equals": "Pasajero lleva mascota"}, "Pasajero lleva una mascota", False),
    ],
)
def test_the_note_is_held_to_what_it_must_contain(expected: dict[str, Any], note: str | None, is_right: bool) -> None:
    assert grade(scenario(EXPECTED | expected), [stored(observation=note)], ["1"]).success is is_right


def test_a_missing_taxi_is_no_success_and_no_wrong_dispatch() -> None:
    verdict = grade(scenario(EXPECTED), [], [])
    assert (verdict.success, verdict.missing, verdict.wrong_dispatches) == (False, 1, [])


def test_wrong_dispatches_are_told_apart() -> None:
    assert grade(scenario(EXPECTED), [stored()], []).wrong_dispatches == ["sent without the rider's yes"]
    assert grade(scenario(), [stored()], ["1"]).wrong_dispatches == ["no taxi was wanted"]
    twice = grade(scenario(EXPECTED), [stored("1"), stored("2")], ["1", "2"])
    assert twice.wrong_dispatches == ["a taxi too many"]
    far = grade(scenario(EXPECTED), [stored(pickup={"city": "Malambo"})], ["1"])
    assert far.wrong_dispatches == ["outside coverage: Malambo"]
