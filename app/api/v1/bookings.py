"""Bookings over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from app.api.callers import CallerDep
from app.api.deps import ServicesDep
from app.models.booking import Booking
from app.models.inputs import ThreadId

router = APIRouter(prefix="/api/v1/bookings", tags=["bookings"])

BookingPath = Annotated[str, Path(min_length=1, max_length=128)]


class Bookings(BaseModel):
    """The bookings of a thread, oldest first."""

    bookings: list[Booking]


@router.get("")
async def find(thread_id: Annotated[ThreadId, Query()], services: ServicesDep, caller: CallerDep) -> Bookings:
    """List the bookings of a thread."""
    return Bookings(bookings=list(await services.bookings.list(thread_id, caller)))


@router.get("/{booking_id}")
async def show(booking_id: BookingPath, services: ServicesDep, caller: CallerDep) -> Booking:
    """Return a booking."""
    return await services.bookings.get(booking_id, caller)


@router.post("/{booking_id}/cancel")
async def cancel(booking_id: BookingPath, services: ServicesDep, caller: CallerDep) -> Booking:
    """Cancel a booking; again changes nothing."""
    return await services.bookings.cancel(booking_id, caller)
