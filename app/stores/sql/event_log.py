"""The event log on an SQL database: readers live in memory, the journal is behind it.

An event that need not be durable reaches its readers at once and its row a moment later, in one
transaction with those of all other threads. A durable one is written first, together with what its
thread still owes, and reaches its readers the moment it is committed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from itertools import islice
from types import TracebackType
from typing import Self

import anyio
import structlog

from app.core.clock import NewId, NowMs
from app.core.errors import StoreError
from app.models.events import Position, ThreadEvent
from app.stores.sql.database import Database
from app.stores.sql.drivers.base import Work
from app.stores.sql.journal import Journal, StoredThread, event_rows
from app.stores.sql.limits import LogLimits
from app.stores.sql.log_reader import SqlLogReader
from app.stores.sql.log_writer import LogWriter
from app.stores.sql.tail import Tail

log = structlog.stdlib.get_logger("voztaxi.event_log")

_PRUNED_AT_ONCE = 500
_LOOKED_AT_ONCE = 256


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
        self._journal = Journal(database)
        self._new_id = new_id
        self._now_ms = now_ms
        self._max_events = max_events
        self._max_age_ms = max_age_ms
        self._limits = limits or LogLimits()
        self._writer = LogWriter(self._journal, self._limits)
        self._tails: OrderedDict[str, Tail] = OrderedDict()  # the longest unused first
        self._tasks: list[asyncio.Task[None]] = []
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Take the journal and begin to write.

        Raises:
            StoreError: The database cannot be used.
        """
        await self._journal.open()
        # Tasks of their own rather than a task group: they must outlive the cancellation of whoever
        # opened the log, to write what is queued.
        self._tasks = [asyncio.create_task(self._writer.run()), asyncio.create_task(self._keep_small())]
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is queued, for as long as the limits allow."""
        self._is_open = False
        writer, keeper = self._tasks
        keeper.cancel()
        self._writer.close()
        with anyio.move_on_after(self._limits.close, shield=True):
            await asyncio.wait(self._tasks)
        writer.cancel()
        with anyio.move_on_after(self._limits.close, shield=True):
            await asyncio.wait(self._tasks)
        if not self._writer.is_done:
            log.error("events were not written", rows=self._writer.backlog)
            return
        with anyio.move_on_after(self._limits.close, shield=True):
            try:
                await self._journal.close()
            except StoreError as failure:
                log.warning("journal was not closed", exc_info=failure)

    @property
    def backlog(self) -> int:
        """See ``EventLog``."""
        return self._writer.backlog

    async def position(self, thread_id: str) -> Position:
        """See ``EventLog``."""
        return (await self._tail(thread_id)).position

    async def append(self, thread_id: str, events: Sequence[ThreadEvent], *, durable: bool = False) -> None:
        """See ``EventLog``."""
        self._check_open()
        if not events:
            return
        tail = self._tails.get(thread_id)
        if tail is not None and tail.is_ready and not durable:
            self._append_now(tail, events)
            return
        async with self._locked(thread_id) as tail:
            if durable:
                await self._append_durably(tail, events)
            else:
                self._append_now(tail, events)

    async def append_with(self, thread_id: str, events: Sequence[ThreadEvent], work: Work[None]) -> None:
        """Log events durably, maybe none, in one transaction with ``work``, whose statements come first."""
        async with self._locked(thread_id) as tail:
            await self._append_durably(tail, events, work)

    def begin(self, thread_id: str) -> None:
        """See ``EventLog``."""
        if self._is_open and thread_id not in self._tails:
            tail = self._tails[thread_id] = Tail(thread_id)
            tail.load(StoredThread(Position(0, self._new_id()), first_seq=1))
            self._touch(tail)

    @asynccontextmanager
    async def open(
        self, thread_id: str, *, after_seq: int | None = None, epoch: str | None = None
    ) -> AsyncIterator[SqlLogReader]:
        """See ``EventLog``."""
        tail = await self._tail(thread_id)
        tail.holders += 1
        tail.readers += 1
        try:
            yield SqlLogReader(tail, self._journal, after_seq=after_seq, epoch=epoch)
        finally:
            tail.holders -= 1
            tail.readers -= 1

    async def is_read(self, thread_id: str) -> bool:
        """See ``EventLog``."""
        tail = self._tails.get(thread_id)
        return tail is not None and tail.readers > 0

    async def forget(self, thread_id: str) -> None:
        """See ``EventLog``."""
        async with self._locked(thread_id) as tail, self._changing(tail):
            await self._journal.forget(thread_id)
            self._writer.settle(tail, len(tail.unwritten))
            del self._tails[thread_id]
            tail.close()

    async def flush(self) -> None:
        """Write everything that was appended.

        Raises:
            StoreError: It could not be written; it stays queued.
        """
        await self._writer.flush()

    async def prune(self) -> None:
        """Delete what is older, or more, than the log keeps.

        Raises:
            StoreError: Not everything was deleted.
        """
        is_more = True
        while is_more:
            outdated = await self._journal.outdated(
                before_ms=self._now_ms() - int(self._max_age_ms), max_events=self._max_events, limit=_PRUNED_AT_ONCE
            )
            for thread_id, seq in outdated.items():
                await self._prune_thread(thread_id, seq)
            is_more = len(outdated) >= _PRUNED_AT_ONCE

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreError("El registro de eventos está cerrado.")

    def _append_now(self, tail: Tail, events: Sequence[ThreadEvent]) -> None:
        """Publish events and queue their rows. Nothing here waits, so nothing can come between."""
        # An end is let through whatever the backlog: there is at most one for each running turn.
        if self._writer.backlog + len(events) > self._limits.backlog and not any(event.terminal for event in events):
            raise StoreError("El registro de eventos no da abasto.")
        records = tail.number(events)
        tail.unwritten.extend(event_rows(records))
        tail.publish(records)
        self._writer.owe(tail, len(records))
        self._touch(tail)

    async def _append_durably(self, tail: Tail, events: Sequence[ThreadEvent], work: Work[None] | None = None) -> None:
        """Write events, and publish them once they are committed. The caller holds the lock of ``tail``."""
        records = tail.number(events)
        rows = event_rows(records)
        async with self._changing(tail):
            owed = len(tail.unwritten)
            await self._journal.write([tail.rows_with(rows)], along=work)
            # From here on nothing waits: what is committed is published, whoever is cancelled.
            self._writer.settle(tail, owed)
            tail.publish(records)
            tail.trim(self._limits.tail_events)
            self._touch(tail)

    @asynccontextmanager
    async def _changing(self, tail: Tail) -> AsyncIterator[None]:
        """Change what is stored of a thread, alone; where that fails, have it put right: it may be committed."""
        async with tail.storing:
            try:
                yield
            except BaseException:
                if not tail.closed:
                    tail.uncertain = True
                    self._writer.owe(tail, 0)
                raise

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

    async def _keep_small(self) -> None:
        """Now and then let go of what is no longer needed."""
        pruned = -self._limits.prune_every
        while True:
            self._drop_idle()
            if anyio.current_time() - pruned >= self._limits.prune_every:
                try:
                    await self.prune()
                except Exception as error:
                    log.warning("old events could not be deleted", exc_info=error)
                pruned = anyio.current_time()
            await anyio.sleep(self._limits.look_every)

    async def _prune_thread(self, thread_id: str, seq: int) -> None:
        tail = self._tails.get(thread_id)
        async with tail.storing if tail is not None else nullcontext():
            until = min(seq, tail.written_seq) if tail is not None and tail.loaded else seq
            await self._journal.delete_until(thread_id, until)
            tail = self._tails.get(thread_id)
            if tail is not None and tail.loaded:
                tail.drop_until(until)

    def _drop_idle(self) -> None:
        """Let the longest unused threads leave memory; it looks at a few of them at a time."""
        oldest_allowed = self._now_ms() - self._limits.idle_after * 1000
        for tail in list(islice(self._tails.values(), _LOOKED_AT_ONCE)):
            if len(self._tails) <= self._limits.idle_threads and tail.touched >= oldest_allowed:
                return
            if tail.is_idle:
                del self._tails[tail.thread_id]
            else:
                self._touch(tail)
