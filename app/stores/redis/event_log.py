"""The event log on Redis Streams, shared by any number of processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import anyio
import structlog

from app.core.clock import NewId, NowMs
from app.core.deadlines import store_deadline
from app.core.errors import StoreError
from app.models.events import Position, Record, ThreadEvent, TurnEvent
from app.stores.redis.channels import Channels
from app.stores.redis.client import RedisClient
from app.stores.redis.feed import Feed, RedisLogReader, read_records
from app.stores.redis.keys import thread_key
from app.stores.redis.log_scripts import FORGET, POSITION, READ
from app.stores.redis.log_writer import LogWriter, Retention

log = structlog.stdlib.get_logger("voztaxi.event_log")

_PAGE = 500
_KEPT_FOR_READERS = 256
_BACKLOG = 100_000
_CLOSE_SECONDS = 5.0


class RedisEventLog:
    """An ``EventLog``, open inside ``async with``.

    An event that need not be durable is queued and sent a moment later, in one round trip with those
    of all other threads. Readers, those of this process too, have events from Redis: they hear the
    thread's channel first and read the stream then, so that there is no gap between the two.

    Args:
        redis: Open for longer than the log is.
        channels: The same.
        token: What proves that this process may log events of a thread's turn; '' proves nothing and
            is not asked for.
        new_id: Makes epochs.
        now_ms: The clock by which events grow old.
        max_events: Records kept per thread.
        max_age_ms: How long a record is kept.
        kept_for_readers: Records of a thread that is read which stay in memory.
    """

    def __init__(
        self,
        redis: RedisClient,
        channels: Channels,
        *,
        token: Callable[[str], str],
        new_id: NewId,
        now_ms: NowMs,
        max_events: int,
        max_age_ms: float,
        kept_for_readers: int = _KEPT_FOR_READERS,
    ) -> None:
        self._redis = redis
        self._channels = channels
        self._new_id = new_id
        self._now_ms = now_ms
        self._max_age_ms = max_age_ms
        self._kept_for_readers = min(kept_for_readers, max_events)
        self._feeds: dict[str, Feed] = {}
        self._writer = LogWriter(
            redis,
            token=token,
            now_ms=now_ms,
            new_id=new_id,
            retention=Retention(max_events, max_age_ms),
            backlog=_BACKLOG,
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to write."""
        self._task = asyncio.create_task(self._writer.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is queued, for a while."""
        task, self._task = self._task, None
        assert task is not None
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._writer.flush()
        if self._writer.backlog:
            log.error("events were not written", events=self._writer.backlog)
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])

    @property
    def backlog(self) -> int:
        """See ``EventLog``."""
        return self._writer.backlog

    async def position(self, thread_id: str) -> Position:
        """See ``EventLog``."""
        with store_deadline(self._redis.timeout):
            return await self._writer.settle(thread_id) or (await self._look(thread_id))[0]

    async def append(self, thread_id: str, events: Sequence[ThreadEvent], *, durable: bool = False) -> None:
        """See ``EventLog``."""
        if self._task is None:
            raise StoreError("El registro de eventos está cerrado.")
        if not events:
            return
        try:
            rows = [event.model_dump_json() for event in events]
        except ValueError as error:
            raise StoreError("El evento no se puede guardar.") from error
        is_fenced = any(isinstance(event, TurnEvent) for event in events)
        once = next((event.once for event in events if event.once is not None), "")
        if durable:
            await self._writer.store(thread_id, rows, fenced=is_fenced, once=once)
        else:
            self._writer.add(thread_id, rows, fenced=is_fenced, once=once)

    def begin(self, thread_id: str) -> None:
        """See ``EventLog``; where a thread begins is for Redis to say."""

    @asynccontextmanager
    async def open(
        self, thread_id: str, *, after_seq: int | None = None, epoch: str | None = None
    ) -> AsyncIterator[RedisLogReader]:
        """See ``EventLog``."""
        feed = self._feeds.get(thread_id)
        if feed is None:
            feed = self._listen(thread_id)
        feed.holders += 1
        try:
            with store_deadline(self._redis.timeout):
                await self._writer.settle(thread_id)
                await feed.ready.wait()
                newest, first_seq, prior = await self._look(thread_id)
            feed.catch_up(newest)
            if after_seq is not None and epoch == prior.epoch and after_seq <= prior.seq:
                epoch = newest.epoch
            yield RedisLogReader(
                feed, self._fetch, self._refresh, position=newest, first_seq=first_seq, after_seq=after_seq, epoch=epoch
            )
        finally:
            feed.holders -= 1
            if not feed.holders:
                self._drop(feed)

    async def is_read(self, thread_id: str) -> bool:
        """See ``EventLog``."""
        channel = thread_key(thread_id, "channel")
        [(_, readers)] = await self._redis.call(lambda redis: redis.pubsub_numsub(channel))
        return bool(readers)

    async def forget(self, thread_id: str) -> None:
        """See ``EventLog``."""
        with store_deadline(self._redis.timeout):
            await self._writer.settle(thread_id)
        await self._redis.run(FORGET, _keys(thread_id), (thread_key(thread_id, "channel"),))
        feed = self._feeds.get(thread_id)
        if feed is not None:
            self._close(feed)

    async def flush(self) -> None:
        """Wait until everything that was appended is stored."""
        await self._writer.flush()

    def _listen(self, thread_id: str) -> Feed:
        feed = self._feeds[thread_id] = Feed(thread_id, kept=self._kept_for_readers)

        def hear(message: str) -> None:
            feed.hear(message)
            if feed.closed:
                self._drop(feed)

        feed.ready = self._channels.join(thread_key(thread_id, "channel"), hear, on_gap=feed.miss).ready
        return feed

    def _close(self, feed: Feed) -> None:
        feed.close()
        self._drop(feed)

    def _drop(self, feed: Feed) -> None:
        """Hear no longer; whoever opens the thread next begins anew."""
        if self._feeds.get(feed.thread_id) is feed:
            del self._feeds[feed.thread_id]
            self._channels.leave(thread_key(feed.thread_id, "channel"))

    async def _look(self, thread_id: str) -> tuple[Position, int, Position]:
        """Return the newest position, the oldest number and where the epoch before ended."""
        args = (self._new_id(), int(self._max_age_ms), self._now_ms())
        epoch, seq, first_seq, prior, prior_seq = await self._redis.run(POSITION, _keys(thread_id), args)
        return Position(int(seq), epoch), int(first_seq), Position(int(prior_seq), prior)

    async def _refresh(self, feed: Feed) -> None:
        newest, _, _ = await self._look(feed.thread_id)
        feed.catch_up(newest)
        if feed.closed:
            self._drop(feed)

    async def _fetch(self, thread_id: str, epoch: str, after_seq: int) -> Sequence[Record]:
        found = await self._redis.run(READ, _keys(thread_id), (epoch, after_seq + 1, _PAGE))
        if not found:
            return []
        first = int(found[0][0].partition("-")[0])
        return read_records(first, [fields[3] for _, fields in found])


def _keys(thread_id: str) -> list[str]:
    return [thread_key(thread_id, part) for part in ("events", "log", "once")]
