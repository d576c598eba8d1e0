"""Writes behind the readers' backs what was appended to the log."""

import anyio
import structlog

from app.stores.sql.journal import Journal, ThreadRows
from app.stores.sql.limits import LogLimits
from app.stores.sql.tail import Tail

log = structlog.stdlib.get_logger("voztaxi.event_log")

_FIRST_BACKOFF = 0.05


class LogWriter:
    """Knows which threads owe rows to the journal, and writes them in batches. Nothing is ever dropped.

    Args:
        journal: What to write to.
        limits: How much at once and how often.
    """

    def __init__(self, journal: Journal, limits: LogLimits) -> None:
        self._journal = journal
        self._limits = limits
        self._owing: dict[str, Tail] = {}
        self._work = anyio.Event()
        self._closing = anyio.Event()
        self.backlog = 0
        """Rows that are not yet written."""

    @property
    def is_done(self) -> bool:
        """Whether everything is written."""
        return not self._owing

    def owe(self, tail: Tail, count: int) -> None:
        """Note that ``count`` more rows of ``tail`` are to be written, or that it became uncertain."""
        self.backlog += count
        self._owing[tail.thread_id] = tail
        self._work.set()

    def settle(self, tail: Tail, count: int) -> None:
        """Note that the ``count`` oldest rows of ``tail`` were written, or are no longer wanted."""
        tail.mark_written(count)
        tail.trim(self._limits.tail_events)
        self.backlog -= count
        if not tail.unwritten:
            self._owing.pop(tail.thread_id, None)

    async def flush(self) -> None:
        """Write everything that is owed.

        Raises:
            StoreError: It could not be written; it stays queued.
        """
        while self._owing:
            await self._write_batch()

    async def run(self) -> None:
        """Write what is owed, soon after it is owed, until ``close`` was called and all is written."""
        failures = 0
        while not (self._closing.is_set() and self.is_done):
            await self._work.wait()
            self._work = anyio.Event()
            await self._gather(failures)
            try:
                await self.flush()
                failures = 0
            except Exception as error:
                if failures == 0:
                    log.warning("events could not be written and stay queued", exc_info=error, rows=self.backlog)
                failures += 1
                self._work.set()

    def close(self) -> None:
        """Have ``run`` return once all is written."""
        self._closing.set()
        self._work.set()

    async def _gather(self, failures: int) -> None:
        """Let rows gather, or the database recover. Nothing gathers once the log is being closed."""
        if failures == 0:
            with anyio.move_on_after(self._limits.write_every):
                await self._closing.wait()
        elif self._closing.is_set():
            await anyio.sleep(_FIRST_BACKOFF)
        else:
            with anyio.move_on_after(min(self._limits.longest_backoff, _FIRST_BACKOFF * 2 ** min(failures, 16))):
                await self._closing.wait()

    async def _write_batch(self) -> None:
        """Write the oldest rows that are owed, of as many threads as there is room for."""
        written: list[tuple[Tail, ThreadRows]] = []
        room = self._limits.batch
        try:
            for tail in list(self._owing.values()):
                if room <= 0:
                    break
                if written and tail.storing.locked():
                    continue  # a durable append takes its rows along
                await tail.storing.acquire()
                if self._owing.get(tail.thread_id) is not tail:  # while this waited it was written, or forgotten
                    tail.storing.release()
                    continue
                rows = tail.rows(room)
                written.append((tail, rows))
                room -= max(1, len(rows.rows))
            if written:
                await self._journal.write([rows for _, rows in written])
            for tail, rows in written:
                self.settle(tail, len(rows.rows))
        finally:
            for tail, _ in written:
                tail.storing.release()
