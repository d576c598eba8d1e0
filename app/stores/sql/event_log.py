"""The event log on an SQL database: readers live in memory, the journal is behind it.

An event that need not be durable reaches its readers at once and its row a moment later, in one
transaction with those of all other threads. A durable one is written first, together with what its
thread still owes, and reaches its readers the moment it is committed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

import anyio
import structlog

from app.core.clock import NewId, NowMs
from app.core.errors import StoreError
from app.models.events import Event, Position, Record
from app.stores.sql.database import Database
from app.stores.sql.journal import EventRow, Journal, ThreadRows, event_row
from app.stores.sql.log_reader import SqlLogReader
from app.stores.sql.tail import Tail

log = structlog.stdlib.get_logger("voztaxi.event_log")


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much is held in memory and for how long. Times are in seconds."""

    tail_events: int = 1_000
    """Written records that a thread keeps in memory."""
    idle_threads: int = 1_000
    """Threads in memory beyond which idle ones go."""
    idle_after: float = 60.0
    """A thread that nobody used for this long leaves memory."""
    backlog: int = 50_000
    """Unwritten rows beyond which appending fails."""
    batch: int = 1_000
    """Rows per transaction."""
    write_every: float = 0.03
    """How long rows gather before they are written."""
    longest_backoff: float = 2.0
    """Longest pause between attempts while the database fails."""
    prune_every: float = 60.0
    """Pause between deletions of what is no longer kept."""
    close: float = 5.0
    """Longest wait for the last rows when the log is closed."""


class SqlEventLog:
    """An ``EventLog`` for one process, open inside ``async with``, which also writes in the background.

    Args:
        database: Open for longer than the log is.
        new_id: Makes epochs.
        now_ms: The clock by which events grow old.
        max_events: Records kept per thread.
        max_age_ms: How long a record is kept.
        limits: Bounds that matter for memory and speed only.
    """

    def __init__(
        self,
        database: Database,
        *,
        new_id: NewId,
        now_ms: NowMs,
        max_events: int,
        max_age_ms: float,
        limits: LogLimits | None = None,
    ) -> None:
        self._database = database
        self._journal = Journal(database)
        self._new_id = new_id
        self._now_ms = now_ms
        self._max_events = max_events
        self._max_age_ms = max_age_ms
        self._limits = limits or LogLimits()
        self._tails: OrderedDict[str, Tail] = OrderedDict()  # the longest unused first
        self._owing: dict[str, Tail] = {}  # what the writer has to look at, in the order of arrival
        self._backlog = 0
        self._work = anyio.Event()
        self._closing = anyio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Take the journal and begin to write.

        Raises:
            StoreError: The database cannot be used.
        """
        await self._journal.open()
        # Tasks of their own rather than a task group: they must outlive the cancellation of whoever
        # opened the log, to write what is queued.
        self._tasks = [asyncio.create_task(self._write_until_closed()), asyncio.create_task(self._prune_until_closed())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is queued, for as long as the limits allow."""
        self._closing.set()
        self._work.set()
        with anyio.move_on_after(self._limits.close, shield=True):
            await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.cancel()
        with anyio.move_on_after(self._limits.close, shield=True):
            await asyncio.wait(self._tasks)
        self._tasks = []
        if self._owing:
            log.error("events were not written", rows=self._backlog)
            return
        try:
            await self._journal.close()
        except StoreError as failure:
            log.warning("journal was not closed", exc_info=failure)

    async def position(self, thread_id: str) -> Position:
        """See ``EventLog``."""
        return (await self._tail(thread_id)).position

    async def append(self, thread_id: str, events: Sequence[Event], *, durable: bool = False) -> Sequence[Record]:
        """See ``EventLog``."""
        self._check_open()
        if not events:
            return []
        tail = self._tails.get(thread_id)
        if not durable and tail is not None and tail.is_ready:
            return self._append_now(tail, events)
        async with self._locked(thread_id) as tail:
            return await self._append_durably(tail, events) if durable else self._append_now(tail, events)

    @asynccontextmanager
    async def open(
        self, thread_id: str, *, after_seq: int | None = None, epoch: str | None = None
    ) -> AsyncIterator[SqlLogReader]:
        """See ``EventLog``."""
        tail = await self._tail(thread_id)
        tail.holders += 1
        try:
            yield SqlLogReader(tail, self._journal, after_seq=after_seq, epoch=epoch)
        finally:
            tail.holders -= 1

    async def renew(self, thread_id: str) -> None:
        """See ``EventLog``."""
        self._check_open()
        async with self._locked(thread_id) as tail, self._changing(tail):
            async with self._database.write() as connection:
                newest = Position(tail.last_seq, self._new_id())
                await self._journal.renew(connection, thread_id, newest)
                await connection.commit()
                self._settle(tail, len(tail.unwritten))
                tail.renew(newest)

    async def forget(self, thread_id: str) -> None:
        """See ``EventLog``."""
        self._check_open()
        async with self._locked(thread_id) as tail, self._changing(tail):
            async with self._database.write() as connection:
                await self._journal.forget(connection, thread_id)
                await connection.commit()
                self._settle(tail, len(tail.unwritten))
                del self._tails[thread_id]
                tail.close()

    async def flush(self) -> None:
        """Write everything that was appended so far.

        Raises:
            StoreError: It could not be written; it stays queued.
        """
        while self._owing:
            await self._write_batch()

    async def prune(self) -> None:
        """Delete what is older, or more, than the log keeps.

        Raises:
            StoreError: Not everything was deleted.
        """
        found_all = False
        while not found_all:
            outdated = await self._journal.outdated(
                before_ms=self._now_ms() - int(self._max_age_ms), max_events=self._max_events, limit=_PRUNED_AT_ONCE
            )
            for thread_id, seq in outdated.items():
                async with self._database.write() as connection:
                    tail = self._tails.get(thread_id)
                    until = seq if tail is None or not tail.loaded else min(seq, tail.written_seq)
                    await self._journal.delete_until(connection, thread_id, until)
                    await connection.commit()
                    if tail is not None:
                        tail.drop_until(until)
            found_all = len(outdated) < _PRUNED_AT_ONCE

    def _check_open(self) -> None:
        if not self._tasks or self._closing.is_set():
            raise StoreError("El registro de eventos está cerrado.")

    def _append_now(self, tail: Tail, events: Sequence[Event]) -> Sequence[Record]:
        """Publish events and queue their rows. Nothing here waits, so nothing can come between."""
        # An end is let through whatever the backlog: there is at most one for each running turn.
        if self._backlog + len(events) > self._limits.backlog and not any(event.terminal for event in events):
            raise StoreError("El registro de eventos no da abasto.")
        records = tail.number(events)
        tail.unwritten.extend(_rows(records))
        tail.publish(records)
        self._backlog += len(records)
        self._touch(tail)
        self._owe(tail)
        return records

    async def _append_durably(self, tail: Tail, events: Sequence[Event]) -> Sequence[Record]:
        """Write events, and publish them once they are committed. The caller holds the lock of ``tail``."""
        records = tail.number(events)
        rows = _rows(records)
        async with self._changing(tail), self._database.write() as connection:
            owed = len(tail.unwritten)
            await self._journal.write(connection, [tail.rows_with(rows)])
            await connection.commit()
            # From here on nothing waits: what is committed is published, whoever is cancelled.
            self._settle(tail, owed)
            tail.publish(records)
            tail.trim(self._limits.tail_events)
            self._touch(tail)
        return records

    @asynccontextmanager
    async def _changing(self, tail: Tail) -> AsyncIterator[None]:
        """Have the writer put the stored state right where a change fails that may have been committed."""
        try:
            yield
        except BaseException:
            if not tail.closed:
                tail.uncertain = True
                self._owe(tail)
            raise

    def _owe(self, tail: Tail) -> None:
        self._owing[tail.thread_id] = tail
        if not self._work.is_set():
            self._work.set()

    def _settle(self, tail: Tail, count: int) -> None:
        """Note that the ``count`` oldest rows of ``tail`` are no longer owed."""
        tail.mark_written(count)
        self._backlog -= count
        if not tail.unwritten:
            self._owing.pop(tail.thread_id, None)

    async def _tail(self, thread_id: str) -> Tail:
        """Return the tail of a thread, loaded. Whoever keeps it over an ``await`` counts as a holder."""
        self._check_open()
        tail = self._tails.get(thread_id)
        if tail is None or not tail.loaded:
            async with self._locked(thread_id) as tail:
                pass
        self._touch(tail)
        return tail

    @asynccontextmanager
    async def _locked(self, thread_id: str) -> AsyncIterator[Tail]:
        """Hold the tail of a thread, loaded, for oneself."""
        while True:
            tail = self._tails.get(thread_id)
            if tail is None:
                tail = self._tails[thread_id] = Tail(thread_id)
            tail.holders += 1
            try:
                async with tail.lock:
                    if tail.closed:  # forgotten while this waited: begin again with a new one
                        continue
                    self._check_open()
                    if not tail.loaded:
                        await self._load(tail)
                    yield tail
                    return
            finally:
                tail.holders -= 1

    async def _load(self, tail: Tail) -> None:
        epoch = self._new_id()
        stored = await self._journal.load(tail.thread_id, epoch)
        tail.load(stored or StoredThread(Position(0, epoch), first_seq=1))
        self._touch(tail)

    def _touch(self, tail: Tail) -> None:
        tail.touched = self._now_ms()
        self._tails.move_to_end(tail.thread_id)

    def _drop_idle(self) -> None:
        """Let the longest unused threads leave memory. It looks at a few of them at a time."""
        oldest_allowed = self._now_ms() - self._limits.idle_after * 1000
        for tail in list(islice(self._tails.values(), 256)):
            if len(self._tails) <= self._limits.idle_threads and tail.touched >= oldest_allowed:
                return
            if tail.is_idle:
                del self._tails[tail.thread_id]
            else:
                self._touch(tail)

    async def _write_batch(self) -> None:
        """Write the oldest rows that are owed, of as many threads as there is room for."""
        async with self._database.write() as connection:
            # Only now, with the database to itself, does it look at what is owed: a durable append, a
            # renewal or a forgotten thread may have changed that while it waited.
            written: list[tuple[Tail, ThreadRows]] = []
            room = self._limits.batch
            for tail in self._owing.values():
                if room <= 0:
                    break
                rows = tail.rows(room)
                written.append((tail, rows))
                room -= max(1, len(rows.rows))
            await self._journal.write(connection, [rows for _, rows in written])
            await connection.commit()
            for tail, rows in written:
                self._settle(tail, len(rows.rows))
                tail.trim(self._limits.tail_events)

    async def _write_until_closed(self) -> None:
        failures = 0
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            await self._pause(_backoff(failures, self._limits) if failures else self._limits.write_every)
            try:
                await self.flush()
                failures = 0
            except Exception as error:
                if failures == 0:
                    log.warning("events could not be written; they stay queued", exc_info=error, rows=self._backlog)
                failures += 1
            self._drop_idle()
            if self._closing.is_set() and not self._owing:
                return
            if self._owing or self._closing.is_set():
                self._work.set()

    async def _prune_until_closed(self) -> None:
        while not self._closing.is_set():
            try:
                await self.prune()
            except Exception as error:
                log.warning("old events could not be deleted", exc_info=error)
            self._drop_idle()
            await self._pause(self._limits.prune_every)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not while the log is being closed."""
        with anyio.move_on_after(seconds):
            await self._closing.wait()
