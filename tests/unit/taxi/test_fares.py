"""The fare table and what is estimated from it."""

import dataclasses
import json
from datetime import datetime
from importlib import resources
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.taxi.fares import Amount, Estimate, Tariff, day_in_words, estimate_fare, explain, load_tariff, pesos
from app.taxi.moments import COLOMBIA, Moment, load_holidays, ride_moment

pytestmark = pytest.mark.unit


def estimate(
    tariff: Tariff | None = None,
    *,
    hour: int | None = 10,
    holiday: bool = False,
    airport: bool = False,
    terminal: bool = False,
    distance_km: float | None = 2.0,
) -> Estimate:
    return estimate_fare(
        tariff or load_tariff(),
        moment=Moment(hour, "holiday" if holiday else "workday"),
        airport=airport,
        terminal=terminal,
        distance_km=distance_km,
    )


def with_per_km(cop: int) -> Tariff:
    return dataclasses.replace(load_tariff(), per_km=Amount(cop, "2026-01-01", "Tarjeta de control", "found"))


def test_every_amount_is_dated_and_sourced_or_said_to_be_unknown() -> None:
    table = json.loads(resources.files("app.taxi").joinpath("data", "fares.json").read_text(encoding="utf-8"))

    for entry in table["in_force"].values():
        value = entry.get("cop", entry.get("km"))
        assert entry["status"] in {"found", "unverified", "unknown"}
        assert (value is None) == (entry["status"] == "unknown")
        assert value is None or (entry["date"] and entry["source"])


def test_a_short_ride_by_day_costs_the_minimum() -> None:
    found = estimate()

    assert (found.low_cop, found.high_cop) == (8000, 8000)
    assert found.lines == (("minimum", 8000),)
    assert found.date == "2025-10-22"
    assert "$8.000 (dato de octubre de 2025)" in explain(load_tariff(), found)


@pytest.mark.parametrize(
    ("hour", "holiday", "low", "high"),
    [
        (10, False, 8000, 8000),
        (10, True, 9800, 9800),
        (23, False, 9800, 9800),
        (2, False, 9800, 9800),
        (23, True, 9800, 9800),
        (19, False, 8000, 9800),
        (5, False, 8000, 9800),
        (None, False, 8000, 9800),
        (None, True, 9800, 9800),
        (99, False, 8000, 9800),
    ],
)
def test_night_and_holiday_add_one_surcharge_and_doubtful_hours_a_range(
    hour: int | None, holiday: bool, low: int, high: int
) -> None:
    found = estimate(hour=hour, holiday=holiday)

    assert (found.low_cop, found.high_cop) == (low, high)


def test_airport_and_terminal_are_added_with_the_year_they_were_published() -> None:
    found = estimate(airport=True, terminal=True)

    assert found.low_cop == 8000 + 4900 + 1000
    assert found.date == "2021-02-01"
    assert found.approximate
    assert "febrero de 2021" in explain(load_tariff(), found)


@pytest.mark.parametrize("distance", [None, 12.0, -1.0, float("nan"), float("inf")])
def test_the_upper_end_stays_open_where_the_price_of_a_kilometre_is_unknown(distance: float | None) -> None:
    found = estimate(distance_km=distance)

    assert found.high_cop is None
    assert found.approximate
    assert "no tengo publicado el valor por kilómetro" in explain(load_tariff(), found)


def test_a_tariff_with_a_price_per_kilometre_closes_the_upper_end() -> None:
    found = estimate(with_per_km(2000), distance_km=5.5)

    assert (found.low_cop, found.high_cop) == (12000, 12000)
    assert ("distance", 4000) in found.lines


def test_an_unknown_surcharge_is_named_and_never_invented() -> None:
    tariff = dataclasses.replace(load_tariff(), airport=Amount(None, None, None, "unknown"))

    found = estimate(tariff, airport=True)

    assert (found.low_cop, found.high_cop) == (8000, None)
    assert "No tengo el valor de: recargo de aeropuerto" in explain(tariff, found)


def test_without_a_minimum_no_amount_is_pretended() -> None:
    tariff = dataclasses.replace(load_tariff(), minimum=Amount(None, None, None, "unknown"))

    found = estimate(tariff)

    assert found.high_cop is None
    assert "No tengo el valor vigente" in explain(tariff, found)


def test_a_rider_is_always_told_who_has_the_last_word() -> None:
    assert "antes de subir" in explain(load_tariff(), estimate())


@pytest.mark.parametrize(("amount", "written"), [(0, "$0"), (900, "$900"), (8000, "$8.000"), (1234567, "$1.234.567")])
def test_pesos_are_written_with_points(amount: int, written: str) -> None:
    assert pesos(amount) == written


@pytest.mark.parametrize(
    ("date", "written"), [("2025-10-22", "octubre de 2025"), ("2018-09", "septiembre de 2018"), ("2008", "2008")]
)
def test_dates_are_said_by_month(date: str, written: str) -> None:
    assert day_in_words(date) == written


@given(
    hour=st.none() | st.integers(-5, 30),
    holiday=st.booleans(),
    airport=st.booleans(),
    terminal=st.booleans(),
    distance=st.none() | st.floats(),
    per_km=st.none() | st.integers(100, 5000),
)
def test_an_estimate_is_the_sum_of_its_lines_and_never_upside_down(
    hour: int | None, holiday: bool, airport: bool, terminal: bool, distance: float | None, per_km: int | None
) -> None:
    tariff = with_per_km(per_km) if per_km else load_tariff()

    found = estimate(tariff, hour=hour, holiday=holiday, airport=airport, terminal=terminal, distance_km=distance)

    assert found.low_cop == sum(cop for _, cop in found.lines)
    assert found.high_cop is None or found.high_cop >= found.low_cop
    assert all((explain(tariff, found), explain(tariff, found, "en"), found.source, found.date))


@pytest.mark.parametrize(
    ("clock", "low", "included"),
    [
        ("2026-01-09T21:59", 8000, {"minimum"}),
        ("2026-01-09T22:00", 9800, {"minimum", "night"}),
        ("2026-01-10T03:59", 9800, {"minimum", "night"}),
        ("2026-01-10T04:00", 8000, {"minimum"}),
        ("2026-01-10T12:00", 8000, {"minimum"}),
        ("2026-01-11T00:00", 9800, {"minimum", "night"}),
        ("2026-01-11T12:00", 9800, {"minimum", "sunday"}),
        ("2026-01-12T12:00", 9800, {"minimum", "holiday"}),
        ("2026-01-12T21:59", 9800, {"minimum", "holiday"}),
        ("2026-01-12T22:00", 9800, {"minimum", "night"}),
        ("2026-01-13T12:00", 8000, {"minimum"}),
    ],
)
def test_the_surcharge_begins_and_ends_with_the_minute(clock: str, low: int, included: set[str]) -> None:
    now = datetime.fromisoformat(clock).replace(tzinfo=COLOMBIA)

    found = estimate_fare(
        load_tariff(),
        moment=ride_moment(None, now, load_holidays()),
        airport=False,
        terminal=False,
        distance_km=None,
    )

    assert found.low_cop == low
    assert {part for part, _ in found.lines} == included


def test_a_day_that_is_not_known_may_be_a_sunday() -> None:
    found = estimate_fare(load_tariff(), moment=Moment(10), airport=False, terminal=False, distance_km=2)

    assert (found.low_cop, found.high_cop) == (8000, 9800)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("es", "Incluye además recargo nocturno de $1.800 y recargo de aeropuerto de $4.900"),
        ("en", "It also includes the night surcharge of $1.800 and the airport surcharge of $4.900"),
    ],
)
def test_a_rider_is_told_what_was_included(language: Literal["es", "en"], said: str) -> None:
    found = estimate(hour=23, airport=True)

    assert said in explain(load_tariff(), found, language)
    assert "$14.700" in explain(load_tariff(), found, language)
