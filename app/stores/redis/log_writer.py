"""What a process has appended and Redis does not have yet."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import structlog

from app.core.clock import NewId, NowMs
from app.core.errors import AppError, LaneLost, StoreError
from app.models.events import Position
from app.stores.redis.client import Call, RedisClient
from app.stores.redis.keys import thread_key
from app.stores.redis.log_scripts import APPEND

log = structlog.stdlib.get_logger("voztaxi.event_log")

_AGAIN_SECONDS = 0.2
_THREADS_AT_ONCE = 64
_UNITS_AT_ONCE = 256
_NAMES_KEPT = 64


@dataclass(slots=True, eq=False)
class _Unit:
    """The events of one append: they stay together."""

    events: list[str]
    token: str
    once: str
    """What names them where the thread may have them only once, or ''."""
    done: asyncio.Future[None] | None = None
    """For whoever waits until they are stored."""

    @property
    def is_alone(self) -> bool:
        """Whether it has a batch of its own: one that may be given up, or left out because it is known."""
        return self.done is not None or self.once != ""

    def joins(self, other: "_Unit") -> bool:
        """Whether both may go in one batch."""
        return not self.is_alone and not other.is_alone and self.token == other.token


@dataclass(slots=True, eq=False)
class _Batch:
    number: int
    units: list[_Unit]


@dataclass(slots=True, eq=False)
class _Queue:
    """What waits for one thread; it is there as long as something does."""

    units: deque[_Unit] = field(default_factory=deque)
    batch: _Batch | None = None
    """On its way, or to be sent again: its number and what is in it stay."""
    taken: tuple[int, Position] | None = None
    """Number of the last batch that the log took, and where that left the thread."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What the log keeps of a thread."""

    max_events: int
    max_age_ms: float


class LogWriter:
    """Appends in batches, in the order of each thread, each batch once.

    The first append goes out at once; what comes while it is on its way makes up the next batch, so
    batches grow with the load. ``run`` must be running.

    Args:
        redis: The server.
        token: What proves that this process may write a thread's turn.
        now_ms: The clock.
        new_id: Makes epochs, and the name of the writer.
        retention: What is kept.
        backlog: Events that may wait, over all threads.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        token: Callable[[str], str],
        now_ms: NowMs,
        new_id: NewId,
        retention: Retention,
        backlog: int,
    ) -> None:
        self._redis = redis
        self._token = token
        self._now_ms = now_ms
        self._new_id = new_id
        self._retention = retention
        self._backlog_limit = backlog
        self._writer = new_id()
        self._number = 0
        self._queues: dict[str, _Queue] = {}
        self._due: dict[str, None] = {}
        """Threads that have something to send, longest first."""
        self._bell = asyncio.Event()
        self._progress = asyncio.Event()
        self.backlog = 0

    def add(self, thread_id: str, events: Sequence[str], *, fenced: bool, once: str) -> None:
        """Queue events, as JSON.

        Raises:
            StoreError: Too much waits already. What has a name is let through: there is one end for each
                running turn.
        """
        if self.backlog + len(events) > self._backlog_limit and not once:
            raise StoreError("El registro de eventos no da abasto.")
        self._put(thread_id, _Unit(list(events), self._token(thread_id) if fenced else "", once))

    async def store(self, thread_id: str, events: Sequence[str], *, fenced: bool, once: str) -> None:
        """Store events, after what waits.

        Raises:
            LaneLost: Another process has the lane.
            StoreError: They could not be stored, or it is not known: they never will be once anything
                else of the thread is.
        """
        done = asyncio.get_running_loop().create_future()
        unit = _Unit(list(events), self._token(thread_id) if fenced else "", once, done)
        self._put(thread_id, unit)
        try:
            await done
        except BaseException:
            self._give_up(thread_id, unit)
            raise

    async def flush(self) -> None:
        """Wait until everything is stored."""
        while self._queues:
            self._progress.clear()
            await self._progress.wait()

    async def settle(self, thread_id: str) -> Position | None:
        """Wait until all of one thread is stored.

        Returns:
            The newest position as it was since the call, where storing has told it.
        """
        queue = self._queues.get(thread_id)
        if queue is None:
            return None
        sent = self._number
        while (waiting := self._queues.get(thread_id)) is not None:
            queue = waiting
            self._progress.clear()
            await self._progress.wait()
        # What was sent before the call does not know what others stored between the two.
        return queue.taken[1] if queue.taken is not None and queue.taken[0] > sent else None

    async def run(self) -> None:
        """Send what is queued, for ever."""
        while True:
            while not self._due:
                await self._bell.wait()
                self._bell.clear()
            threads = [thread_id for thread_id, _ in zip(list(self._due), range(_THREADS_AT_ONCE), strict=False)]
            for thread_id in threads:
                del self._due[thread_id]
            batches = {thread_id: batch for thread_id in threads if (batch := self._next_batch(thread_id)) is not None}
            answers: list[object]
            try:
                answers = await self._redis.run_all([self._call(*item) for item in batches.items()])
            except StoreError as error:
                answers = [error] * len(batches)
            for (thread_id, batch), answer in zip(batches.items(), answers, strict=True):
                self._conclude(thread_id, batch, answer)
            failure = next((answer for answer in answers if isinstance(answer, Exception)), None)
            if failure is not None:
                log.warning("events could not be stored yet", waiting=self.backlog, exc_info=failure)
                await anyio.sleep(_AGAIN_SECONDS)

    def _put(self, thread_id: str, unit: _Unit) -> None:
        queue = self._queues.get(thread_id)
        if queue is None:
            queue = self._queues[thread_id] = _Queue()
        queue.units.append(unit)
        self.backlog += len(unit.events)
        self._due[thread_id] = None
        self._bell.set()

    def _next_batch(self, thread_id: str) -> _Batch | None:
        """Return what goes next."""
        queue = self._queues.get(thread_id)
        if queue is None:
            return None
        if queue.batch is None and queue.units:
            first = queue.units.popleft()
            units = [first]
            while len(units) < _UNITS_AT_ONCE and queue.units and queue.units[0].joins(first):
                units.append(queue.units.popleft())
            self._number += 1
            queue.batch = _Batch(self._number, units)
        return queue.batch

    def _call(self, thread_id: str, batch: _Batch) -> Call:
        keys = [thread_key(thread_id, part) for part in ("events", "log", "once", "lane:memory")]
        head = (
            self._writer,
            batch.number,
            batch.units[0].token,
            self._retention.max_events,
            int(self._retention.max_age_ms),
            self._now_ms(),
            self._new_id(),
            thread_key(thread_id, "channel"),
            batch.units[0].once,
            _NAMES_KEPT,
        )
        events = [event for unit in batch.units for event in unit.events]
        return APPEND, keys, (*head, *events)

    def _conclude(self, thread_id: str, batch: _Batch, answer: object) -> None:
        queue = self._queues.get(thread_id)
        if queue is None or queue.batch is not batch:
            return
        if isinstance(answer, Exception):
            self._fail(thread_id, queue)
            return
        queue.batch = None
        error: AppError | None = None
        match answer:
            case ["fenced"]:
                error = LaneLost()
                log.warning("events of a lost lane were held off", thread_id=thread_id)
            case ["taken", str(epoch), int(seq)]:
                queue.taken = batch.number, Position(seq, epoch)
        for unit in batch.units:
            self._settle(unit, error)
        if queue.units:
            self._due[thread_id] = None
        else:
            del self._queues[thread_id]
        self._progress.set()

    def _fail(self, thread_id: str, queue: _Queue) -> None:
        """Send a batch again; one that somebody waits for is theirs to give up or to repeat."""
        waits = queue.batch.units[0].done if queue.batch else None
        if waits is None:
            self._due[thread_id] = None
        elif not waits.done():
            waits.set_exception(StoreError("El registro de eventos no se pudo guardar."))

    def _give_up(self, thread_id: str, unit: _Unit) -> None:
        """Nobody waits for a durable append any more.

        One that is on its way may still be taken, until the next batch is.
        """
        queue = self._queues.get(thread_id)
        if queue is None:
            return
        if queue.batch is not None and unit in queue.batch.units:
            queue.batch = None
        elif unit in queue.units:
            queue.units.remove(unit)
        else:
            return
        self.backlog -= len(unit.events)
        if queue.units:
            self._due[thread_id] = None
        elif queue.batch is None:
            del self._queues[thread_id]
        self._progress.set()

    def _settle(self, unit: _Unit, error: AppError | None) -> None:
        self.backlog -= len(unit.events)
        if unit.done is None or unit.done.done():
            return
        if error is None:
            unit.done.set_result(None)
        else:
            unit.done.set_exception(error)
