"""No fleet and no network: every booking is taken at once, and nothing is known of anybody."""

from app.engines.fleet.base import Coordinates, Customer, FleetAnswer
from app.models.booking import Booking, Place


class OfflineFleet:
    """A ``Fleet`` that takes everything and says nothing more."""

    takes_everything = True

    async def dispatch(self, booking: Booking, *, key: str) -> FleetAnswer:
        """See ``Fleet``."""
        return FleetAnswer()

    async def cancel(self, booking: Booking, *, key: str) -> None:
        """See ``Fleet``."""


class OfflineDirectory:
    """A ``Directory`` that knows nobody."""

    async def find_customer(self, client_id: str) -> Customer | None:
        """See ``Directory``."""
        return None

    async def geocode(self, place: Place) -> Coordinates | None:
        """See ``Directory``."""
        return None
