"""Bookings in an SQL database."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, Select, select, update

from app.models.booking import Booking
from app.models.delivery import dispatch_of
from app.stores.base import Change
from app.stores.sql.database import Database
from app.stores.sql.outbox import add_deliveries, is_new_event
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

        def work(connection: Connection) -> Booking:
            insert_new(connection, bookings, [_row(booking)], keys=("request_key",))
            found = connection.execute(_select().where(bookings.c.request_key == booking.request_key))
            stored = _booking(found.mappings().one())
            if stored.booking_id == booking.booking_id:
                add_deliveries(connection, [dispatch_of(stored)])
            return stored

        return await self._database.write(work)

    async def get(self, booking_id: str) -> Booking | None:
        """See ``BookingStore``."""
        row = await self._database.row(_select().where(bookings.c.booking_id == booking_id))
        return None if row is None else _booking(row)

    async def list(self, thread_id: str) -> Sequence[Booking]:
        """See ``BookingStore``."""
        oldest_first = _select().where(bookings.c.thread_id == thread_id).order_by(bookings.c.number)
        return [_booking(row) for row in await self._database.rows(oldest_first)]

    async def revise(
        self, booking_id: str, change: Change, *, event_id: str | None = None, at: int = 0
    ) -> Booking | None:
        """See ``BookingStore``."""
        # The row is locked from here on, so what becomes of a booking is made of what it is.
        present = _select().where(bookings.c.booking_id == booking_id).with_for_update()

        def work(connection: Connection) -> Booking | None:
            if event_id is not None and not is_new_event(connection, event_id, at):
                return None
            row = connection.execute(present).mappings().one_or_none()
            revision = None if row is None else change(_booking(row))
            if revision is None:
                return None
            revised = update(bookings).where(bookings.c.booking_id == booking_id).values(**_row(revision.booking))
            connection.execute(revised)
            add_deliveries(connection, revision.deliveries)
            return revision.booking

        return await self._database.write(work)


def _row(booking: Booking) -> dict[str, str]:
    # These are left out of what clients see, not of what is stored.
    kept = {"told_at": booking.told_at, "owner": booking.owner}
    document = booking.model_dump(mode="json", exclude=_IN_ROW) | kept
    return {name: getattr(booking, name) for name in _IN_ROW} | {"document": json.dumps(document, ensure_ascii=False)}


def _select() -> Select[str, str, str, str, str]:
    return select(*_READ)


def _booking(row: RowMapping) -> Booking:
    return Booking.model_validate(json.loads(row["document"]) | {name: row[name] for name in _IN_ROW})
