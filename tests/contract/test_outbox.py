"""What every outbox promises, together with the booking store that fills it."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from app.models.delivery import FLEET_KINDS, Delivery, DeliveryKind, cancelled_by_rider, told_by_fleet
from app.stores.base import Outbox
from tests.contract.conftest import Books
from tests.contract.test_stores import booking

pytestmark = pytest.mark.contract

ALL: frozenset[DeliveryKind] = frozenset({*FLEET_KINDS, "update"})
DISPATCH, CANCEL, UPDATE = "booking-1:dispatch", "booking-1:cancel", "booking-1:update:2"


async def claim(
    outbox: Outbox, owner: str = "me", *, kinds: frozenset[DeliveryKind] = ALL, now: int = 100, limit: int = 10
) -> Sequence[Delivery]:
    return await outbox.claim(owner, kinds=kinds, now=now, lease_until=now + 50, limit=limit)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.delivery_id for delivery in deliveries]


async def cancel(books: Books) -> None:
    assert await books.bookings.revise("booking-1", partial(cancelled_by_rider, now=7)) is not None


async def test_a_new_booking_has_its_dispatch_and_a_repeated_request_no_other(books: Books) -> None:
    await books.bookings.create(booking(1, key="same"))
    await books.bookings.create(booking(2, key="same"))

    (delivery,) = await books.outbox.list("pending")
    assert (delivery.delivery_id, delivery.kind, delivery.booking_id) == (DISPATCH, "dispatch", "booking-1")
    assert (delivery.attempts, delivery.next_attempt_at, delivery.lease_owner) == (0, 1, None)


async def test_a_repeated_request_does_not_send_again_what_was_delivered(books: Books) -> None:
    await books.bookings.create(booking())
    (delivery,) = await claim(books.outbox)
    await books.outbox.settle(delivery, "delivered")
    await books.bookings.create(booking())

    assert await claim(books.outbox) == []


async def test_a_change_has_its_update_with_what_it_says(books: Books) -> None:
    await books.bookings.create(booking())
    await books.bookings.revise("booking-1", partial(told_by_fleet, status="assigned", at=3, now=8, driver="Luis"))

    delivery = await books.outbox.get(UPDATE)
    assert delivery is not None
    assert delivery.event is not None
    assert delivery.event.model_dump(exclude_none=True) == {
        "type": "booking_update",
        "ts": 8,
        "thread_id": "thread",
        "booking_id": "booking-1",
        "status": "assigned",
        "driver": "Luis",
        "revision": 2,
    }


async def test_a_change_that_changes_nothing_has_nothing_to_deliver(books: Books) -> None:
    await books.bookings.create(booking())
    await books.bookings.revise("booking-1", lambda _: None, event_id="e")

    assert ids(await books.outbox.list("pending")) == [DISPATCH]


async def test_what_is_claimed_is_nobody_elses_until_the_lease_runs_out(books: Books) -> None:
    await books.bookings.create(booking())
    (mine,) = await claim(books.outbox, now=100)

    assert (mine.lease_owner, mine.lease_until, mine.attempts) == ("me", 150, 1)
    assert await claim(books.other_outbox, "you", now=149) == []
    (yours,) = await claim(books.other_outbox, "you", now=150)
    assert (yours.lease_owner, yours.attempts) == ("you", 2)


async def test_who_lost_the_lease_settles_nothing(books: Books) -> None:
    await books.bookings.create(booking())
    (mine,) = await claim(books.outbox, now=100)
    (yours,) = await claim(books.other_outbox, "you", now=200)

    assert not await books.outbox.settle(mine, "parked")
    assert await books.other_outbox.settle(yours, "delivered")
    assert not await books.other_outbox.settle(yours, "parked")
    found = await books.outbox.get(DISPATCH)
    assert found is not None
    assert found.state == "delivered"


async def test_the_same_owner_that_claims_again_settles_only_the_newer_claim(books: Books) -> None:
    await books.bookings.create(booking())
    (old,) = await claim(books.outbox, now=100)
    (new,) = await claim(books.outbox, now=200)

    assert not await books.outbox.settle(old, "delivered")
    assert await books.outbox.settle(new, "delivered")


async def test_two_claimers_at_once_share_what_is_due_and_none_has_what_the_other_has(books: Books) -> None:
    await asyncio.gather(*(books.bookings.create(booking(number)) for number in range(40)))
    claims = await asyncio.gather(
        *(claim(outbox, f"{n}", limit=7) for n in range(4) for outbox in (books.outbox, books.other_outbox))
    )

    claimed = [each for one in claims for each in ids(one)]
    assert sorted(claimed) == sorted(f"booking-{number}:dispatch" for number in range(40))


async def test_the_oldest_are_claimed_first_and_no_more_than_asked_for(books: Books) -> None:
    for number in (3, 1, 2):
        await books.bookings.create(booking(number))

    assert ids(await claim(books.outbox, limit=2)) == ["booking-3:dispatch", "booking-1:dispatch"]


async def test_only_the_kinds_that_are_asked_for_are_claimed(books: Books) -> None:
    await books.bookings.create(booking())
    await cancel(books)

    assert ids(await claim(books.outbox, kinds=frozenset({"update"}))) == [UPDATE]
    assert ids(await claim(books.outbox, kinds=FLEET_KINDS)) == [DISPATCH]


async def test_a_cancel_waits_for_its_dispatch_and_an_update_for_nobody(books: Books) -> None:
    await books.bookings.create(booking())
    await cancel(books)

    first = await claim(books.outbox)
    assert ids(first) == [DISPATCH, UPDATE]
    assert await claim(books.outbox) == []
    await books.outbox.settle(first[1], "delivered")
    await books.outbox.settle(first[0], "pending", next_attempt_at=1000, error="no answer")
    assert await claim(books.outbox, now=999) == []
    (again,) = await claim(books.outbox, now=1000)
    assert again.last_error == "no answer"
    await books.outbox.settle(again, "delivered")
    assert ids(await claim(books.outbox)) == [CANCEL]


@pytest.mark.parametrize("state", ["refused", "parked", "withdrawn"])
async def test_a_dispatch_that_is_not_tried_any_more_holds_up_nothing(books: Books, state: str) -> None:
    await books.bookings.create(booking())
    await cancel(books)
    dispatch, _ = await claim(books.outbox)
    await books.outbox.settle(dispatch, state)  # type: ignore[arg-type]

    assert ids(await claim(books.outbox)) == [CANCEL]


async def test_updates_of_a_booking_keep_their_order(books: Books) -> None:
    await books.bookings.create(booking())
    for status in ("assigned", "arrived", "completed"):
        await books.bookings.revise("booking-1", partial(told_by_fleet, status=status, at=1, now=8))
    told = []
    for _ in range(3):
        (update,) = await claim(books.outbox, kinds=frozenset({"update"}))
        assert update.event is not None
        told.append(update.event.status)
        await books.outbox.settle(update, "delivered")

    assert told == ["assigned", "arrived", "completed"]


async def test_what_was_parked_is_counted_listed_and_tried_again_when_asked(books: Books) -> None:
    for number in (1, 2, 3):
        await books.bookings.create(booking(number))
    for delivery in await claim(books.outbox, limit=2):
        await books.outbox.settle(delivery, "parked", error="answered 500")

    assert await books.outbox.counts() == {"pending": 1, "parked": 2}
    assert ids(await books.outbox.list("parked")) == [DISPATCH, "booking-2:dispatch"]
    assert ids(await books.outbox.list("parked", "pending", limit=2)) == [DISPATCH, "booking-2:dispatch"]
    assert await books.outbox.retry("booking-3:dispatch", now=500) == 0
    assert await books.outbox.retry(DISPATCH, now=500) == 1
    assert await books.outbox.retry("booking-2", now=500) == 1
    assert await books.outbox.retry(None, now=500) == 0
    assert await books.outbox.counts() == {"pending": 3, "parked": 0}
    again = await claim(books.outbox, now=500)
    assert [(each.delivery_id, each.attempts) for each in again][:2] == [(DISPATCH, 2), ("booking-2:dispatch", 2)]


async def test_only_what_is_over_is_forgotten(books: Books) -> None:
    for number in (1, 2, 3, 20):
        await books.bookings.create(booking(number))
    first, second, _, last = await claim(books.outbox)
    await books.outbox.settle(first, "delivered")
    await books.outbox.settle(second, "parked")
    await books.outbox.settle(last, "delivered")
    await books.bookings.revise("booking-1", lambda _: None, event_id="old", at=1)
    await books.bookings.revise("booking-1", lambda _: None, event_id="new", at=30)
    await books.outbox.prune(before=10)

    assert await books.outbox.get(DISPATCH) is None
    assert ids(await books.outbox.list("pending", "parked", "delivered")) == [
        "booking-2:dispatch",
        "booking-3:dispatch",
        "booking-20:dispatch",
    ]
    change = partial(told_by_fleet, status="assigned", at=1, now=1)
    assert await books.bookings.revise("booking-1", change, event_id="new") is None
    assert await books.bookings.revise("booking-1", change, event_id="old") is not None
