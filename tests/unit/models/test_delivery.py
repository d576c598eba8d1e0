"""What becomes of a booking: it never goes back, and every change has its update."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.booking import FOLLOWS, OPEN_STATUSES, Booking, BookingStatus, Place
from app.models.delivery import (
    Revision,
    cancelled_by_rider,
    delayed,
    refused_by_fleet,
    taken_by_fleet,
    told_by_fleet,
)
from app.stores.base import Change

pytestmark = pytest.mark.unit

ORDER: dict[BookingStatus, int] = {"accepted": 0, "assigned": 1, "arrived": 2, "completed": 3, "cancelled": 3}

BOOKING = Booking(
    booking_id="b",
    thread_id="t",
    status="accepted",
    created_at=1,
    pickup=Place(address="Calle 72 #43-25"),
    payment_method="efectivo",
    request_key="k",
)

told = st.builds(
    lambda status, at, eta: partial(told_by_fleet, status=status, at=at, now=9, eta_minutes=eta),
    st.sampled_from(sorted(ORDER)),
    st.integers(1, 5),
    st.none() | st.integers(0, 9),
)
changes = st.one_of(
    told,
    st.sampled_from([partial(cancelled_by_rider, now=9), partial(refused_by_fleet, now=9), partial(delayed, now=9)]),
    st.builds(lambda eta: partial(taken_by_fleet, now=9, eta_minutes=eta), st.none() | st.integers(0, 9)),
)


@given(st.lists(changes, max_size=12))
def test_a_booking_never_goes_back_and_its_updates_tell_every_change_once(schedule: list[Change]) -> None:
    booking, updates = BOOKING, []
    for change in schedule:
        revision = change(booking)
        if revision is None:
            continue
        after = revision.booking
        assert ORDER[after.status] >= ORDER[booking.status]
        assert booking.status in OPEN_STATUSES
        assert after.revision == booking.revision + 1
        assert after != booking.model_copy(update={"revision": after.revision}), "nothing changed"
        updates.extend(delivery for delivery in revision.deliveries if delivery.kind == "update")
        booking = after
    assert [update.event and update.event.revision for update in updates] == list(range(2, booking.revision + 1))
    if updates:
        assert updates[-1].event is not None
        assert updates[-1].event.status == booking.status
        assert updates[-1].event.eta_minutes == booking.eta_minutes


def test_the_table_of_statuses_has_no_way_back() -> None:
    assert set(FOLLOWS) == set(ORDER)
    for before, after in FOLLOWS.items():
        assert all(ORDER[each] > ORDER[before] or each == before == "assigned" for each in after)


def test_of_two_drivers_the_later_one_holds_whichever_is_told_first() -> None:
    first = partial(told_by_fleet, status="assigned", at=1, now=9, driver="Luis")
    second = partial(told_by_fleet, status="assigned", at=2, now=9, driver="Marta")
    late = _after(BOOKING, second)
    assert first(late) is None
    assert _after(_after(BOOKING, first), second).driver == late.driver == "Marta"


def test_what_an_event_said_is_not_undone_by_an_answer_that_comes_after_it() -> None:
    assigned = _after(BOOKING, partial(told_by_fleet, status="assigned", at=1, now=9, eta_minutes=3))
    assert taken_by_fleet(assigned, now=9, eta_minutes=12) is None


def test_an_answer_that_says_nothing_changes_nothing() -> None:
    assert taken_by_fleet(BOOKING, now=9, eta_minutes=None, driver=None, plate=None) is None


def test_an_answer_ends_a_delay() -> None:
    late = _after(BOOKING, partial(delayed, now=9))
    assert late.code == "dispatch_delayed"
    assert delayed(late, now=9) is None
    assert _after(late, partial(taken_by_fleet, now=9)).code is None


def test_who_cancels_has_the_fleet_told_and_who_was_refused_has_not() -> None:
    cancelled, refused = cancelled_by_rider(BOOKING, now=9), refused_by_fleet(BOOKING, now=9)
    assert isinstance(cancelled, Revision)
    assert isinstance(refused, Revision)
    assert [delivery.kind for delivery in cancelled.deliveries] == ["cancel", "update"]
    assert [delivery.kind for delivery in refused.deliveries] == ["update"]
    assert refused.booking.code == "dispatch_refused"


def _after(booking: Booking, change: Change) -> Booking:
    revision = change(booking)
    assert revision is not None
    return revision.booking
