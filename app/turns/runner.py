"""Runs a turn from its input to its one terminal event.

The guarantee lives in ``TurnRunner.run``: whatever happens inside, its ``finally`` saves what was
said and then logs exactly one ``TurnEnd``, after which the lifecycle lets nothing pass.
"""

import math
from collections.abc import AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import anyio
import structlog
from anyio import CancelScope, get_cancelled_exc_class

from app.core.clock import NowMs
from app.core.deadlines import store_deadline
from app.core.errors import AgentError as AgentFailure
from app.core.errors import AppError, ForbiddenThread, TtsError, TurnTimeout, as_app_error
from app.models.conversation import Message, TurnEnding, TurnInput
from app.models.events import (
    AgentEnd,
    AgentError,
    EventSource,
    Interrupted,
    ModelUsage,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsEnd,
    TurnEnd,
    TurnEvent,
    TurnStart,
    TurnStatus,
)
from app.pipeline.playback import Playback
from app.stores.base import ConversationStore, Endings, EventLog, Lease
from app.turns.lifecycle import Lifecycle, Phase
from app.turns.turn import Turn

log = structlog.stdlib.get_logger("voztaxi.turn")


_CLOSING_MS = 2000
"""A turn that ended is closed sooner than this."""
Publish = Callable[[TurnEvent, int], None]
"""Takes an event that is not logged, and the ``seq`` of the logged event that it follows; 0 is before any."""


class Stages(Protocol):
    """The stages of one turn, speech-to-text > agent > text-to-speech."""

    def open(self) -> AbstractAsyncContextManager[AsyncIterable[ThreadEvent]]:
        """Open the stages; nothing of them outlives the block."""
        ...

    def undelivered(self) -> Sequence[ThreadEvent]:
        """Return what the stages still had to say when they were closed."""
        ...

    async def reconcile(self, lines: Sequence[Message]) -> None:
        """Make the agent's memory agree with ``lines``, the story of a turn that was cut off."""
        ...


class Pipeline(Protocol):
    """Makes the stages of a turn."""

    def prepare(self, said: TurnInput, source: EventSource, playback: Playback | None = None) -> Stages:
        """Return the stages for one input, not yet open; with ``playback`` the answer is spoken too."""
        ...

    def playback(self) -> Playback | None:
        """Return what follows one spoken answer; None where nothing speaks."""
        ...


class Observer(Protocol):
    """Watches turns without taking part: logs, metrics, traces."""

    def observe(self, event: ThreadEvent) -> None:
        """Take note of an event that was logged, or that is for observers alone."""
        ...


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How long things may take, in seconds."""

    turn: float
    pause: float
    store: float


class Gate:
    """Holds the delivery of a turn. A held turn goes on by itself after ``limit`` seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._open: anyio.Event | None = None

    @property
    def is_closed(self) -> bool:
        """Whether delivery is held."""
        return self._open is not None

    def close(self) -> None:
        """Hold what comes next."""
        if self._open is None:
            self._open = anyio.Event()

    def open(self) -> None:
        """Go on."""
        if self._open is not None:
            self._open.set()
            self._open = None

    async def wait(self) -> None:
        """Return at once while open, else when opened or after the limit."""
        waiting = self._open
        if waiting is None:
            return
        with anyio.move_on_after(self._limit):
            await waiting.wait()
        if self._open is waiting:
            self.open()


class TurnRunner:
    """Runs turns: pipeline into log, then save, then the terminal event.

    Args:
        pipeline: Makes the stages.
        event_log: Where events are read.
        conversations: Where turns are saved.
        endings: Save, tell and close them.
        now_ms: The clock.
        limits: How long things may take.
        observers: Make what watches a turn.
        publish: Takes what is not logged, sound, and the ``seq`` that its readers must have been sent before.
    """

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        event_log: EventLog,
        conversations: ConversationStore,
        endings: Endings,
        now_ms: NowMs,
        limits: TurnLimits,
        observers: Sequence[Callable[[TurnInput], Observer]] = (),
        publish: Publish | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._log = event_log
        self._conversations = conversations
        self._endings = endings
        self._now_ms = now_ms
        self._limits = limits
        self._observers = observers
        self._publish = publish

    def gate(self) -> Gate:
        """Return a gate for one turn, open."""
        return Gate(self._limits.pause)

    def playback(self) -> Playback | None:
        """Return what follows one spoken answer; None where nothing speaks."""
        return self._pipeline.playback()

    async def claim(self, said: TurnInput) -> bool:
        """Begin a turn that may have been begun before, and return whether it is new, and to be run.

        Of a turn that could not be begun nothing is told: its message may be sent again, to be one turn.
        Nor of one whose thread has become somebody else's.

        Raises:
            StoreError: It cannot be known now.
        """
        run = _Run(self, said, self.gate())
        try:
            with CancelScope(shield=True):
                await run.begin()
        except ForbiddenThread:
            return False
        return run.is_new

    async def run(
        self, said: TurnInput, gate: Gate, lease: Lease, *, is_begun: bool = False, playback: Playback | None = None
    ) -> None:
        """Run one turn. Raises only cancellation: a failure is an event.

        With ``playback`` the answer is spoken, and a turn that is cut off keeps what was heard of it.
        Where ``lease`` is lost the turn is another process's to end, and falls silent. Nothing is told in a
        thread that has become somebody else's.
        """
        run = _Run(self, said, gate, has_begun=is_begun, playback=playback)
        outcome: TurnStatus = "completed"
        failure: AppError | None = None
        try:
            with structlog.contextvars.bound_contextvars(thread_id=said.thread_id, turn_id=said.turn_id):
                if not is_begun:
                    with CancelScope(shield=True):
                        await run.begin()
                await run.stages()
        except get_cancelled_exc_class():
            outcome = "interrupted"
            raise
        except ForbiddenThread:
            run.is_closed = True  # nothing was begun
        except Exception as error:
            outcome, failure = "failed", as_app_error(error)
            if failure.code == AppError.code:
                log.exception("turn failed unexpectedly", thread_id=said.thread_id, turn_id=said.turn_id)
        finally:
            if lease.is_lost:
                log.warning("turn was left to another process", thread_id=said.thread_id, turn_id=said.turn_id)
            elif not run.is_closed:
                with CancelScope(shield=True):
                    await run.finish(outcome, failure)
            lease.leaves_open |= not run.is_closed

    async def has_begun(self, turn_id: str) -> bool:
        """Return whether a turn was begun, here or elsewhere.

        Raises:
            StoreError: It cannot be known now.
        """
        with store_deadline(self._limits.store):
            return await self._conversations.turn(turn_id) is not None

    async def has_ended(self, turn_id: str) -> bool:
        """Return whether a turn was begun and saved as ended. Raises as ``has_begun`` does."""
        with store_deadline(self._limits.store):
            known = await self._conversations.turn(turn_id)
        return known is not None and known.status != "running"

    async def unfinished(self) -> Sequence[str]:
        """Return the threads with turns that were not closed: they run, or their process died.

        A turn that ended just now is being closed by whoever ended it.
        """
        with store_deadline(self._limits.store):
            unclosed = await self._conversations.unclosed_turns()
        just_now = self._now_ms() - _CLOSING_MS
        return list(
            dict.fromkeys(each.thread_id for each in unclosed if each.ended_at is None or each.ended_at < just_now)
        )

    async def close_unfinished(self, thread_id: str) -> int:
        """Give every turn that was left behind in a thread its terminal event. The caller has the lane.

        What the log has of the turn is taken up where it stops. A turn that was saved ends as it was
        saved, any other one has failed.

        Returns:
            How many there were.
        """
        with store_deadline(self._limits.store):
            unclosed = [each for each in await self._conversations.unclosed_turns() if each.thread_id == thread_id]
        for record in unclosed:
            said = TurnInput(
                thread_id=record.thread_id,
                turn_id=record.turn_id,
                text=record.text,
                received_at=record.started_at,
                replaces=record.replaces,
            )
            run = _Run(self, said, self.gate(), has_begun=True)
            await run.take_up()
            if record.status == "running":
                await run.finish("failed", AgentFailure("El proceso que respondía se detuvo.", code="worker_lost"))
            else:
                await run.finish(record.status, None)
        return len(unclosed)


class _Run:
    """One turn while it runs: its stages, its lifecycle, its story, its observers."""

    def __init__(
        self,
        runner: TurnRunner,
        said: TurnInput,
        gate: Gate,
        *,
        has_begun: bool = False,
        playback: Playback | None = None,
    ) -> None:
        self._said = said
        self._gate = gate
        self._log = runner._log
        self._publish = runner._publish
        self._conversations = runner._conversations
        self._endings = runner._endings
        self._limits = runner._limits
        self._source = EventSource(said.thread_id, said.turn_id, runner._now_ms)
        self._playback = playback
        self._stages = runner._pipeline.prepare(said, self._source, playback)
        self._lifecycle = Lifecycle()
        self._story = Turn(said)
        self._observers = [make(said) for make in runner._observers]
        self.is_closed = False
        """Nothing is left to do for the turn."""
        self.is_new = True
        """It was not known before it was begun here."""
        self._start_seq = 0
        """The least ``seq`` that the turn's start can have."""
        self._has_begun = has_begun
        """It is known to be stored that the turn runs."""
        self._told: TurnStatus | None = None
        """What the terminal event said, once it is out: whatever goes wrong from here on, there is no second one."""

    async def take_up(self) -> None:
        """Learn from the log what was said before the process died."""
        with store_deadline(self._limits.store):
            async with self._log.open(self._said.thread_id, after_seq=0) as reader:
                seq = 0 if reader.recovered else reader.position.seq
                while seq < reader.position.seq:
                    for record in await reader.read():
                        seq = record.seq
                        if isinstance(record.event, TurnEvent) and record.event.turn_id == self._said.turn_id:
                            if self._lifecycle.allows(record.event):
                                self._lifecycle.accept(record.event)
                                self._story.observe(record.event)
                            if isinstance(record.event, TurnEnd):
                                self._told = record.event.status

    async def begin(self) -> None:
        """Store that the turn runs and what the rider said, before anything is answered."""
        story = self._story
        try:
            with store_deadline(self._limits.store):
                self.is_new = await self._conversations.begin_turn(
                    story.record(), story.user_message(), story.conversation()
                )
        except ForbiddenThread:
            log.warning("somebody else opened the thread first", **self._ids)
            raise
        self._has_begun = True

    async def stages(self) -> None:
        """Log what the stages yield.

        A turn may take so long until its answer is complete; how long it then takes to be heard is the rider's
        affair.
        """
        with CancelScope(deadline=anyio.current_time() + self._limits.turn) as scope:
            if self._playback is not None:
                self._playback.on_complete = partial(setattr, scope, "deadline", math.inf)
            async with self._stages.open() as events:
                try:
                    async for event in events:
                        await self._wait_at_gate(scope)
                        await self._record(event)
                except BaseException:
                    # At once: what the stages protect may take a while to finish.
                    self._stop_sound()
                    raise
        if scope.cancelled_caught:
            raise TurnTimeout
        if not self._story.text:
            raise AgentFailure("El agente no dijo nada.", code="agent_silent")

    async def _wait_at_gate(self, scope: CancelScope) -> None:
        """Wait while delivery is held; that time does not count."""
        if not self._gate.is_closed:
            return
        remaining = scope.deadline - anyio.current_time()
        scope.deadline = math.inf
        await self._gate.wait()
        if self._playback is None or not self._playback.is_complete:
            scope.deadline = anyio.current_time() + remaining

    def _stop_sound(self) -> None:
        """Let the client drop what the rider has not heard."""
        heard_ms = None if self._playback is None else self._playback.cut()
        if heard_ms is None:
            return
        event = self._source.make(Interrupted, offset_ms=heard_ms)
        if self._lifecycle.allows(event):
            if self._publish is not None:
                self._publish(event, self._start_seq)
            self._note(event)

    async def finish(self, outcome: TurnStatus, failure: AppError | None) -> None:
        """Close what is open, save, and log the terminal event. Never raises.

        A turn whose terminal event is not known to be stored stays unclosed, to be found and ended later;
        so does one that was told to have failed because it could not be saved.
        """
        if self._playback is not None:
            if outcome == "completed":
                self._playback.conclude()
            else:
                self._stop_sound()
                self._story.keep(self._playback.heard(self._story.text))
        try:
            if self._told is None:
                await self._say_what_is_missing()
            ended_as = self._told or outcome
            lines = await self._settle(ended_as)
            events = self._last_events(outcome, failure) if self._told is None else []
            ending = TurnEnding(self._said.thread_id, self._said.turn_id, ended_as, self._source.now_ms(), lines)
            await self._endings.end(ending, events)
            self._note_end(events)
            self.is_closed = True
        except Exception as error:
            log.warning("turn could not be saved", exc_info=error, **self._ids)
            if self._told is None:
                await self._end_unsaved(failure if outcome == "failed" and failure else as_app_error(error))

    @property
    def _ids(self) -> dict[str, str]:
        return {"thread_id": self._said.thread_id, "turn_id": self._said.turn_id}

    async def _record(self, event: ThreadEvent) -> None:
        """Log one event of the stages; readers have it from then on. What is for observers alone is not logged."""
        if isinstance(event, ModelUsage):
            self._note(event)
            return
        if isinstance(event, AgentEnd) and self._lifecycle.has_finished(event.agent):
            return
        await self._append(event)
        if isinstance(event, SttOutput):
            await self._append(await self._turn_start())

    async def _turn_start(self) -> TurnStart:
        position = await self._log.position(self._said.thread_id)
        self._start_seq = position.seq + 1
        return self._source.make(TurnStart, epoch=position.epoch)

    async def _append(self, event: ThreadEvent) -> None:
        """Check an event, log it, or publish it where the log does not keep it, and note it."""
        if isinstance(event, TurnEvent):
            self._lifecycle.check(event)
        if event.replayable:
            await self._log.append(self._said.thread_id, [event])
        elif self._publish is not None and isinstance(event, TurnEvent):
            self._publish(event, self._start_seq)
        self._note(event)

    def _note(self, event: ThreadEvent) -> None:
        if isinstance(event, TurnEvent):
            self._lifecycle.accept(event)
        self._story.observe(event)
        for observer in self._observers:
            try:
                observer.observe(event)
            except Exception:
                log.exception("observer failed", event_type=event.type, **self._ids)

    async def _say_what_is_missing(self) -> None:
        """Bring a turn that broke off anywhere to where it may end.

        Words that were not delivered stay unsaid. What a tool did is told: a booking that was made
        while the turn was being interrupted is the rider's to know.
        """
        if self._lifecycle.phase is Phase.NEW:
            await self._append(self._source.make(SttOutput, text=self._said.text))
        if self._lifecycle.phase is Phase.HEARD:
            await self._append(await self._turn_start())
        for event in self._stages.undelivered():
            if isinstance(event, ToolCall | ToolResult) and self._lifecycle.allows(event):
                await self._append(event)
        for event in self._lifecycle.closing(self._source):
            await self._append(event)

    async def _settle(self, outcome: TurnStatus) -> Sequence[Message]:
        """Return the turn's lines; its start is stored by then, and the agents remember no other ones."""
        lines = self._story.messages(outcome)
        with store_deadline(self._limits.store):
            if not self._has_begun:
                await self.begin()
            if outcome != "completed":
                await self._stages.reconcile(lines)
        return lines

    async def _end_unsaved(self, failure: AppError) -> None:
        """Let the rider know that the turn failed, also where nothing can be saved.

        Where not even the start of the turn can be said, its end is for whoever finds it later.
        """
        try:
            with store_deadline(self._limits.store):
                await self._say_what_is_missing()
                events = self._last_events("failed", failure)
                await self._log.append(self._said.thread_id, events)
            self._note_end(events)
        except Exception:
            log.exception("turn ended badly", has_terminal_event=self._told is not None, **self._ids)

    def _last_events(self, outcome: TurnStatus, failure: AppError | None) -> list[TurnEvent]:
        """Return the terminal event, after the reason where there is one."""
        events: list[TurnEvent] = []
        if failure is not None:
            events.append(self._source.make(AgentError, error=failure.message, code=failure.error_code))
        if self._playback is not None:
            events.append(self._source.make(TtsEnd, code=TtsError.code if self._playback.has_failed else None))
        end = self._source.make(TurnEnd, status=outcome, text=self._story.text, booking_id=self._story.booking_id)
        return [*events, end]

    def _note_end(self, events: Sequence[TurnEvent]) -> None:
        """Note that a turn's last events were logged."""
        for event in events:
            if isinstance(event, TurnEnd):
                self._told = event.status
            self._note(event)
