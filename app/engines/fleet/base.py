"""What a fleet must do. Implementations: ``offline.py``, ``http.py``."""

from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from app.models.booking import Booking, Place


class FleetAnswer(BaseModel):
    """What a fleet says as it takes a booking."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    eta_minutes: int | None = Field(default=None, ge=0, le=1440)
    driver: str | None = Field(default=None, max_length=120)
    plate: str | None = Field(default=None, max_length=20)


class Customer(BaseModel):
    """A rider whom the fleet knows."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str | None = Field(default=None, max_length=120)


class Coordinates(BaseModel):
    """Where an address lies, in degrees (WGS 84)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class FleetError(Exception):
    """The fleet did not do what it was asked. The text is for the log: no secret, nothing a person said."""


class FleetRefused(FleetError):
    """It will not, however often it is asked."""


class FleetUnavailable(FleetError):
    """It could not be asked, or could not answer: it may have done it, and may be asked again.

    Args:
        text: What happened.
        retry_after: When it wants to be asked again, in seconds from now; None is as we like.
    """

    def __init__(self, text: str, *, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Fleet(Protocol):
    """Who sends the taxis. Each method raises ``FleetRefused`` or ``FleetUnavailable``."""

    takes_everything: bool
    """Whether a booking needs nobody's consent: then no rider waits for an answer."""

    async def dispatch(self, booking: Booking, *, key: str) -> FleetAnswer:
        """Have a taxi sent: one for each ``key``, however often it is asked."""
        ...

    async def cancel(self, booking: Booking, *, key: str) -> None:
        """Have the taxi of a booking called off, also one that the fleet has not heard of yet."""
        ...


class Directory(Protocol):
    """Who knows riders and streets. Never raises but for cancellation: not known is None."""

    async def find_customer(self, client_id: str) -> Customer | None:
        """Return the rider whom a front end calls ``client_id``."""
        ...

    async def geocode(self, place: Place) -> Coordinates | None:
        """Return where a place lies."""
        ...
