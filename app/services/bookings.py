"""Bookings as clients see them."""

from collections.abc import Callable, Sequence
from functools import partial

from app.core.clock import NowMs
from app.core.errors import Conflict, NotFound
from app.models.booking import Booking
from app.models.delivery import cancelled_by_rider
from app.stores.base import BookingStore


class BookingService:
    """Reads and cancels bookings.

    Args:
        bookings: Where they are.
        ring: Says that there is something to deliver: the fleet and the thread are told of each change.
        now_ms: The clock.
    """

    def __init__(self, *, bookings: BookingStore, ring: Callable[[], None], now_ms: NowMs) -> None:
        self._bookings = bookings
        self._ring = ring
        self._now_ms = now_ms

    async def get(self, booking_id: str) -> Booking:
        """Return a booking.

        Raises:
            NotFound: There is none.
        """
        booking = await self._bookings.get(booking_id)
        if booking is None:
            raise NotFound("No existe esa reserva.")
        return booking

    async def list(self, thread_id: str) -> Sequence[Booking]:
        """Return the bookings of a thread, oldest first."""
        return await self._bookings.list(thread_id)

    async def cancel(self, booking_id: str) -> Booking:
        """Cancel a booking. Cancelling it again changes nothing.

        Raises:
            NotFound: There is none.
            Conflict: The ride is over.
        """
        changed = await self._bookings.revise(booking_id, partial(cancelled_by_rider, now=self._now_ms()))
        self._ring()
        if changed is None:
            booking = await self.get(booking_id)
            if booking.status == "cancelled":
                return booking
            raise Conflict("El servicio ya terminó y no se puede cancelar.")
        return changed
