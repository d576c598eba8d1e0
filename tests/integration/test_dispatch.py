"""One booking, one taxi, every change told once: whatever fails, and whenever the process dies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.lowlevel
import httpx
import pytest
import stamina
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.clock import new_id
from app.core.signatures import read_signer
from app.main import create_app
from app.models.delivery import cancelled_by_rider, told_by_fleet
from app.models.events import BookingUpdate, ToolResult
from app.services.dispatch import DispatchLimits, DispatchService
from app.stores.memory import MemoryBookingStore, MemoryEventLog
from tests.contract.test_stores import booking
from tests.desk import Desk, make_settings, make_stores, open_desk
from tests.fakes import DyingOutbox, FakeFleet, FaultKind, Faults, FleetFault
from tests.live.fleet import DEVELOPMENT_SECRET

pytestmark = pytest.mark.integration

TICKS = 120
"""Turns of the event loop in which a process does all it can."""
LONGER_THAN_ANY_LEASE = 10_000_000


@dataclass
class World:
    """What outlives a process."""

    bookings: MemoryBookingStore
    outbox: DyingOutbox
    log: MemoryEventLog
    fleet: FakeFleet
    now: int = 1_000

    @asynccontextmanager
    async def process(self) -> AsyncIterator[DispatchService]:
        """Run a process, later than any lease of the one before."""
        self.now += LONGER_THAN_ANY_LEASE
        self.outbox.is_dead = False
        service = DispatchService(
            fleet=self.fleet,
            bookings=self.bookings,
            outbox=self.outbox,
            event_log=self.log,
            now_ms=lambda: self.now,
            new_id=new_id,
            limits=DispatchLimits(timeout=5, wait=5, max_attempts=1_000_000),
        )
        async with service:
            yield service

    async def updates(self) -> list[BookingUpdate]:
        """Return what the thread was told."""
        async with self.log.open("thread", after_seq=0) as reader:
            records = await reader.read() if reader.position.seq else []
        return [record.event for record in records if isinstance(record.event, BookingUpdate)]


def world(*faults: FleetFault, settle_faults: dict[int, FaultKind] | None = None) -> World:
    outbox = DyingOutbox(Faults(settle_faults or {}))
    log = MemoryEventLog(new_id=new_id, now_ms=lambda: 1, max_events=10_000, max_age_ms=10**12)
    return World(MemoryBookingStore(outbox), outbox, log, FakeFleet(*faults))


fleet_faults = st.lists(st.sampled_from(["unavailable", "lost", "refused", "hang"]), max_size=5)
settle_faults = st.dictionaries(st.integers(0, 12), st.just("raise"), max_size=5)
rides = st.lists(st.sampled_from(["assigned", "arrived", "completed", "cancelled", "rider cancels"]), max_size=4)
deaths = st.lists(st.tuples(st.integers(0, TICKS), st.booleans()), max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fleet_faults, settle_faults, rides, deaths)
def test_a_booking_has_one_taxi_and_its_thread_hears_of_each_change_once(
    faults: list[FleetFault], failing: dict[int, FaultKind], ride: list[str], ends: list[tuple[int, bool]]
) -> None:
    with stamina.set_testing(True, attempts=3):
        anyio.run(_play, faults, failing, ride, ends)


async def _play(
    faults: list[FleetFault], failing: dict[int, FaultKind], ride: list[str], ends: list[tuple[int, bool]]
) -> None:
    is_refused = "refused" in faults
    all_of_it = world(*faults, settle_faults=failing)
    await all_of_it.bookings.create(booking())
    for ticks, is_killed in ends:
        async with all_of_it.process() as service:
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            if ride:
                await _happen(all_of_it, ride.pop(0))
                service.ring()
            all_of_it.outbox.is_dead = is_killed
    for happening in ride:
        await _happen(all_of_it, happening)
    all_of_it.fleet.go_on.set()
    for _ in range(20):
        async with all_of_it.process():
            for _ in range(TICKS):
                await anyio.lowlevel.checkpoint()
        if (await all_of_it.outbox.counts())["pending"] == 0:
            break

    found = await all_of_it.bookings.get("booking-1")
    assert found is not None
    assert await all_of_it.outbox.counts() == {"pending": 0, "parked": 0}
    assert [update.revision for update in await all_of_it.updates()] == list(range(2, found.revision + 1))
    assert len(all_of_it.fleet.taxis) <= 1
    if found.status != "cancelled" and not is_refused:
        assert list(all_of_it.fleet.taxis) == ["booking-1:dispatch"]
    if await all_of_it.outbox.get("booking-1:cancel") is not None:
        assert all_of_it.fleet.cancelled == {"booking-1"}
    if found.code == "dispatch_refused":
        assert is_refused


async def _happen(all_of_it: World, happening: str) -> None:
    now = all_of_it.now
    if happening == "rider cancels":
        await all_of_it.bookings.revise("booking-1", partial(cancelled_by_rider, now=now))
    else:
        change = partial(told_by_fleet, status=happening, at=now, now=now)
        await all_of_it.bookings.revise("booking-1", change, event_id=happening, at=now)


async def test_an_update_that_was_logged_by_a_process_that_died_is_not_logged_again() -> None:
    all_of_it = world()
    await all_of_it.bookings.create(booking())
    await all_of_it.bookings.revise("booking-1", partial(told_by_fleet, status="assigned", at=1, now=1))
    async with all_of_it.process(), all_of_it.log.open("thread") as reader:
        all_of_it.outbox.is_dead = True
        await reader.read()
    async with all_of_it.process():
        while (await all_of_it.outbox.counts())["pending"]:
            await anyio.lowlevel.checkpoint()

    assert [update.revision for update in await all_of_it.updates()] == [2]
    delivery = await all_of_it.outbox.get("booking-1:update:2")
    assert delivery is not None
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


async def test_a_taxi_that_was_cancelled_before_the_fleet_heard_of_it_is_not_sent() -> None:
    all_of_it = world()
    await all_of_it.bookings.create(booking())
    await all_of_it.bookings.revise("booking-1", partial(cancelled_by_rider, now=1))
    async with all_of_it.process():
        while (await all_of_it.outbox.counts())["pending"]:
            await anyio.lowlevel.checkpoint()

    assert dict(all_of_it.fleet.posts) == {"booking-1:cancel": 1}
    assert not all_of_it.fleet.taxis


async def test_a_process_that_stops_gives_back_what_it_was_delivering() -> None:
    all_of_it = world("hang")
    await all_of_it.bookings.create(booking())
    async with all_of_it.process():
        await all_of_it.fleet.asked.wait()

    (delivery,) = await all_of_it.outbox.list("pending")
    assert (delivery.lease_owner, delivery.attempts) == (None, 1)


async def test_pauses_grow_and_are_spread() -> None:
    limits = DispatchLimits(timeout=1, wait=1, max_attempts=1)

    assert [limits.backoff(attempts, 1) for attempts in (1, 2, 3, 4, 30, 10_000)] == [1, 2, 4, 8, 300, 300]
    assert limits.backoff(4, 0) == 4
    assert limits.lease > limits.attempt > 3 * limits.timeout


# In a turn.


async def to_the_summary(desk: Desk) -> None:
    await desk.talk("Necesito un taxi a la Calle 72 #43-25 en El Prado, pago en efectivo", "No")


async def test_a_barge_in_ends_the_wait_for_a_silent_fleet_at_once_and_its_answer_comes_later() -> None:
    fleet = FakeFleet("hang")
    async with open_desk(fleet=fleet, dispatch_wait_seconds=8) as desk:
        await to_the_summary(desk)
        async with desk.services.streaming.subscribe("t") as reader:
            await desk.services.streaming.submit("Sí, confirmo", thread_id="t")
            await fleet.asked.wait()
            said = await desk.say("¿En qué va mi taxi?")
            assert said.end.status == "completed"
            fleet.go_on.set()
            updates: list[BookingUpdate] = []
            while not updates:
                updates = [each.event for each in await reader.read() if isinstance(each.event, BookingUpdate)]
        (booked,) = await desk.stores.bookings.list("t")
        results = [each.event for each in await desk.log() if isinstance(each.event, ToolResult)]

    (dispatched,) = [each.result for each in results if each.name == "DispatchToBackend"]
    assert dispatched == {"booking_id": booked.booking_id, "status": "accepted", "eta_minutes": None, "pending": True}
    assert [(update.booking_id, update.eta_minutes) for update in updates] == [(booked.booking_id, 4)]
    assert list(fleet.posts.values()) == [1]


async def test_a_cancel_of_the_turn_while_the_fleet_is_silent_keeps_the_booking_and_its_taxi() -> None:
    fleet = FakeFleet("hang")
    async with open_desk(fleet=fleet, dispatch_wait_seconds=8) as desk:
        await to_the_summary(desk)
        async with desk.services.streaming.subscribe("t") as reader:
            await desk.services.streaming.submit("Sí, confirmo", thread_id="t")
            await fleet.asked.wait()
            await desk.services.streaming.cancel("t")
            ends = []
            while not ends:
                ends = [each.event for each in await reader.read() if each.event.terminal]
            fleet.go_on.set()
            again = await desk.say("Sí, confirmo")
        booked = await desk.stores.bookings.list("t")

    assert [end.status for end in ends] == ["interrupted"]  # type: ignore[attr-defined]
    assert len(booked) == 1
    assert list(fleet.taxis.values()) == [booked[0].booking_id]
    assert "DispatchToBackend" not in again.tools


async def test_a_fleet_that_takes_too_long_is_told_of_later() -> None:
    fleet = FakeFleet("hang")
    async with open_desk(fleet=fleet, dispatch_wait_seconds=0) as desk:
        await to_the_summary(desk)
        said = await desk.say("Sí, confirmo")
        fleet.go_on.set()

    assert "Listo, ya estoy consiguiendo tu taxi" in said.end.text
    assert said.end.booking_id


async def test_a_dispatch_that_is_given_up_while_the_rider_waits_is_not_called_sent() -> None:
    fleet = FakeFleet("unavailable")
    with stamina.set_testing(True, attempts=1):
        async with open_desk(fleet=fleet, dispatch_max_attempts=1) as desk:
            await to_the_summary(desk)
            said = await desk.say("Sí, confirmo")
            counts = await desk.services.dispatch.measure()

    assert counts == {"pending": 0, "parked": 1}
    assert "estoy consiguiendo tu taxi" in said.end.text


async def test_a_booking_that_is_cancelled_while_the_rider_waits_is_not_called_sent() -> None:
    fleet = FakeFleet("hang")
    async with open_desk(fleet=fleet) as desk:
        await to_the_summary(desk)
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await fleet.asked.wait()
                (booked,) = await desk.stores.bookings.list("t")
                await desk.services.bookings.cancel(booked.booking_id)
                fleet.go_on.set()

            tasks.start_soon(cancel)
            said = await desk.say("Sí, confirmo")

    (dispatched,) = said.of(ToolResult)
    assert (dispatched.result["status"], dispatched.result["code"]) == ("failed", "cancelled")
    assert said.end.booking_id is None


async def test_without_a_fleet_nothing_is_said_but_what_the_turn_says() -> None:
    async with open_desk() as desk:
        await to_the_summary(desk)
        said = await desk.say("Sí, confirmo")
        desk.services.dispatch.ring()
        while (await desk.stores.outbox.counts())["pending"]:
            await anyio.lowlevel.checkpoint()
        (settled,) = await desk.stores.outbox.list("delivered")
        log = await desk.log()

    assert settled.kind == "dispatch"
    assert "Tu taxi va en camino" in said.end.text
    assert not [record for record in log if isinstance(record.event, BookingUpdate)]


# The webhook.


async def test_an_event_is_taken_once_however_often_it_comes() -> None:
    stores = make_stores()
    await stores.bookings.create(booking())
    chosen = make_settings(dispatch_secret=DEVELOPMENT_SECRET)
    assert chosen.dispatch_secret is not None
    signer = read_signer(chosen.dispatch_secret)
    body = (
        b'{"type":"booking.assigned","timestamp":"2026-11-21T12:00:00-05:00",'
        b'"data":{"booking_id":"booking-1","driver":"Luis","plate":"ABC123","eta_minutes":4}}'
    )
    async with open_desk(stores=stores, dispatch_secret=DEVELOPMENT_SECRET) as desk:
        app = create_app(chosen)
        app.state.services = desk.services
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            for event_id in ("e", "e", "f"):
                headers = signer.headers(event_id, desk.services.now_ms() // 1000, body)
                answer = await client.post("/api/v1/dispatch/webhook", content=body, headers=headers)
                assert answer.status_code == 204
                assert answer.content == b""
            found = (await client.get("/api/v1/bookings/booking-1")).json()

    assert (found["status"], found["driver"], found["plate"], found["eta_minutes"]) == ("assigned", "Luis", "ABC123", 4)
    assert found["revision"] == 2
    assert "told_at" not in found
