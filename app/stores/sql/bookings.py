"""Bookings in an SQL database."""

import json
from collections.abc import Sequence

from sqlalchemy import Row, Select, select, update

from app.models.booking import Booking, BookingStatus
from app.stores.sql.database import Database
from app.stores.sql.tables import bookings
from app.stores.sql.upsert import insert_new

_IN_ROW = {"booking_id", "request_key", "thread_id", "status"}
_READ = (bookings.c.booking_id, bookings.c.request_key, bookings.c.thread_id, bookings.c.status, bookings.c.document)


class SqlBookingStore:
    """A ``BookingStore``; the database itself sees to it that a request is booked once.

    Args:
        database: Open for as long as the store is used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, booking: Booking) -> Booking:
        """See ``BookingStore``."""
        row = {name: getattr(booking, name) for name in _IN_ROW}
        row["document"] = booking.model_dump_json(exclude=_IN_ROW)
        async with self._database.write() as connection:
            await insert_new(connection, bookings, [row], keys=("request_key",))
            found = await connection.execute(_select().where(bookings.c.request_key == booking.request_key))
            return _booking(found.one())

    async def get(self, booking_id: str) -> Booking | None:
        """See ``BookingStore``."""
        async with self._database.read() as connection:
            found = await connection.execute(_select().where(bookings.c.booking_id == booking_id))
            row = found.one_or_none()
        return None if row is None else _booking(row)

    async def list(self, thread_id: str) -> Sequence[Booking]:
        """See ``BookingStore``."""
        oldest_first = _select().where(bookings.c.thread_id == thread_id).order_by(bookings.c.number)
        async with self._database.read() as connection:
            rows = (await connection.execute(oldest_first)).all()
        return [_booking(row) for row in rows]

    async def change_status(
        self, booking_id: str, status: BookingStatus, *, allowed_from: frozenset[BookingStatus]
    ) -> Booking | None:
        """See ``BookingStore``."""
        change = (
            update(bookings)
            .where(bookings.c.booking_id == booking_id, bookings.c.status.in_(sorted(allowed_from)))
            .values(status=status)
            .returning(*_READ)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(change)).one_or_none()
        return None if row is None else _booking(row)


def _select() -> Select[str, str, str, str, str]:
    return select(*_READ)


def _booking(row: Row[str, str, str, str, str]) -> Booking:
    booking_id, request_key, thread_id, status, document = row
    in_row = {"booking_id": booking_id, "request_key": request_key, "thread_id": thread_id, "status": status}
    return Booking.model_validate(json.loads(document) | in_row)
