"""Was the right taxi sent? Judged by the bookings that are stored, not by what was said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.evals.scenario import ExpectedBooking, Scenario
from app.evals.words import plain

COVERED = frozenset({"Barranquilla", "Soledad", "Puerto Colombia", "Galapa"})
"""Where a taxi may be sent: the coverage that the scenarios are written for."""

_NO_NOTE = ("", "sin observ", "ningun", "none", "no special", "no observ", "n/a")


@dataclass(frozen=True, slots=True)
class WrongSlot:
    """A field of a booking that is not as it must be."""

    booking: int
    name: str
    expected: str
    stored: str


@dataclass(slots=True)
class Verdict:
    """What the stored bookings say about a conversation."""

    wrong_slots: list[WrongSlot] = field(default_factory=list)
    wrong_dispatches: list[str] = field(default_factory=list)
    missing: int = 0
    """Bookings that were expected and are not there."""
    error: str | None = None
    """Why the conversation could not be held to its end."""

    @property
    def success(self) -> bool:
        """Whether exactly the right taxis were sent."""
        return not (self.wrong_slots or self.wrong_dispatches or self.missing or self.error)


def grade(scenario: Scenario, stored: Sequence[Mapping[str, Any]], consented: Sequence[str]) -> Verdict:
    """Compare what is stored with what was expected.

    Args:
        scenario: What was expected.
        stored: The thread's bookings, oldest first, as the server tells them.
        consented: Ids of the bookings that were made on a rider's yes to a right summary.
    """
    verdict = Verdict(missing=max(0, len(scenario.expect) - len(stored)))
    for number, booking in enumerate(stored):
        if number >= len(scenario.expect):
            verdict.wrong_dispatches.append("a taxi too many" if scenario.expect else "no taxi was wanted")
        else:
            verdict.wrong_slots += _wrong_slots(number, scenario.expect[number], booking)
        if booking["booking_id"] not in consented:
            verdict.wrong_dispatches.append("sent without the rider's yes")
        if (city := booking["pickup"].get("city")) not in COVERED:
            verdict.wrong_dispatches.append(f"outside coverage: {city}")
    return verdict


def _wrong_slots(number: int, expected: ExpectedBooking, stored: Mapping[str, Any]) -> list[WrongSlot]:
    pickup, destination = stored["pickup"], stored.get("destination") or {}
    note = str(stored.get("observation") or "")
    time = stored.get("pickup_time")
    exact: tuple[tuple[str, object, object], ...] = (
        ("address", expected.address, pickup.get("address")),
        ("neighborhood", expected.neighborhood, pickup.get("neighborhood")),
        ("city", expected.city, pickup.get("city")),
        ("detail", expected.detail, pickup.get("detail")),
        ("payment_method", expected.payment_method, stored.get("payment_method")),
        ("vehicle_features", sorted(expected.vehicle_features), sorted(stored.get("vehicle_features") or [])),
        ("destination", expected.destination, destination.get("address")),
        ("passenger_name", expected.passenger_name, stored.get("passenger_name")),
        ("passengers", expected.passengers, stored.get("passengers")),
        ("pickup_time", expected.pickup_time, None if time == "ahora" else time),
        ("status", expected.status, stored.get("status")),
    )
    wrong = [WrongSlot(number, name, _shown(wanted), _shown(found)) for name, wanted, found in exact if wanted != found]
    if problem := _wrong_note(expected, note):
        wrong.append(WrongSlot(number, "observation", problem, note))
    return wrong


def _wrong_note(expected: ExpectedBooking, note: str) -> str | None:
    """Return what the driver's note should have been, or None if it is as it must be."""
    said = plain(note).strip(" .")
    if expected.observation_equals is not None:
        return None if note == expected.observation_equals else expected.observation_equals
    if lacking := [part for part in expected.observation if plain(part) not in said]:
        return "contains " + ", ".join(lacking)
    says_more = bool(expected.observation or expected.vehicle_features or (expected.passengers or 0) > 1)
    is_empty = not said or any(start and said.startswith(start) for start in _NO_NOTE)
    return None if says_more or is_empty else "no note"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "-"
    return "-" if value is None else str(value)
