"""Makes what bookings entail happen: the fleet is told, and so is whoever listens.

Deliveries come out of the outbox, where they were stored together with the booking. Whoever holds the
lease of one makes it; if the process dies, the lease runs out and another one does. So each is made at
least once, and whatever is at the other end is made to count it once: the fleet by the
``Idempotency-Key``, the event log by the booking's ``revision``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from types import TracebackType
from typing import Any, Self

import anyio
import stamina
import structlog
from anyio import CancelScope, get_cancelled_exc_class
from anyio.abc import TaskGroup

from app.core import metrics
from app.core.clock import NewId, NowMs
from app.core.errors import NotFound, StoreError
from app.engines.fleet.base import Fleet, FleetRefused, FleetUnavailable
from app.models.booking import Booking, BookingStatus
from app.models.delivery import (
    FLEET_KINDS,
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Revision,
    delayed,
    dispatch_id,
    refused_by_fleet,
    taken_by_fleet,
    told_by_fleet,
)
from app.models.events import BookingUpdate
from app.stores.base import BookingStore, EventLog, Outbox

log = structlog.stdlib.get_logger("voztaxi.dispatch")

_QUICK_TRIES = 3
_QUICK_SECONDS = 3.0
"""Bounds the pauses between the quick tries of an attempt, in all."""
_SETTLE_SECONDS = 2.0
_PRUNE_SECONDS = 3600.0
_KEPT_MS = 7 * 24 * 3600 * 1000
"""How long made deliveries and ids of events are remembered: longer than any sender repeats."""
_LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """How hard is tried. Times are in seconds."""

    timeout: float
    """Longest that one request may take."""
    wait: float
    """How long a turn waits for the fleet's answer."""
    max_attempts: int
    """After so many a delivery is parked. An attempt is up to three requests in quick succession."""
    concurrency: int = 8
    """Deliveries at a time: so many to the fleet, and so many to threads."""
    poll: float = 1.0
    """Pause between looks for what other processes left."""
    first_backoff: float = 1.0
    longest_backoff: float = 300.0

    @property
    def lease(self) -> float:
        """How long a claim holds: longer than an attempt can take."""
        return self.attempt + 2 * _SETTLE_SECONDS

    @property
    def attempt(self) -> float:
        """Longest that an attempt may take."""
        return _QUICK_TRIES * self.timeout + _QUICK_SECONDS

    def backoff(self, attempts: int, chance: float) -> float:
        """Return the pause after so many attempts: twice as long each time, of which a random half is left out.

        Args:
            attempts: How many there were, at least one.
            chance: From 0 to 1.
        """
        whole = min(self.longest_backoff, self.first_backoff * 2.0 ** min(attempts - 1, 32))
        return whole * (1 + chance) / 2


class DispatchService:
    """Delivers inside ``async with``, for as long as it is open.

    Args:
        fleet: Who sends the taxis.
        bookings: The books.
        outbox: What is to be delivered; filled by ``bookings``.
        event_log: Where riders are told.
        now_ms: The clock.
        new_id: Names this process among those who share the outbox.
        limits: How hard is tried.
        random: Spreads what is tried again.
        observers: Watch the attempts, and take no part.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        bookings: BookingStore,
        outbox: Outbox,
        event_log: EventLog,
        now_ms: NowMs,
        new_id: NewId,
        limits: DispatchLimits,
        random: Random | None = None,
        observers: Sequence[Callable[[Attempt], None]] = (),
    ) -> None:
        self._fleet = fleet
        self._bookings = bookings
        self._outbox = outbox
        self._log = event_log
        self._now_ms = now_ms
        self._owner = new_id()
        self._limits = limits
        self._random = random or Random()  # noqa: S311 - spreads repetitions, keeps no secret
        self._observers = observers
        self._tasks: TaskGroup = anyio.create_task_group()
        self._bell = anyio.Event()
        self._settled = anyio.Event()

    async def __aenter__(self) -> Self:
        """Begin to deliver."""
        await self._tasks.__aenter__()
        # Threads are told by workers of their own: a fleet that hangs holds up nobody but itself.
        self._tasks.start_soon(self._work, FLEET_KINDS)
        self._tasks.start_soon(self._work, frozenset[DeliveryKind]({"update"}))
        self._tasks.start_soon(self._prune)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop. What was being delivered is given back and delivered by the next process."""
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    def ring(self) -> None:
        """Say that there is something to deliver, so that nobody has to find it."""
        bell, self._bell = self._bell, anyio.Event()
        bell.set()

    async def answer(self, booking: Booking) -> Booking | None:
        """Wait for the fleet to answer a dispatch, whichever process asks it.

        Returns:
            The booking as it stands then; None where the answer did not come in time, or was given up.
        """
        if self._fleet.takes_everything:
            return booking  # the outbox is seen to when nobody waits
        self.ring()
        booking_id = booking.booking_id
        with anyio.move_on_after(self._limits.wait):
            while True:
                settled = self._settled
                try:
                    delivery = await self._outbox.get(dispatch_id(booking_id))
                    if delivery is not None and delivery.state == "parked":
                        return None
                    if delivery is None or delivery.state != "pending":
                        return await self._bookings.get(booking_id)
                except Exception as error:
                    log.warning("answer could not be read", exc_info=error)
                with anyio.move_on_after(self._limits.poll / 4):
                    await settled.wait()
        return None

    async def take(self, booking_id: str, status: BookingStatus, *, event_id: str, at: int, **details: Any) -> None:
        """Take the fleet's word for where a ride is. An event that is known, or late, changes nothing.

        When this returns the change is stored, and with it that the thread is to be told.

        Args:
            booking_id: Which ride.
            status: Where it is.
            event_id: Names the event.
            at: When that was so; milliseconds since the epoch.
            details: ``driver``, ``plate``, ``eta_minutes``; None is not said.

        Raises:
            NotFound: There is no such booking.
        """
        if await self._bookings.get(booking_id) is None:
            raise NotFound("No existe esa reserva.")
        now = self._now_ms()
        change = partial(told_by_fleet, status=status, at=at, now=now, **details)
        changed = await self._bookings.revise(booking_id, change, event_id=event_id, at=now)
        metrics.DISPATCH_WEBHOOKS.labels("ignored" if changed is None else "taken").inc()
        log.info("fleet told", booking_id=booking_id, status=status, taken=changed is not None)
        self.ring()

    async def measure(self) -> Mapping[DeliveryState, int]:
        """Set the figures that are counted rather than noted, and return them."""
        counts = await self._outbox.counts()
        metrics.DISPATCH_PENDING.set(counts["pending"])
        metrics.DISPATCH_PARKED.set(counts["parked"])
        return counts

    async def _work(self, kinds: frozenset[DeliveryKind]) -> None:
        """Claim what is due, and deliver it, a bounded number at a time."""
        slots = anyio.CapacityLimiter(self._limits.concurrency)
        async with anyio.create_task_group() as tasks:
            while True:
                bell, free = self._bell, int(slots.available_tokens)
                for delivery in await self._claim(kinds, free) if free else ():
                    slot = object()
                    slots.acquire_on_behalf_of_nowait(slot)
                    tasks.start_soon(self._deliver, delivery, partial(slots.release_on_behalf_of, slot))
                with anyio.move_on_after(self._limits.poll):
                    await bell.wait()

    async def _claim(self, kinds: frozenset[DeliveryKind], limit: int) -> list[Delivery]:
        now = self._now_ms()
        lease_until = now + int(self._limits.lease * 1000)
        try:
            return list(
                await self._outbox.claim(self._owner, kinds=kinds, now=now, lease_until=lease_until, limit=limit)
            )
        except Exception as error:
            log.warning("outbox could not be read", exc_info=error)
            return []

    async def _deliver(self, delivery: Delivery, release: Callable[[], None]) -> None:
        """Make one attempt and store what came of it."""
        started, started_at = anyio.current_time(), self._now_ms()
        state: DeliveryState = "pending"
        outcome, error, pause = "interrupted", "interrupted", 0.0
        with structlog.contextvars.bound_contextvars(
            **delivery.trace, booking_id=delivery.booking_id, delivery=delivery.kind, attempt=delivery.attempts
        ):
            try:
                with anyio.fail_after(self._limits.attempt):
                    state = await self._attempt(delivery)
                outcome, error = state, ""
            except get_cancelled_exc_class():
                raise
            except Exception as failure:
                state, outcome, error, pause = await self._failed(delivery, failure)
            finally:
                release()
                metrics.DISPATCH_SECONDS.labels(delivery.kind).observe(anyio.current_time() - started)
                metrics.DISPATCH_DELIVERIES.labels(delivery.kind, outcome).inc()
                self._note(Attempt(delivery, outcome, started_at, self._now_ms()))
                with CancelScope(shield=True, deadline=anyio.current_time() + _SETTLE_SECONDS):
                    await self._settle(delivery, state, error, pause)

    def _note(self, attempt: Attempt) -> None:
        for observe in self._observers:
            try:
                observe(attempt)
            except Exception:
                log.exception("observer failed")

    async def _attempt(self, delivery: Delivery) -> DeliveryState:
        """Deliver, and return what has become of it."""
        if delivery.kind == "update":
            await self._tell(delivery)
            return "delivered"
        try:
            return await self._ask(delivery)
        except FleetRefused as error:
            log.warning("fleet refused", reason=str(error))
            if delivery.kind == "dispatch":
                await self._revise(delivery.booking_id, refused_by_fleet)
            return "refused"

    async def _ask(self, delivery: Delivery) -> DeliveryState:
        """Ask the fleet, again at once where that may help, and take its answer."""
        key, booking_id = delivery.delivery_id, delivery.booking_id
        async for attempt in stamina.retry_context(
            on=_may_help,
            attempts=_QUICK_TRIES,
            timeout=None,
            wait_initial=0.1,
            wait_max=_QUICK_SECONDS / _QUICK_TRIES,
            wait_jitter=0.3,
        ):
            with attempt:
                booking = await self._bookings.get(booking_id)
                if booking is None:
                    return "withdrawn"
                if delivery.kind == "cancel":
                    await self._fleet.cancel(booking, key=key)
                    return "delivered"
                if booking.status == "cancelled":
                    # The cancel is next in this lane, and reaches the fleet whether or not it got this.
                    return "withdrawn"
                answer = await self._fleet.dispatch(booking, key=key)
        await self._revise(booking_id, partial(taken_by_fleet, **answer.model_dump()))
        return "delivered"

    async def _tell(self, delivery: Delivery) -> None:
        """Log the event of a change, unless an attempt that was cut off has logged it already."""
        event = delivery.event
        assert event is not None
        if delivery.attempts > 1 and await self._was_told(event):
            return
        await self._log.append(event.thread_id, [event], durable=True)

    async def _was_told(self, event: BookingUpdate) -> bool:
        async with self._log.open(event.thread_id, after_seq=0) as reader:
            seq = 0 if reader.recovered else reader.position.seq
            while seq < reader.position.seq:
                for record in await reader.read():
                    seq, told = record.seq, record.event
                    if isinstance(told, BookingUpdate) and (told.booking_id, told.revision) == (
                        event.booking_id,
                        event.revision,
                    ):
                        return True
        return False

    async def _failed(self, delivery: Delivery, failure: Exception) -> tuple[DeliveryState, str, str, float]:
        """Return what becomes of a delivery that failed: its state, a word for it, why, and a pause in seconds."""
        error = f"{type(failure).__name__}: {failure}"[:_LONGEST_ERROR]
        unforeseen = None if isinstance(failure, FleetUnavailable | StoreError | TimeoutError) else failure
        if delivery.attempts >= self._limits.max_attempts:
            log.error("delivery was parked", reason=error, exc_info=unforeseen)
            if delivery.kind == "dispatch":
                await self._warn(delivery)
            return "parked", "parked", error, 0
        asked = failure.retry_after if isinstance(failure, FleetUnavailable) else None
        pause = max(asked or 0.0, self._limits.backoff(delivery.attempts, self._random.random()))
        log.warning("delivery failed", reason=error, again_in=round(pause, 1), exc_info=unforeseen)
        return "pending", "failed", error, pause

    async def _warn(self, delivery: Delivery) -> None:
        """Tell the rider that it takes longer; if even that fails, the alarm is up all the same."""
        try:
            await self._revise(delivery.booking_id, delayed)
        except Exception as error:
            log.warning("rider could not be told of the delay", exc_info=error)

    async def _revise(self, booking_id: str, change: Callable[..., Revision | None]) -> None:
        await self._bookings.revise(booking_id, partial(change, now=self._now_ms()))

    async def _settle(self, delivery: Delivery, state: DeliveryState, error: str, pause: float) -> None:
        """Store what came of it. Where that fails the lease runs out, and it is done again."""
        next_attempt_at = self._now_ms() + int(pause * 1000)
        try:
            await self._outbox.settle(delivery, state, next_attempt_at=next_attempt_at, error=error or None)
        except Exception as failure:
            log.warning("delivery could not be settled", exc_info=failure)
        settled, self._settled = self._settled, anyio.Event()
        settled.set()
        self.ring()  # there is room for another, and the next of its lane may go

    async def _prune(self) -> None:
        while True:
            try:
                await self._outbox.prune(before=self._now_ms() - _KEPT_MS)
            except Exception as error:
                log.warning("old deliveries could not be deleted", exc_info=error)
            await anyio.sleep(_PRUNE_SECONDS)


def _may_help(error: Exception) -> bool:
    """Return whether asking again at once may help: not where the fleet named a later time."""
    return isinstance(error, FleetUnavailable) and error.retry_after is None
