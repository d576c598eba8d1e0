"""Bookings as clients see them."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from app.core.clock import NowMs
from app.core.errors import Conflict, NotFound
from app.models.account import ANYONE, Caller
from app.models.booking import Booking
from app.models.delivery import cancelled_by_rider
from app.stores.base import BookingStore


class BookingService:
    """Reads and cancels bookings.

    Args:
        bookings: Where they are.
        authorise: Refuses a caller whose thread it is not.
        ring: Says that there is something to deliver: the fleet and the thread are told of each change.
        now_ms: The clock.
    """

    def __init__(
        self,
        *,
        bookings: BookingStore,
        authorise: Callable[[str, Caller], Awaitable[object]],
        ring: Callable[[], None],
        now_ms: NowMs,
    ) -> None:
        self._bookings = bookings
        self._authorise = authorise
        self._ring = ring
        self._now_ms = now_ms

    async def get(self, booking_id: str, caller: Caller = ANYONE) -> Booking:
        """Return a booking.

        Raises:
            NotFound: There is none, or it is another account's.
        """
        booking = await self._bookings.get(booking_id)
        if booking is None or booking.owner not in (None, caller.account_id):
            raise NotFound("No existe esa reserva.")
        return booking

    async def list(self, thread_id: str, caller: Caller = ANYONE) -> Sequence[Booking]:
        """Return the bookings of a thread, oldest first.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        await self._authorise(thread_id, caller)
        return [each for each in await self._bookings.list(thread_id) if each.owner in (None, caller.account_id)]

    async def cancel(self, booking_id: str, caller: Caller = ANYONE) -> Booking:
        """Cancel a booking. Cancelling it again changes nothing.

        Raises:
            NotFound: There is none, or it is another account's.
            Conflict: The ride is over.
        """
        await self.get(booking_id, caller)
        changed = await self._bookings.revise(booking_id, partial(cancelled_by_rider, now=self._now_ms()))
        self._ring()
        if changed is None:
            booking = await self.get(booking_id, caller)
            if booking.status == "cancelled":
                return booking
            raise Conflict("El servicio ya terminó y no se puede cancelar.")
        return changed
