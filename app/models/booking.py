"""A booking: what a taxi is sent on, and how far the ride has come. Pure."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PaymentMethod = Literal["efectivo", "nequi", "daviplata", "tarjeta"]
BookingStatus = Literal["accepted", "assigned", "arrived", "completed", "cancelled"]
BookingCode = Literal["dispatch_delayed", "dispatch_refused"]
"""What else is to be said of a status: the fleet has not answered for long; it will not send a taxi."""

OPEN_STATUSES: frozenset[BookingStatus] = frozenset({"accepted", "assigned", "arrived"})
"""A booking in one of these can still be cancelled."""

FOLLOWS: dict[BookingStatus, frozenset[BookingStatus]] = {
    "accepted": frozenset({"assigned", "arrived", "completed", "cancelled"}),
    "assigned": frozenset({"assigned", "arrived", "completed", "cancelled"}),
    "arrived": frozenset({"completed", "cancelled"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
}
"""Which status may come after which. A fleet may leave one out, or name another driver; nothing goes back."""


class Place(BaseModel):
    """Where a rider is picked up or taken to."""

    model_config = ConfigDict(frozen=True)

    address: str
    """In the canonical form: ``Calle 72 #43-25``."""
    neighborhood: str | None = None
    zone: str | None = None
    """The localidad, where the city has them."""
    city: str | None = None
    detail: str | None = None
    """Apartment, tower, gate: what the driver needs at the door."""
    lat: float | None = None
    lon: float | None = None


class Booking(BaseModel):
    """A taxi that was ordered with the rider's yes."""

    model_config = ConfigDict(frozen=True)

    booking_id: str
    thread_id: str
    status: BookingStatus
    created_at: int
    """Milliseconds since the epoch."""
    pickup: Place
    destination: Place | None = None
    payment_method: PaymentMethod
    observation: str | None = None
    """The driver's note, in the third person."""
    vehicle_features: list[str] = Field(default_factory=list)
    passenger_name: str | None = None
    passengers: int | None = None
    pickup_time: str | None = None
    """When the rider wants to be picked up, as said; None is now."""
    client_id: str | None = None
    user_id: str | None = None
    owner: str | None = Field(default=None, exclude=True)
    """The account that made it; None where nobody was logged in."""
    driver: str | None = None
    """Who comes, as the fleet says."""
    plate: str | None = None
    """The taxi's plate, as the fleet says."""
    eta_minutes: int | None = None
    """How long the taxi takes, as the fleet last said."""
    code: BookingCode | None = None
    """Why the booking stands as it does, where that is out of the ordinary."""
    revision: int = 1
    """Counts the changes that the rider is told of."""
    told_at: int = Field(default=0, exclude=True)
    """When the fleet says that its newest word was true; milliseconds since the epoch."""
    request_key: str = Field(exclude=True)
    """What makes a repeated dispatch the same dispatch."""
