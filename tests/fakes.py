"""Implementations with knobs: they do the real thing until they are told to fail or to hang."""

from array import array
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
import anyio.lowlevel
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.runnables import RunnableConfig

from app.core.errors import SttError, TtsError
from app.engines.fleet.base import FleetAnswer, FleetRefused, FleetUnavailable
from app.engines.llm.function_model import FunctionChatModel
from app.engines.stt.base import SpeechHints
from app.models.audio import HEARING_RATE, SPEAKING_RATE, bytes_of
from app.models.booking import Booking
from app.models.conversation import Conversation, Message, TurnRecord
from app.models.delivery import Delivery, DeliveryState
from app.models.events import ThreadEvent, TurnEnd, TurnStatus
from app.stores.memory import MemoryBookingStore, MemoryConversationStore, MemoryEventLog, MemoryOutbox

FaultKind = Literal["raise", "hang"]


class Broken(Exception):
    """What a fault raises: nothing the server knows."""


@dataclass
class Faults:
    """Which calls go wrong, by the number of the call (from 0)."""

    at: dict[int, FaultKind] = field(default_factory=dict)
    calls: int = 0

    async def strike(self) -> None:
        """Count a call, and fail or hang if this one is to."""
        kind = self.at.get(self.calls)
        self.calls += 1
        if kind == "raise":
            raise Broken
        if kind == "hang":
            await anyio.sleep_forever()


class FaultyConversations(MemoryConversationStore):
    """Conversations that fail or hang on order, and remember what was saved."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        self.ended: dict[str, TurnStatus] = {}

    async def begin_turn(self, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
        await self._faults.strike()
        return await super().begin_turn(turn, message, conversation)

    async def end_turn(self, turn_id: str, status: TurnStatus, ended_at: int, messages: Sequence[Message]) -> None:
        await self._faults.strike()
        await super().end_turn(turn_id, status, ended_at, messages)
        self.ended[turn_id] = status


class FaultyBookings(MemoryBookingStore):
    """Bookings that fail or hang on order, and can be made to wait in the middle of a dispatch."""

    def __init__(self, faults: Faults | None = None) -> None:
        super().__init__()
        self._faults = faults or Faults()
        self.entered = anyio.Event()
        self.go_on = anyio.Event()
        self.go_on.set()

    async def create(self, booking: Booking) -> Booking:
        self.entered.set()
        await self.go_on.wait()
        await self._faults.strike()
        return await super().create(booking)


FleetFault = Literal["unavailable", "lost", "refused", "hang"]


class FakeFleet:
    """A fleet that counts, and fails on order: not reached, answer lost, refused, silent."""

    takes_everything = False

    def __init__(self, *faults: FleetFault) -> None:
        self.faults = list(faults)
        self.posts: Counter[str] = Counter()
        self.taxis: dict[str, str] = {}
        """Booking by key: one taxi each."""
        self.cancelled: set[str] = set()
        self.was_cancelled = anyio.Event()
        self.asked = anyio.Event()
        self.go_on = anyio.Event()
        """Ends a silence."""

    async def dispatch(self, booking: Booking, *, key: str) -> FleetAnswer:
        self.posts[key] += 1
        self.asked.set()
        fault = self.faults.pop(0) if self.faults else None
        await anyio.lowlevel.checkpoint()
        if fault == "hang":
            await self.go_on.wait()
        if fault == "refused":
            raise FleetRefused("answered 422")
        if fault == "unavailable":
            raise FleetUnavailable("answered 500")
        if booking.booking_id in self.cancelled:
            raise FleetRefused("answered 410")
        self.taxis[key] = booking.booking_id
        if fault == "lost":
            raise FleetUnavailable("no answer in time")
        return FleetAnswer(eta_minutes=4)

    async def cancel(self, booking: Booking, *, key: str) -> None:
        self.posts[key] += 1
        self.cancelled.add(booking.booking_id)
        self.was_cancelled.set()


class DyingOutbox(MemoryOutbox):
    """An outbox whose process can die: from then on nothing is settled any more. Settling also fails on order."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults
        self.is_dead = False

    async def settle(
        self, claimed: Delivery, state: DeliveryState, *, next_attempt_at: int = 0, error: str | None = None
    ) -> bool:
        await anyio.lowlevel.checkpoint()
        if self.is_dead:
            raise Broken
        await self._faults.strike()
        return await super().settle(claimed, state, next_attempt_at=next_attempt_at, error=error)


class WatchedLog(MemoryEventLog):
    """A log whose durable appends fail or hang on order, and that checks the save came first."""

    def __init__(self, conversations: FaultyConversations, faults: Faults, **settings: Any) -> None:
        super().__init__(**settings)
        self._conversations = conversations
        self._faults = faults
        self.unsaved: list[str] = []
        """Turns that claimed to be complete before they were saved."""

    async def append(self, thread_id: str, events: Sequence[ThreadEvent], *, durable: bool = False) -> None:
        if durable:
            await self._faults.strike()
        for event in events:
            is_early = isinstance(event, TurnEnd) and self._conversations.ended.get(event.turn_id) != event.status
            if is_early and event.status == "completed":
                self.unsaved.append(event.turn_id)
        await super().append(thread_id, events, durable=durable)


ModelFault = Literal["raise", "hang", "stop"]


class FaultyModel(FunctionChatModel):
    """A chat model that breaks, hangs, or stops without its own end at a chunk given by number."""

    faults: dict[int, ModelFault] = {}
    chunks: int = 0

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        async for chunk in super().astream(input, config, stop=stop, **kwargs):
            fault = self.faults.get(self.chunks)
            self.chunks += 1
            await anyio.lowlevel.checkpoint()
            if fault == "raise":
                raise Broken
            if fault == "hang":
                await anyio.sleep_forever()
            if fault == "stop":
                return
            yield chunk


class ScriptedModel(FunctionChatModel):
    """A chat model that plays given chunks, one list per call."""

    script: list[list[AIMessageChunk]]
    played: int = 0
    function: Any = None
    heard: list[list[BaseMessage]] = []

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        chunks = self.script[self.played]
        self.played += 1
        self.heard.append(self._convert_input(input).to_messages())
        for chunk in chunks:
            yield chunk


@dataclass
class FakeTts:
    """A voice whose every character lasts as long as it is told, as a tone that never is silence. No numbers are read.

    Args:
        ms_per_character: How long a character sounds.
        delay: Seconds before the first sound of a sentence.
        piece_ms: How much sound comes at once.
        fails_after: It raises once so many sentences were spoken; None is never.
        hangs_after: It says nothing more once so many sentences were spoken; None is never.
        breaks_in_middle: A failure or a hang comes after the first piece of its sentence.
        sample_rate: Samples per second.
        name: What caches know it by.
    """

    ms_per_character: float = 60
    delay: float = 0
    piece_ms: float = 40
    fails_after: int | None = None
    hangs_after: int | None = None
    breaks_in_middle: bool = False
    sample_rate: int = SPEAKING_RATE
    name: str = "fake"
    spoken: list[str] = field(default_factory=list)
    """What it was asked to say, in order."""
    finished: list[str] = field(default_factory=list)
    """What it said to the end."""
    closed: int = 0
    """Sentences that are over, whichever way."""
    at_work: int = 0
    """Sentences that are being spoken now."""

    def sound(self, text: str) -> bytes:
        """Return the whole sound of a sentence: one and the same for the same words."""
        samples = bytes_of(len(text) * self.ms_per_character, self.sample_rate) // 2
        return (1000 + len(text) % 1000).to_bytes(2, "little", signed=True) * samples

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """See ``TtsEngine``."""
        number = len(self.spoken)
        self.spoken.append(text)
        self.at_work += 1
        try:
            await (anyio.sleep(self.delay) if self.delay else anyio.lowlevel.checkpoint())
            sound = self.sound(text)
            step = max(2, bytes_of(self.piece_ms, self.sample_rate))
            for start in range(0, len(sound), step):
                if start or not self.breaks_in_middle:
                    await self._break(number)
                yield sound[start : start + step]
                await anyio.lowlevel.checkpoint()
            await self._break(number)
            self.finished.append(text)
        finally:
            self.at_work -= 1
            self.closed += 1

    async def _break(self, number: int) -> None:
        if self.fails_after is not None and number >= self.fails_after:
            raise TtsError
        if self.hangs_after is not None and number >= self.hangs_after:
            await anyio.sleep_forever()


def words(*pieces: str, end: str | None = "stop") -> list[AIMessageChunk]:
    """Return a streamed answer of words; ``end`` None leaves out the end of stream."""
    chunks = [AIMessageChunk(content=piece) for piece in pieces]
    return chunks if end is None else [*chunks, AIMessageChunk(content="", response_metadata={"finish_reason": end})]


def calls(*named: tuple[str, str], text: str = "", ids: Sequence[str] | None = None) -> list[AIMessageChunk]:
    """Return a streamed answer that calls tools; each is a name and its arguments as JSON text."""
    chunks = [AIMessageChunk(content=text)] if text else []
    for index, (name, args) in enumerate(named):
        call_id = ids[index] if ids else f"call_{index}"
        chunk = {"name": name, "args": args, "id": call_id, "index": index, "type": "tool_call_chunk"}
        chunks.append(AIMessageChunk(content="", tool_call_chunks=[chunk]))
    return [*chunks, AIMessageChunk(content="", response_metadata={"finish_reason": "tool_calls"})]


def loud(milliseconds: float, rate: int = HEARING_RATE) -> bytes:
    """Return sound that ``FakeVad`` takes for speech: mono ``pcm_s16le``."""
    return _square_wave(8000, milliseconds, rate)


def quiet(milliseconds: float, rate: int = HEARING_RATE) -> bytes:
    """Return silence: mono ``pcm_s16le``."""
    return _square_wave(0, milliseconds, rate)


def _square_wave(amplitude: int, milliseconds: float, rate: int) -> bytes:
    period = array("h", [amplitude] * 20 + [-amplitude] * 20).tobytes()
    size = bytes_of(milliseconds, rate)
    return (period * (size // len(period) + 1))[:size]


class FakeVad:
    """Voice activity by loudness, and its own follower: what is loud is speech."""

    name = "fake"

    def __init__(self) -> None:
        self.frames = 0

    def open(self) -> "FakeVad":
        return self

    def probability(self, frame: bytes) -> float:
        self.frames += 1
        return 1.0 if max(array("h", frame), default=0) > 1000 else 0.0

    def reset(self) -> None:
        """Loudness has no past."""


@dataclass
class FakeStt:
    """A recogniser that reads utterances from a script, and fails, crashes, hangs or waits at those given by number."""

    transcripts: Sequence[str] = ()
    """What each utterance says, from the first; nothing is said in those that follow."""
    fail: Container[int] = ()
    crash: Container[int] = ()
    hang: Container[int] = ()
    delay: anyio.Event | None = None
    """What final transcripts wait for."""
    is_unreachable: bool = False
    name: str = "fake"
    hints: SpeechHints | None = None
    """With which the last session was opened."""
    recognitions: list["FakeRecognition"] = field(default_factory=list)
    """Every utterance, as it was heard."""
    open_sessions: int = 0
    open_recognitions: int = 0

    @asynccontextmanager
    async def open(self, hints: SpeechHints) -> AsyncIterator["FakeStt"]:
        await anyio.lowlevel.checkpoint()
        if self.is_unreachable:
            raise SttError
        self.hints = hints
        self.open_sessions += 1
        try:
            yield self
        finally:
            self.open_sessions -= 1

    @asynccontextmanager
    async def recognise(self) -> AsyncIterator["FakeRecognition"]:
        await anyio.lowlevel.checkpoint()
        if self.is_unreachable:
            raise SttError
        recognition = FakeRecognition(self, len(self.recognitions))
        self.recognitions.append(recognition)
        self.open_recognitions += 1
        try:
            yield recognition
        finally:
            self.open_recognitions -= 1
            recognition.end()


class FakeRecognition:
    """One utterance of the script; a word of it is partly understood with every 200 ms of sound."""

    def __init__(self, engine: FakeStt, number: int) -> None:
        self._engine = engine
        self._number = number
        self._words = engine.transcripts[number].split() if number < len(engine.transcripts) else []
        self._has_ended = False
        self._more = anyio.Event()
        self.audio = bytearray()
        self.pauses: list[int] = []
        """After how many bytes each was noticed."""

    def feed(self, audio: bytes) -> None:
        self.audio += audio
        self._wake()

    def pause(self) -> None:
        self.pauses.append(len(self.audio))

    async def partials(self) -> AsyncIterator[str]:
        said = 0
        while not self._has_ended and said < len(self._words):
            understood = min(len(self.audio) // bytes_of(200, HEARING_RATE), len(self._words))
            if understood > said:
                said = understood
                yield " ".join(self._words[:said])
            else:
                await self._more.wait()

    async def finish(self) -> str:
        await anyio.lowlevel.checkpoint()
        if self._number in self._engine.fail:
            raise SttError
        if self._number in self._engine.crash:
            raise Broken
        if self._number in self._engine.hang:
            await anyio.sleep_forever()
        if self._engine.delay is not None:
            await self._engine.delay.wait()
        self.end()
        return " ".join(self._words)

    def end(self) -> None:
        """End the partial transcripts."""
        self._has_ended = True
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = anyio.Event()
