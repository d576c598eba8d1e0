"""What must reach somebody once a booking was made or changed, and what a change entails. Pure.

A ``Delivery`` is stored in the transaction that makes the change, so that there is never one without
the other. The functions below are the only places where a booking changes: each takes the booking as
it stands and returns what becomes of it, or None to leave it.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.models.booking import FOLLOWS, OPEN_STATUSES, Booking, BookingStatus
from app.models.events import BookingUpdate

DeliveryKind = Literal["dispatch", "cancel", "update"]
DeliveryState = Literal["pending", "delivered", "refused", "parked", "withdrawn"]

FLEET_KINDS: frozenset[DeliveryKind] = frozenset({"dispatch", "cancel"})
"""These go to the fleet, ``update`` to whoever listens to the thread."""


class Delivery(BaseModel):
    """Something that must reach somebody, at least once."""

    model_config = ConfigDict(frozen=True)

    delivery_id: str
    """Names it for ever: the ``Idempotency-Key``."""
    kind: DeliveryKind
    booking_id: str
    event: BookingUpdate | None = None
    """What an ``update`` says."""
    created_at: int
    """Milliseconds since the epoch, as are the other times."""
    trace: dict[str, str] = Field(default_factory=dict)
    """Ids of the turn or request that caused it, for the log."""
    state: DeliveryState = "pending"
    attempts: int = 0
    """How often it was claimed, the present time included."""
    next_attempt_at: int = 0
    lease_owner: str | None = None
    """Who is at it, until ``lease_until``."""
    lease_until: int = 0
    last_error: str | None = None

    @property
    def lane(self) -> str:
        """What keeps its order: all that goes to one party about one booking."""
        return f"{'fleet' if self.kind in FLEET_KINDS else 'thread'}:{self.booking_id}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try at a delivery, once it is over."""

    delivery: Delivery
    outcome: str
    """The state that it led to; ``failed`` where it is tried again, ``interrupted`` where the process stops."""
    started_at: int
    """Milliseconds since the epoch."""
    ended_at: int


@dataclass(frozen=True, slots=True)
class Revision:
    """A changed booking, and what must be delivered because of it."""

    booking: Booking
    deliveries: tuple[Delivery, ...]


def dispatch_id(booking_id: str) -> str:
    """Return the id of the delivery that sends a taxi."""
    return f"{booking_id}:dispatch"


def dispatch_of(booking: Booking) -> Delivery:
    """Return what a new booking entails: the fleet is told."""
    return _to_fleet("dispatch", booking.booking_id, booking.created_at)


def cancelled_by_rider(booking: Booking, *, now: int) -> Revision | None:
    """Cancel a booking; the fleet is told as well."""
    if booking.status not in OPEN_STATUSES:
        return None
    revision = _revised(booking, now=now, status="cancelled", code=None)
    return Revision(revision.booking, (_to_fleet("cancel", booking.booking_id, now), *revision.deliveries))


def taken_by_fleet(booking: Booking, *, now: int, **details: Any) -> Revision | None:
    """Note that the fleet took a booking, and what it said of who comes.

    What it has said since by a webhook is newer than its answer and stays.
    """
    if booking.status not in OPEN_STATUSES:
        return None
    known = {} if booking.told_at else {name: value for name, value in details.items() if value is not None}
    return _if_other(booking, now=now, **known, code=None)


def refused_by_fleet(booking: Booking, *, now: int) -> Revision | None:
    """Note that the fleet will not send a taxi."""
    if booking.status not in OPEN_STATUSES:
        return None
    return _revised(booking, now=now, status="cancelled", code="dispatch_refused")


def delayed(booking: Booking, *, now: int) -> Revision | None:
    """Note that the fleet cannot be reached and that a person has to look at it."""
    if booking.status not in OPEN_STATUSES:
        return None
    return _if_other(booking, now=now, code="dispatch_delayed")


def told_by_fleet(booking: Booking, status: BookingStatus, *, at: int, now: int, **details: Any) -> Revision | None:
    """Take a fleet's word for where a ride is.

    Args:
        booking: As it stands.
        status: Where the ride is.
        at: When that was so, by the fleet's clock; milliseconds since the epoch.
        now: Milliseconds since the epoch.
        details: ``driver``, ``plate``, ``eta_minutes``; None is not said.

    Returns:
        None for what comes late or twice: a booking never goes back.
    """
    if status not in FOLLOWS[booking.status] or (status == booking.status and at <= booking.told_at):
        return None
    known = {name: value for name, value in details.items() if value is not None}
    return _revised(booking, now=now, status=status, told_at=max(at, booking.told_at), code=None, **known)


def _if_other(booking: Booking, *, now: int, **fields: Any) -> Revision | None:
    is_other = any(getattr(booking, name) != value for name, value in fields.items())
    return _revised(booking, now=now, **fields) if is_other else None


def _revised(booking: Booking, *, now: int, **fields: Any) -> Revision:
    changed = booking.model_copy(update={**fields, "revision": booking.revision + 1})
    event = BookingUpdate(
        ts=now,
        thread_id=changed.thread_id,
        **changed.model_dump(include={"booking_id", "status", "driver", "plate", "eta_minutes", "code", "revision"}),
    )
    update = Delivery(
        delivery_id=f"{changed.booking_id}:update:{changed.revision}",
        kind="update",
        booking_id=changed.booking_id,
        event=event,
        created_at=now,
        next_attempt_at=now,
    )
    return Revision(changed, (update,))


def _to_fleet(kind: DeliveryKind, booking_id: str, now: int) -> Delivery:
    return Delivery(
        delivery_id=f"{booking_id}:{kind}", kind=kind, booking_id=booking_id, created_at=now, next_attempt_at=now
    )
