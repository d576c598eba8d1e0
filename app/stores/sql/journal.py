"""The rows of the event log: what is read and written, and nothing of when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from app.core.errors import StoreError
from app.models.events import EVENT, Position, Record
from app.stores.sql.database import Database
from app.stores.sql.drivers.base import Work
from app.stores.sql.tables import events, journal, threads
from app.stores.sql.upsert import insert_or_update

_STORED = select(threads).where(threads.c.thread_id == bindparam("thread"))


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is stored."""

    seq: int
    ts: int
    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class StoredThread:
    """What is stored about the log of a thread."""

    newest: Position
    first_seq: int
    """The oldest event kept; one more than the newest where none is."""
    prior: Position | None = None
    """The newest position of the epoch before, where that one is good up to there."""


@dataclass(frozen=True, slots=True)
class ThreadRows:
    """What is to be written of one thread: ``rows``, in order and without a gap, end at ``newest``."""

    thread_id: str
    newest: Position
    first_seq: int
    rows: Sequence[EventRow] = field(default=())
    cut: bool = False
    """First delete rows after ``newest``: an append that failed may have left some."""


def event_rows(records: Sequence[Record]) -> list[EventRow]:
    """Return the rows of ``records``.

    Raises:
        StoreError: An event cannot be written as JSON. Better now than in a batch with others.
    """
    try:
        return [
            EventRow(record.seq, record.event.ts, record.event.type, record.event.model_dump_json())
            for record in records
        ]
    except ValueError as error:
        raise StoreError("El evento no se puede guardar.") from error


class Journal:
    """The event logs of all threads in an SQL database.

    A *life* of the journal ends when it was not closed: events that readers had already seen may be
    missing then, and their numbers are given out again. So a thread gets a new epoch the first time
    that it is loaded in a new life. What is stored is safe to continue from: the old epoch stays
    good up to where it is stored, as ``prior``.

    Args:
        database: Open for as long as the journal is used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._life = 0

    async def open(self) -> None:
        """Take the journal, and begin a new life if it was not closed."""

        def work(connection: Connection) -> int:
            left = connection.execute(select(journal.c.life, journal.c.is_open)).one_or_none()
            life = 1 if left is None else left.life + int(left.is_open)
            row = {"id": 1, "life": life, "is_open": True}
            insert_or_update(connection, journal, [row], keys=("id",), update=("life", "is_open"))
            return life

        self._life = await self._database.write(work)

    async def close(self) -> None:
        """Leave the journal: every event that readers saw is stored."""
        await self._database.execute(update(journal).values(is_open=False))

    async def load(self, thread_id: str, new_epoch: str) -> StoredThread | None:
        """Return what is stored about a thread, under ``new_epoch`` if the life is another; None for nothing."""
        row = await self._database.read(
            lambda connection: connection.execute(_STORED, {"thread": thread_id}).one_or_none()
        )
        if row is None:
            return None
        if row.life == self._life:
            prior = None if row.prior_epoch is None else Position(row.prior_seq, row.prior_epoch)
            return StoredThread(Position(row.last_seq, row.epoch), row.first_seq, prior)
        renewed = {"epoch": new_epoch, "life": self._life, "prior_epoch": row.epoch, "prior_seq": row.last_seq}
        await self._database.execute(update(threads).where(threads.c.thread_id == thread_id).values(**renewed))
        return StoredThread(Position(row.last_seq, new_epoch), row.first_seq, Position(row.last_seq, row.epoch))

    async def write(self, batch: Sequence[ThreadRows], *, along: Work[None] | None = None) -> None:
        """Write events. What is there under the same number is replaced, so that it can be repeated.

        Args:
            batch: What is to be written.
            along: Statements that come first, in the same transaction.
        """
        await self._database.write(partial(self._write, batch, along))

    def _write(self, batch: Sequence[ThreadRows], along: Work[None] | None, connection: Connection) -> None:
        if along is not None:
            along(connection)
        # first_seq is set once: from then on it is for ``delete_until`` to move.
        heads = [self._head(thread.thread_id, thread.newest, thread.first_seq) for thread in batch]
        insert_or_update(connection, threads, heads, keys=("thread_id",), update=("epoch", "last_seq", "life"))
        for thread in batch:
            if thread.cut:
                after = (events.c.thread_id == thread.thread_id) & (events.c.seq > thread.newest.seq)
                connection.execute(delete(events).where(after))
        rows = [
            {"thread_id": thread.thread_id, "seq": row.seq, "ts": row.ts, "type": row.type, "payload": row.payload}
            for thread in batch
            for row in thread.rows
        ]
        insert_or_update(connection, events, rows, keys=("thread_id", "seq"), update=("ts", "type", "payload"))

    async def read(self, thread_id: str, *, after_seq: int, until_seq: int, limit: int) -> list[Record]:
        """Return at most ``limit`` records after ``after_seq`` and not after ``until_seq``, oldest first."""
        page = (
            select(events.c.seq, events.c.payload)
            .where(events.c.thread_id == thread_id, events.c.seq > after_seq, events.c.seq <= until_seq)
            .order_by(events.c.seq)
            .limit(limit)
        )
        rows = await self._database.rows(page)
        return [Record(row["seq"], EVENT.validate_json(row["payload"])) for row in rows]

    async def forget(self, thread_id: str) -> None:
        """Delete everything about a thread."""
        await self._database.execute(delete(threads).where(threads.c.thread_id == thread_id))

    async def outdated(self, *, before_ms: int, max_events: int, limit: int) -> dict[str, int]:
        """Return up to which ``seq`` threads keep too much: for at most ``2 * limit`` of them.

        Args:
            before_ms: Events made before this are too old; milliseconds since the epoch.
            max_events: What a thread may keep.
            limit: Bounds the answer.
        """
        too_many = (
            select(threads.c.thread_id, threads.c.last_seq - max_events)
            .where(threads.c.last_seq - threads.c.first_seq + 1 > max_events)
            .limit(limit)
        )
        too_old = (
            select(events.c.thread_id, func.max(events.c.seq))
            .where(events.c.ts < before_ms)
            .group_by(events.c.thread_id)
            .limit(limit)
        )

        def work(connection: Connection) -> dict[str, int]:
            found: dict[str, int] = {}
            for query in (too_many, too_old):
                for thread_id, seq in connection.execute(query).all():
                    found[thread_id] = max(seq, found.get(thread_id, 0))
            return found

        return await self._database.read(work)

    async def delete_until(self, thread_id: str, seq: int) -> None:
        """Delete the events of a thread up to and including ``seq``."""
        behind = (threads.c.thread_id == thread_id) & (threads.c.first_seq <= seq)
        await self._database.execute(
            delete(events).where(events.c.thread_id == thread_id, events.c.seq <= seq),
            update(threads).where(behind).values(first_seq=seq + 1),
        )

    def _head(self, thread_id: str, newest: Position, first_seq: int) -> dict[str, Any]:
        """Return the row of a thread."""
        return {
            "thread_id": thread_id,
            "epoch": newest.epoch,
            "first_seq": first_seq,
            "last_seq": newest.seq,
            "life": self._life,
            "prior_epoch": None,
            "prior_seq": None,
        }
