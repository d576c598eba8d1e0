"""The facade of the voice core: take input, run its turn, let anybody read what comes of it.

Input goes in by ``submit``; output comes out only by reading the event log (``subscribe``). The
service owns the task group in which turns run, so a turn outlives the connection that began it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import structlog
from anyio.abc import TaskGroup

from app.core.bell import Bell
from app.core.clock import NewId, NowMs, stable_id
from app.core.errors import (
    BadInput,
    Draining,
    DuplicateMessage,
    Overloaded,
    RateLimited,
    StoreError,
    TextTooLong,
    TurnInProgress,
)
from app.core.trace_context import TRACEPARENT
from app.models.account import ANYONE, Caller
from app.models.conversation import Replaced, TurnInput
from app.models.events import Record, SttChunk
from app.models.inputs import MultitaskStrategy
from app.pipeline.playback import Playback
from app.services.threads import ThreadService
from app.stores.base import Command, EventLog, Lanes, Lease, LogReader
from app.turns.airwaves import Airwaves, Listener
from app.turns.runner import Gate, TurnRunner

log = structlog.stdlib.get_logger("voztaxi.streaming")

_AGAIN_SECONDS = 0.5
_CLOSED_AT_ONCE = 8
"""Threads of a dead process that are closed at the same time."""


@dataclass(slots=True)
class _Live:
    """A turn that runs."""

    said: TurnInput
    gate: Gate
    urge: Command | None
    """What a process that has the thread is told when this turn begins to wait."""
    may_be_known: bool
    """Another process may have run it."""
    playback: Playback | None
    """What of its answer was spoken and heard; None where it is only read."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def interrupt(self) -> None:
        """End the turn. What was held goes out first."""
        self.gate.open()
        self.scope.cancel()

    def obey(self, command: Command) -> None:
        """Do what the rider asks of the turn."""
        match command:
            case "cancel":
                self.interrupt()
            case "pause":
                self.gate.close()
            case "resume":
                self.gate.open()


@dataclass(slots=True)
class _Lane:
    """The turns of one thread: one runs, others wait."""

    waiting: list[_Live] = field(default_factory=list)
    live: _Live | None = None
    at_work: bool = False
    listeners: int = 0
    deserted: anyio.CancelScope | None = None
    """Runs while nobody listens."""
    taking: anyio.CancelScope | None = None
    """Waits for the thread, which another process may have."""

    def welcome(self) -> None:
        """Stop the grace period: somebody listens again, or the turn has ended."""
        if self.deserted is not None:
            self.deserted.cancel()
            self.deserted = None

    def has(self, turn_id: str) -> bool:
        """Whether a turn runs or waits here."""
        return any(turn is not None and turn.said.turn_id == turn_id for turn in (self.live, *self.waiting))

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
    max_active_turns: int
    """Over all threads; one runs on each."""
    grace_seconds: float
    """How long a turn runs on without a listener."""
    wait_seconds: float
    """How long an input waits for stores that cannot be reached."""
    sweep_seconds: float
    """How often turns of processes that died are looked for."""


class StreamingService:
    """Runs turns, one at a time per thread, whatever the transport and whichever process.

    Args:
        runner: Runs one.
        admit: Raises ``RateLimited`` where a caller may have no further turn now.
        event_log: Where what comes of it is read.
        lanes: Who runs the turns of a thread.
        threads: Whose a thread is.
        airwaves: Where its sound is heard.
        now_ms: The clock.
        new_id: Makes ids.
        limits: What one thread may ask.
    """

    def __init__(
        self,
        *,
        runner: TurnRunner,
        admit: Callable[[Caller], Awaitable[object]],
        event_log: EventLog,
        lanes: Lanes,
        threads: ThreadService,
        airwaves: Airwaves,
        now_ms: NowMs,
        new_id: NewId,
        limits: ServiceLimits,
    ) -> None:
        self._runner = runner
        self._admit = admit
        self._log = event_log
        self._shared_lanes = lanes
        self._threads = threads
        self._airwaves = airwaves
        self._now_ms = now_ms
        self._new_id = new_id
        self._limits = limits
        self._lanes: dict[str, _Lane] = {}
        self._at_work = 0
        self._tasks: TaskGroup = anyio.create_task_group()
        self._idle_bell = Bell()
        self._stopping = False
        self.draining = False

    async def __aenter__(self) -> Self:
        """Start; close what a dead process left open."""
        await self._tasks.__aenter__()
        self._shared_lanes.on_command(self._obey)
        await self._close_unfinished()
        self._tasks.start_soon(self._sweep)
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

    @property
    def waiting_turns(self) -> int:
        """Turns that wait behind another one, or for their thread."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def new_thread_id(self) -> str:
        """Return an id for a new thread."""
        return self._new_id()

    def turn_of(self, thread_id: str, message_id: str) -> str:
        """Return the id of the turn that a named message has, whether it was taken or not."""
        return stable_id(thread_id, message_id)

    async def has_ended(self, turn_id: str) -> bool:
        """Return whether a turn was begun and does not run any more.

        Raises:
            StoreError: It cannot be known now.
        """
        return await self._runner.has_ended(turn_id)

    async def submit(
        self,
        text: str,
        *,
        thread_id: str,
        caller: Caller = ANYONE,
        client_id: str | None = None,
        language: str | None = None,
        strategy: MultitaskStrategy = "interrupt",
        message_id: str | None = None,
        is_first: bool = False,
        subscription: "Subscription | None" = None,
        history_lines: int | None = None,
        replaces: Replaced | None = None,
        heard_as: str | None = None,
        speak: bool = False,
    ) -> str:
        """Run a turn. Subscribe first: its events may come before this returns.

        Inputs of a thread keep the order in which they came. ``interrupt`` cuts short all that came
        before, running or waiting: their words stay in the history, so the answer can take them up.

        Args:
            text: What the rider said.
            thread_id: The conversation.
            caller: Who says it.
            client_id: The front end's own name for the rider.
            language: Language tag the front end gives.
            strategy: What to do if a turn runs.
            message_id: The front end's own name for the message; one name has one turn in a thread.
            is_first: The name was made a moment ago, so nobody can have sent it before.
            subscription: One that the caller has: whose the thread is was asked there, and is once more when
                the turn is stored.
            history_lines: Newest lines of the conversation that the model is given.
            replaces: The turn that this one takes the place of; the caller has the thread (``hold``).
            heard_as: The id of the turn, where it was spoken: its partial transcripts have it (``overhear``).
            speak: Answer aloud too, where something speaks.

        Returns:
            The turn's id.

        Raises:
            BadInput: Empty or over-long text, a thread of somebody else, a turn in progress, a message
                that was taken before.
            Overloaded: Too many turns run.
            Draining: The server is shutting down.
        """
        if self.draining:
            raise Draining
        self.check(text)
        if subscription is None or (subscription.thread_id, subscription.caller) != (thread_id, caller):
            await self._threads.authorise(thread_id, caller)
        turn_id = self.turn_of(thread_id, message_id) if message_id is not None else heard_as or self._new_id()
        may_be_known = message_id is not None and not is_first
        if may_be_known and (self.has(thread_id, turn_id) or await self._runner.has_begun(turn_id)):
            raise DuplicateMessage(turn_id)
        if strategy == "reject" and thread_id not in self._lanes and not await self._shared_lanes.free([thread_id]):
            raise TurnInProgress
        await self._admit(caller)
        # From here on nothing waits: inputs keep the order in which they came.
        lane = self._lanes.setdefault(thread_id, _Lane())
        if lane.has(turn_id):
            raise DuplicateMessage(turn_id)
        if not lane.at_work and self._at_work >= self._limits.max_active_turns:
            self._drop_if_unused(thread_id, lane)
            raise Overloaded
        if strategy == "reject" and (lane.live is not None or lane.waiting):
            raise TurnInProgress
        if len(lane.waiting) >= self._limits.max_queued_turns:
            raise RateLimited
        said = TurnInput(
            thread_id=thread_id,
            turn_id=turn_id,
            text=text,
            received_at=self._now_ms(),
            owner=caller.account_id,
            user_id=caller.user_id,
            client_id=client_id,
            language=language,
            is_heard=heard_as is not None,
            history_lines=history_lines,
            replaces=replaces,
            traceparent=TRACEPARENT.get(),
        )
        if strategy == "interrupt":
            lane.interrupt()
        urge: Command | None = "cancel" if strategy == "interrupt" else None
        lane.waiting.append(
            _Live(
                said,
                self._runner.gate(),
                urge,
                may_be_known=message_id is not None,
                playback=self._runner.playback() if speak else None,
            )
        )
        if not lane.at_work:
            lane.at_work = True
            self._at_work += 1
            self._tasks.start_soon(self._work, thread_id, lane)
        return said.turn_id

    def check(self, text: str) -> None:
        """Refuse what no turn could be made of.

        Raises:
            BadInput: The text is empty or too long.
        """
        if not text.strip():
            raise BadInput("El texto está vacío.")
        if len(text) > self._limits.max_text_chars:
            raise TextTooLong(f"El texto pasa de {self._limits.max_text_chars} caracteres.")

    @asynccontextmanager
    async def subscribe(
        self,
        thread_id: str,
        *,
        after_seq: int | None = None,
        epoch: str | None = None,
        caller: Caller = ANYONE,
        is_new: bool = False,
        audio_from_ms: int | None = None,
    ) -> AsyncIterator["Subscription"]:
        """Open a reader of a thread's events, and count as a listener meanwhile.

        Args:
            thread_id: The conversation.
            after_seq: Read what follows this; None is from now on.
            epoch: The life of the log that ``after_seq`` belongs to.
            caller: Who is asking.
            is_new: The thread's id was made a moment ago, so nobody can have opened it yet.
            audio_from_ms: Where the sound of the running turn is to go on; None is where it was last heard.

        Raises:
            ForbiddenThread: The thread is somebody else's. The reader raises it too, where somebody else
                was faster to open the thread.
        """
        if is_new:
            self._log.begin(thread_id)
        is_open = not is_new and await self._threads.authorise(thread_id, caller) is not None
        async with self._log.open(thread_id, after_seq=after_seq, epoch=epoch) as reader:
            subscription = Subscription(reader, thread_id, caller, self._threads, is_open=is_open)
            lane = self._lanes.setdefault(thread_id, _Lane())
            lane.listeners += 1
            lane.welcome()
            if (
                lane.live is not None
                and lane.live.playback is not None
                and (lane.live.playback.is_held or audio_from_ms is not None)
            ):
                lane.live.playback.resume(audio_from_ms)
            try:
                yield subscription
            finally:
                lane.listeners -= 1
                self._mind_listeners(thread_id, lane)

    async def cancel(self, thread_id: str, *, caller: Caller = ANYONE) -> bool:
        """End the running turn of a thread as interrupted. Returns whether one ran.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        return await self._steer(thread_id, caller, "cancel")

    async def pause(self, thread_id: str, *, caller: Caller = ANYONE) -> bool:
        """Hold the delivery of the running turn. Returns whether one ran. Raises as ``cancel`` does."""
        return await self._steer(thread_id, caller, "pause")

    async def resume(self, thread_id: str, *, caller: Caller = ANYONE) -> bool:
        """Continue the delivery of the running turn. Returns whether one ran. Raises as ``cancel`` does."""
        return await self._steer(thread_id, caller, "resume")

    def listen(
        self, thread_id: str, on_first: Callable[[Listener], None] | None = None
    ) -> AbstractContextManager[Listener]:
        """Open a listener to the sound of a thread, beside a subscription: the caller may read the thread.

        ``on_first`` is called once, when the first sound comes.
        """
        return self._airwaves.listen(thread_id, on_first)

    def playback(self, thread_id: str, turn_id: str | None = None) -> Playback | None:
        """Return what is spoken on a thread now; None where nothing is, or another turn than ``turn_id``."""
        lane = self._lanes.get(thread_id)
        if lane is None or lane.live is None or turn_id not in (None, lane.live.said.turn_id):
            return None
        return lane.live.playback

    async def may_use(self, thread_id: str, caller: Caller) -> bool:
        """Return whether a thread is known to be the caller's; False is that nobody has opened it yet.

        Raises:
            ForbiddenThread: It is somebody else's.
        """
        return await self._threads.authorise(thread_id, caller) is not None

    async def overhear(self, partial: SttChunk) -> None:
        """Let readers of a thread see what was understood so far of an utterance. The caller may use the thread."""
        await self._log.append(partial.thread_id, [partial])

    async def position(self, thread_id: str) -> int:
        """Return the newest ``seq`` of a thread."""
        return (await self._log.position(thread_id)).seq

    async def forget(self, thread_id: str, *, caller: Caller = ANYONE) -> bool:
        """End what runs on a thread and forget it. Returns whether there was one. Raises as ``cancel`` does."""
        async with self.hold(thread_id, caller=caller):
            return await self._threads.forget(thread_id, caller)

    @asynccontextmanager
    async def hold(self, thread_id: str, *, caller: Caller = ANYONE) -> AsyncIterator[None]:
        """End what runs on a thread, and let nothing run there within the block; input waits.

        Raises as ``cancel`` does.
        """
        await self._threads.authorise(thread_id, caller)
        lane = self._lanes.get(thread_id)
        if lane is not None:
            lane.interrupt()
            await self._until_idle(lane)
        async with self._shared_lanes.take(thread_id, urge="cancel") as lease:
            if lease.was_abandoned:
                await self._runner.close_unfinished(thread_id)
            yield

    async def drain(self, grace_seconds: float) -> None:
        """Take no new input; give running turns a grace period, then interrupt them."""
        self.draining = True
        with anyio.move_on_after(grace_seconds):
            await self._until_idle()
        self._stopping = True
        for lane in self._lanes.values():
            lane.interrupt()
            if lane.taking is not None:
                lane.taking.cancel()
        with anyio.CancelScope(shield=True):
            await self._until_idle()

    async def _until_idle(self, lane: _Lane | None = None) -> None:
        """Wait until ``lane``, or every one, has nothing to run."""
        while any(each.at_work for each in ([lane] if lane is not None else self._lanes.values())):
            await self._idle_bell.wait()

    def has(self, thread_id: str, turn_id: str) -> bool:
        """Return whether a turn runs or waits in this process."""
        lane = self._lanes.get(thread_id)
        return lane is not None and lane.has(turn_id)

    async def _steer(self, thread_id: str, caller: Caller, command: Command) -> bool:
        await self._threads.authorise(thread_id, caller)
        return self._steer_here(thread_id, command) or await self._shared_lanes.command(thread_id, command)

    def _steer_here(self, thread_id: str, command: Command, on_behalf_of: str = "") -> bool:
        lane = self._lanes.get(thread_id)
        turn = lane and (lane.live or next(iter(lane.waiting), None))
        if not turn or turn.said.turn_id == on_behalf_of:
            return False
        turn.obey(command)
        return True

    def _obey(self, thread_id: str, command: Command, on_behalf_of: str) -> None:
        """Do what another process asks of the thread's turn.

        Not what is asked for the sake of that very turn: a message that was sent again to another process
        waits there for its end, and one that waits here for our own search for dead turns has the lane next.
        """
        self._steer_here(thread_id, command, on_behalf_of)

    async def _work(self, thread_id: str, lane: _Lane) -> None:
        """Run the turns of a thread, one after the other, until none waits."""
        try:
            while lane.waiting:
                await self._run_waiting(thread_id, lane)
        except Exception:
            log.exception("turn broke its promise not to raise", thread_id=thread_id)
        finally:
            lane.waiting.clear()
            lane.live = None
            lane.at_work = False
            self._at_work -= 1
            self._drop_if_unused(thread_id, lane)
            self._idle_bell.ring()

    async def _run_waiting(self, thread_id: str, lane: _Lane) -> None:
        """Run what waits in a lane while the thread is this process's."""
        first = lane.waiting[0]
        try:
            async with AsyncExitStack() as stack:
                with anyio.CancelScope() as waiting:
                    lane.taking = waiting
                    if self._stopping:
                        waiting.cancel()
                    taking = self._shared_lanes.take(thread_id, urge=first.urge, on_behalf_of=first.said.turn_id)
                    lease = await stack.enter_async_context(taking)
                    if lease.was_abandoned:
                        await self._runner.close_unfinished(thread_id)
                lane.taking = None
                if waiting.cancelled_caught:
                    # Nothing was said about these inputs yet; whoever sent them asks the next server.
                    lane.waiting.clear()
                while lane.waiting and not lease.is_lost:
                    first = lane.waiting[0]
                    is_new = not first.may_be_known or await self._runner.claim(first.said)
                    lane.waiting.remove(first)
                    if is_new:
                        await self._run(thread_id, lane, first, lease)
        except StoreError as error:
            # Nothing was said about it yet: it waits for the stores, as its rider does.
            log.warning("turn could not be begun", thread_id=thread_id, turn_id=first.said.turn_id, exc_info=error)
            if self._now_ms() - first.said.received_at > self._limits.wait_seconds * 1000 and first in lane.waiting:
                lane.waiting.remove(first)
            await anyio.sleep(_AGAIN_SECONDS)

    async def _run(self, thread_id: str, lane: _Lane, live: _Live, lease: Lease) -> None:
        lane.live = live
        if self._stopping:
            live.interrupt()
        self._mind_listeners(thread_id, lane)
        with live.scope:
            await self._runner.run(live.said, live.gate, lease, is_begun=live.may_be_known, playback=live.playback)
        lane.live = None
        lane.welcome()

    async def _close_unfinished(self) -> None:
        """Close the turns that nobody runs any more."""
        limiter = anyio.CapacityLimiter(_CLOSED_AT_ONCE)

        async def close(thread_id: str) -> None:
            async with limiter:
                try:
                    async with self._shared_lanes.take_free(thread_id) as lease:
                        if lease is not None and (closed := await self._runner.close_unfinished(thread_id)):
                            log.warning("closed turns of a dead process", thread_id=thread_id, turns=closed)
                except StoreError as error:
                    # The others are not to wait for this one, which is found again.
                    log.warning("turns of a dead process could not be closed", thread_id=thread_id, exc_info=error)

        async with anyio.create_task_group() as tasks:
            for thread_id in await self._shared_lanes.free(await self._runner.unfinished()):
                tasks.start_soon(close, thread_id)

    async def _sweep(self) -> None:
        """Now and then look for turns of processes that died."""
        while True:
            await anyio.sleep(self._limits.sweep_seconds)
            try:
                await self._close_unfinished()
            except Exception as error:
                log.warning("unfinished turns could not be closed", exc_info=error)

    def _mind_listeners(self, thread_id: str, lane: _Lane) -> None:
        """Start the grace period of a turn that nobody listens to. It is not spoken to nobody."""
        if lane.listeners == 0 and lane.live is not None and lane.deserted is None:
            if lane.live.playback is not None:
                lane.live.playback.hold()
            lane.deserted = anyio.CancelScope()
            self._tasks.start_soon(self._wait_for_listener, lane, lane.live, lane.deserted)
        self._drop_if_unused(thread_id, lane)

    async def _wait_for_listener(self, lane: _Lane, live: _Live, scope: anyio.CancelScope) -> None:
        with scope:
            is_heard = True
            while lane.live is live and is_heard:
                await anyio.sleep(self._limits.grace_seconds)
                is_heard = await self._is_heard(live.said.thread_id)
            if lane.live is live:
                log.info("turn ended for want of a listener", thread_id=live.said.thread_id)
                live.interrupt()
        if lane.deserted is scope:
            lane.deserted = None

    async def _is_heard(self, thread_id: str) -> bool:
        """Whether somebody listens to a thread in another process. In doubt the turn runs on."""
        try:
            return await self._log.is_read(thread_id)
        except StoreError:
            return True

    def _drop_if_unused(self, thread_id: str, lane: _Lane) -> None:
        if not lane.at_work and not lane.listeners and self._lanes.get(thread_id) is lane:
            del self._lanes[thread_id]


class Subscription:
    """A ``LogReader`` of a thread for one caller.

    Where nobody had opened the thread, whose it is shows with its first event.

    Args:
        reader: Reads.
        thread_id: The thread.
        caller: Who reads.
        threads: Know whose the thread is.
        is_open: Whether somebody has opened the thread, and the caller may read it.
    """

    def __init__(
        self, reader: LogReader, thread_id: str, caller: Caller, threads: ThreadService, *, is_open: bool
    ) -> None:
        self.thread_id = thread_id
        self.caller = caller
        self.is_open = is_open
        self.recovered = reader.recovered
        self.position = reader.position
        self._reader = reader
        self._threads = threads

    async def read(self) -> Sequence[Record]:
        """See ``LogReader``. Raises ``ForbiddenThread`` where the thread has become somebody else's.

        Where it cannot be known now whose the thread is, what was read waits until it can.
        """
        records = await self._reader.read()
        while not self.is_open:
            try:
                self.is_open = await self._threads.authorise(self.thread_id, self.caller) is not None
                break
            except StoreError as error:
                log.warning("whose a thread is cannot be known", thread_id=self.thread_id, exc_info=error)
                await anyio.sleep(_AGAIN_SECONDS)
        return records
