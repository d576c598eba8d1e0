"""The newest events of one thread as Redis tells them, for the readers of this process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from app.core.errors import LogTruncated
from app.models.events import EVENT, Position, Record
from app.stores.memory import ThreadLog, reaches_back

Fetch = Callable[[str, str, int], Awaitable[Sequence[Record]]]
"""Reads the records of a thread, in an epoch, after a number."""


class Feed(ThreadLog):
    """A ``ThreadLog`` that hears of records from elsewhere, and may miss some.

    Args:
        thread_id: The thread.
        kept: Records kept for readers that are a little behind; those further back ask Redis.
    """

    def __init__(self, thread_id: str, *, kept: int) -> None:
        super().__init__(Position(0, ""))
        self.thread_id = thread_id
        self.holders = 0
        """Readers, and those who are about to become one."""
        self._kept = kept
        self.ready = asyncio.Event()
        """Set once it hears."""
        self.stale = False
        """Records may have been missed: the newest position must be asked for."""

    def hear(self, message: str) -> None:
        """Take records as the log publishes them: epoch, first number, then one event a line."""
        epoch, first, *lines = message.split("\n")
        if self.epoch and epoch != self.epoch:
            self.close()
            return
        self.epoch = epoch
        records = read_records(int(first), lines)
        if records and records[0].seq > self.last_seq + 1:
            self.records.clear()
        new = [record for record in records if record.seq > self.last_seq]
        if new:
            self.publish(new)
            del self.records[: max(0, len(self.records) - self._kept)]

    def miss(self) -> None:
        """Messages may have been lost."""
        self.stale = True
        self.ring()

    def catch_up(self, newest: Position) -> None:
        """Learn the newest position from Redis itself."""
        self.stale = False
        if self.epoch and newest.epoch != self.epoch:
            self.close()
            return
        self.epoch = newest.epoch
        if newest.seq > self.last_seq:
            self.records.clear()
            self.last_seq = newest.seq
            self.ring()


def read_records(first: int, lines: Sequence[str]) -> list[Record]:
    """Return the records whose events are ``lines``, numbered from ``first``."""
    return [Record(first + index, EVENT.validate_json(line)) for index, line in enumerate(lines)]


class RedisLogReader:
    """A ``LogReader`` over a feed, and over Redis for what the feed does not have.

    There is no seam to lose a record in: the feed hears before the reader learns where the log is,
    and each call decides anew where the next number is to be had.

    Args:
        feed: Hears already.
        fetch: Reads from Redis.
        refresh: Asks Redis for the newest position on behalf of the feed.
        position: The newest position.
        first_seq: The oldest number that is kept.
        after_seq: Where to begin; None is the newest.
        epoch: What ``after_seq`` belongs to; None is not said.
    """

    def __init__(
        self,
        feed: Feed,
        fetch: Fetch,
        refresh: Callable[[Feed], Awaitable[None]],
        *,
        position: Position,
        first_seq: int,
        after_seq: int | None,
        epoch: str | None,
    ) -> None:
        self._feed = feed
        self._fetch = fetch
        self._refresh = refresh
        self.position = position
        self.recovered = reaches_back(position, first_seq, after_seq=after_seq, epoch=epoch)
        self._seq = position.seq if after_seq is None or not self.recovered else after_seq

    async def read(self) -> Sequence[Record]:
        """See ``LogReader``."""
        feed = self._feed
        while feed.last_seq <= self._seq and not feed.closed:
            if feed.stale:
                await self._refresh(feed)
            else:
                await feed.wait()
        if feed.closed:
            raise LogTruncated
        if feed.first_seq <= self._seq + 1:
            records: Sequence[Record] = feed.following(self._seq)
        else:
            records = await self._fetch(feed.thread_id, feed.epoch, self._seq)
        if not records or records[0].seq != self._seq + 1:
            raise LogTruncated
        self._seq = records[-1].seq
        return records
