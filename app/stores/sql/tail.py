"""The newest events of one thread in memory, and which of them still have to be written."""

import asyncio
from collections.abc import Sequence

import anyio

from app.models.events import Position
from app.stores.memory import ThreadLog
from app.stores.sql.journal import EventRow, StoredThread, ThreadRows


class Tail(ThreadLog):
    """A ``ThreadLog`` in front of the journal. Records leave it only after they were written.

    Args:
        thread_id: The thread.
    """

    def __init__(self, thread_id: str) -> None:
        super().__init__(Position(0, ""))
        self.thread_id = thread_id
        self.lock = anyio.Lock(fast_acquire=True)
        """Held by whoever loads, appends durably or forgets."""
        self.storing = asyncio.Lock()
        """Held by whoever changes what is stored, until what is here agrees with it. Taken after ``lock``."""
        self.touched = 0
        """When it was last used; milliseconds since the epoch."""
        self.holders = 0
        """Who uses it: readers, and calls that wait for it."""
        self.loaded = False
        self.kept_from = 1
        """The oldest number that the journal or this tail has."""
        self.prior: Position | None = None
        """Where the epoch before ended, if it is good up to there."""
        self.unwritten: list[EventRow] = []
        self.uncertain = False
        """A write failed that may have happened; what is stored must be made to agree with what is here."""

    def load(self, stored: StoredThread) -> None:
        """Take up where the journal is."""
        self.epoch, self.last_seq = stored.newest.epoch, stored.newest.seq
        self.kept_from, self.prior = stored.first_seq, stored.prior
        self.loaded = True

    @property
    def is_ready(self) -> bool:
        """Whether an event can be appended without any wait."""
        return self.loaded and not self.closed and not self.lock.locked()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost with it."""
        is_used = self.holders or self.lock.locked() or self.storing.locked()
        return not (is_used or self.unwritten or self.uncertain)

    @property
    def written_seq(self) -> int:
        """The newest number that was written."""
        return self.last_seq - len(self.unwritten)

    def rows(self, limit: int) -> ThreadRows:
        """Return what is to be written next: at most ``limit`` rows."""
        rows = self.unwritten[:limit]
        newest = Position(self.written_seq + len(rows), self.epoch)
        return ThreadRows(self.thread_id, newest, self.kept_from, rows, cut=self.uncertain)

    def rows_with(self, rows: Sequence[EventRow]) -> ThreadRows:
        """Return what is to be written where ``rows``, which follow the newest, go along."""
        newest = Position(self.last_seq + len(rows), self.epoch)
        return ThreadRows(self.thread_id, newest, self.kept_from, [*self.unwritten, *rows], cut=self.uncertain)

    def mark_written(self, count: int) -> None:
        """Note that the ``count`` oldest unwritten rows, and all before them, are stored as they are here."""
        del self.unwritten[:count]
        self.uncertain = False

    def trim(self, limit: int) -> None:
        """Keep ``limit`` records, and all that are not yet written."""
        del self.records[: max(0, len(self.records) - max(limit, len(self.unwritten)))]

    def drop_until(self, seq: int) -> None:
        """Records up to ``seq`` are no longer kept anywhere."""
        self.kept_from = max(self.kept_from, seq + 1)
        del self.records[: max(0, min(seq, self.written_seq) + 1 - self.first_seq)]

    def agrees(self, epoch: str | None, after_seq: int | None) -> bool:
        """Return whether ``after_seq`` of the epoch before means the same in this one."""
        return (
            self.prior is not None
            and epoch == self.prior.epoch
            and after_seq is not None
            and after_seq <= self.prior.seq
        )
