"""Bookings as clients see them."""

from collections.abc import Sequence

from app.core.clock import NowMs
from app.core.errors import Conflict, NotFound
from app.models.booking import OPEN_STATUSES, Booking
from app.models.events import BookingUpdate
from app.stores.base import BookingStore, EventLog


class BookingService:
    """Reads and cancels bookings, and tells the thread of each change."""

    def __init__(self, *, bookings: BookingStore, event_log: EventLog, now_ms: NowMs) -> None:
        self._bookings = bookings
        self._log = event_log
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
        changed = await self._bookings.change_status(booking_id, "cancelled", allowed_from=OPEN_STATUSES)
        if changed is None:
            booking = await self.get(booking_id)
            if booking.status == "cancelled":
                return booking
            raise Conflict("El servicio ya terminó y no se puede cancelar.")
        update = BookingUpdate(
            ts=self._now_ms(), thread_id=changed.thread_id, booking_id=booking_id, status=changed.status
        )
        await self._log.append(changed.thread_id, [update])
        return changed
