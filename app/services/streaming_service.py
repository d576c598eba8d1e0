"""The facade of the voice core: take input, run its turn, let anybody read what comes of it.

Input goes in by ``submit``; output comes out only by reading the event log (``subscribe``). The
service owns the task group in which turns run, so a turn outlives the connection that began it.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import structlog
from anyio.abc import TaskGroup

from app.core.clock import NewId, NowMs
from app.core.errors import BadInput, Draining, RateLimited, TextTooLong, TurnInProgress
from app.models.conversation import TurnInput
from app.models.inputs import MultitaskStrategy
from app.services.threads import ThreadService
from app.stores.base import EventLog, LogReader
from app.turns.runner import Gate, TurnRunner

log = structlog.stdlib.get_logger("voztaxi.streaming")


@dataclass(slots=True)
class _Live:
    """A turn that runs."""

    said: TurnInput
    gate: Gate
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def interrupt(self) -> None:
        """End the turn. What was held goes out first."""
        self.gate.open()
        self.scope.cancel()


@dataclass(slots=True)
class _Lane:
    """The turns of one thread: one runs, others wait."""

    waiting: deque[_Live] = field(default_factory=deque)
    live: _Live | None = None
    at_work: bool = False
    listeners: int = 0
    deserted: anyio.CancelScope | None = None
    """Runs while nobody listens."""

    def welcome(self) -> None:
        """Stop the grace period: somebody listens again, or the turn has ended."""
        if self.deserted is not None:
            self.deserted.cancel()
            self.deserted = None

    def interrupt(self) -> None:
        """End all that runs or waits. Each still gets its start, its place in the history and its end."""
        for turn in (self.live, *self.waiting):
            if turn is not None:
                turn.interrupt()


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What one thread may ask of the service."""

    max_text_chars: int
    max_queued_turns: int
    grace_seconds: float
    """How long a turn runs on without a listener."""


class StreamingService:
    """Runs turns, one at a time per thread, whatever the transport."""

    def __init__(
        self,
        *,
        runner: TurnRunner,
        event_log: EventLog,
        threads: ThreadService,
        now_ms: NowMs,
        new_id: NewId,
        limits: ServiceLimits,
    ) -> None:
        self._runner = runner
        self._log = event_log
        self._threads = threads
        self._now_ms = now_ms
        self._new_id = new_id
        self._limits = limits
        self._lanes: dict[str, _Lane] = {}
        self._tasks: TaskGroup = anyio.create_task_group()
        self._idle_bell = anyio.Event()
        self._stopping = False
        self.draining = False

    async def __aenter__(self) -> Self:
        """Start; close what a dead process left open."""
        await self._tasks.__aenter__()
        closed = await self._runner.close_unfinished()
        if closed:
            log.warning("closed turns of a dead process", turns=closed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Interrupt what still runs; every turn gets its terminal event."""
        await self.drain(0)
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    @property
    def active_turns(self) -> int:
        """Turns that run or wait."""
        return sum(len(lane.waiting) + (lane.live is not None) for lane in self._lanes.values())

    def new_thread_id(self) -> str:
        """Return an id for a new thread."""
        return self._new_id()

    async def submit(
        self,
        text: str,
        *,
        thread_id: str,
        user_id: str | None = None,
        client_id: str | None = None,
        language: str | None = None,
        strategy: MultitaskStrategy = "interrupt",
    ) -> str:
        """Run a turn. Subscribe first: its events may come before this returns.

        Inputs of a thread keep the order in which they came. ``interrupt`` cuts short all that came
        before, running or waiting: their words stay in the history, so the answer can take them up.

        Args:
            text: What the rider said.
            thread_id: The conversation.
            user_id: Who says it.
            client_id: The front end's own name for the rider.
            language: Language tag the front end gives.
            strategy: What to do if a turn runs.

        Returns:
            The turn's id.

        Raises:
            BadInput: Empty or over-long text, a thread of somebody else, a turn in progress.
            Draining: The server is shutting down.
        """
        if self.draining:
            raise Draining
        if not text.strip():
            raise BadInput("El texto está vacío.")
        if len(text) > self._limits.max_text_chars:
            raise TextTooLong(f"El texto pasa de {self._limits.max_text_chars} caracteres.")
        await self._threads.authorise(thread_id, user_id)
        lane = self._lanes.setdefault(thread_id, _Lane())
        busy = lane.live is not None or lane.waiting
        if busy and strategy == "reject":
            raise TurnInProgress
        if len(lane.waiting) >= self._limits.max_queued_turns:
            raise RateLimited
        said = TurnInput(
            thread_id=thread_id,
            turn_id=self._new_id(),
            text=text,
            received_at=self._now_ms(),
            user_id=user_id,
            client_id=client_id,
            language=language,
        )
        if strategy == "interrupt":
            lane.interrupt()
        lane.waiting.append(_Live(said, self._runner.gate()))
        if not lane.at_work:
            lane.at_work = True
            self._tasks.start_soon(self._work, thread_id, lane)
        return said.turn_id

    @asynccontextmanager
    async def subscribe(
        self, thread_id: str, *, after_seq: int | None = None, epoch: str | None = None, user_id: str | None = None
    ) -> AsyncIterator[LogReader]:
        """Open a reader of a thread's events, and count as a listener meanwhile.

        Args:
            thread_id: The conversation.
            after_seq: Read what follows this; None is from now on.
            epoch: The life of the log that ``after_seq`` belongs to.
            user_id: Who is asking.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        await self._threads.authorise(thread_id, user_id)
        async with self._log.open(thread_id, after_seq=after_seq, epoch=epoch) as reader:
            lane = self._lanes.setdefault(thread_id, _Lane())
            lane.listeners += 1
            lane.welcome()
            try:
                yield reader
            finally:
                lane.listeners -= 1
                self._mind_listeners(thread_id, lane)

    async def cancel(self, thread_id: str, *, user_id: str | None = None) -> bool:
        """End the running turn of a thread as interrupted. Returns whether one ran.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        return await self._steer(thread_id, user_id, _Live.interrupt)

    async def pause(self, thread_id: str, *, user_id: str | None = None) -> bool:
        """Hold the delivery of the running turn. Returns whether one ran. Raises as ``cancel`` does."""
        return await self._steer(thread_id, user_id, lambda live: live.gate.close())

    async def resume(self, thread_id: str, *, user_id: str | None = None) -> bool:
        """Continue the delivery of the running turn. Returns whether one ran. Raises as ``cancel`` does."""
        return await self._steer(thread_id, user_id, lambda live: live.gate.open())

    async def position(self, thread_id: str) -> int:
        """Return the newest ``seq`` of a thread."""
        return (await self._log.position(thread_id)).seq

    async def forget(self, thread_id: str) -> bool:
        """End what runs on a thread and forget it. Returns whether there was one."""
        lane = self._lanes.get(thread_id)
        if lane is not None:
            lane.interrupt()
            await self._until_idle(lane)
        return await self._threads.forget(thread_id)

    async def drain(self, grace_seconds: float) -> None:
        """Take no new input; give running turns a grace period, then interrupt them."""
        self.draining = True
        with anyio.move_on_after(grace_seconds):
            await self._until_idle()
        self._stopping = True
        for lane in self._lanes.values():
            lane.interrupt()
        with anyio.CancelScope(shield=True):
            await self._until_idle()

    async def _until_idle(self, lane: _Lane | None = None) -> None:
        """Wait until ``lane``, or every one, has nothing to run."""
        while any(each.at_work for each in ([lane] if lane is not None else self._lanes.values())):
            await self._idle_bell.wait()

    async def _steer(self, thread_id: str, user_id: str | None, command: Callable[[_Live], None]) -> bool:
        await self._threads.authorise(thread_id, user_id)
        lane = self._lanes.get(thread_id)
        turn = lane and (lane.live or next(iter(lane.waiting), None))
        if not turn:
            return False
        command(turn)
        return True

    async def _work(self, thread_id: str, lane: _Lane) -> None:
        """Run the turns of a thread, one after the other, until none waits."""
        try:
            while lane.waiting:
                lane.live = live = lane.waiting.popleft()
                if self._stopping:
                    live.interrupt()
                self._mind_listeners(thread_id, lane)
                with live.scope:
                    await self._runner.run(live.said, live.gate)
                lane.live = None
                lane.welcome()
        except Exception:
            log.exception("turn broke its promise not to raise", thread_id=thread_id)
        finally:
            lane.live = None
            lane.at_work = False
            self._drop_if_unused(thread_id, lane)
            bell, self._idle_bell = self._idle_bell, anyio.Event()
            bell.set()

    def _mind_listeners(self, thread_id: str, lane: _Lane) -> None:
        """Start the grace period of a turn that nobody listens to."""
        if lane.listeners == 0 and lane.live is not None and lane.deserted is None:
            lane.deserted = anyio.CancelScope()
            self._tasks.start_soon(self._wait_for_listener, lane, lane.live, lane.deserted)
        self._drop_if_unused(thread_id, lane)

    async def _wait_for_listener(self, lane: _Lane, live: _Live, scope: anyio.CancelScope) -> None:
        with scope:
            await anyio.sleep(self._limits.grace_seconds)
            if lane.live is live:
                log.info("turn ended for want of a listener", thread_id=live.said.thread_id)
                live.interrupt()
        if lane.deserted is scope:
            lane.deserted = None

    def _drop_if_unused(self, thread_id: str, lane: _Lane) -> None:
        if not lane.at_work and not lane.listeners and self._lanes.get(thread_id) is lane:
            del self._lanes[thread_id]
