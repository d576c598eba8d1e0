"""From a microphone to utterances: codec, voice activity, endpointing, speech-to-text. As long as a session."""

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import anyio
import structlog
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from app.core.errors import AppError, BadInput, RateLimited, SttError, as_app_error
from app.engines.codecs.base import AudioDecoder
from app.engines.endpoint.base import EndpointEngine
from app.engines.stt.base import Recognition, SpeechHints, SttEngine, SttSession
from app.engines.vad.base import FRAME_BYTES, VadEngine
from app.models.audio import AudioFormat
from app.pipeline.endpointing import FRAME_MS, Began, Change, Ended, Endpointer, EndpointRules, Paused, Resumed, Settled

_PREROLL_MS = 300
"""Sound before the first that is surely speech: a consonant may lie there."""
_RECENT_MS = 10_000
"""Sound of an utterance that is kept to judge how complete it is."""
_MAX_WAITING_BYTES = 8 << 20
_MAX_WAITING_FRAMES = 4096
"""What may have come and not been heard yet: a client sends faster than sound is heard."""
_MAX_UNDERSTOOD_LATER = 2048
"""Frames of voice activity, about a minute, that may wait for an engine which still understands what was before."""
_MAX_SIGNALS = 16
"""Signals that may wait for whoever reads them."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks: voice activity has decided so."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What was understood so far of the utterance. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance is over. One for every ``SpeechBegan``."""

    text: str
    """Empty where it came to nothing: noise, or nobody understood it."""
    speech_ms: float
    """How long the speech was, pauses within it included."""
    ended_at: float
    """When the last sound of it came; seconds, monotonic."""
    failure: AppError | None = None
    """Why it was not understood, where an engine failed."""


Signal = SpeechBegan | PartialTranscript | Utterance


def _never(_text: str) -> bool:
    return False


def _nobody(_sound: bytes) -> None:
    """Nobody else listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Opens ears, and holds what they share."""

    decoders: Callable[[AudioFormat], AudioDecoder]
    """Raises ``BadInput`` where nothing reads a format."""
    vad: VadEngine
    stt: SttEngine
    rules: EndpointRules
    endpoint: EndpointEngine | None = None
    is_unfinished: Callable[[str], bool] = _never
    """Whether words so far want more."""
    terms: Sequence[str] = ()
    """Names that are likely to be said, the likeliest first."""
    now: Callable[[], float] = time.monotonic
    """Seconds, monotonic."""
    stt_timeout_seconds: float
    """Longest that an engine may take to open, or to understand an utterance that is over."""

    @asynccontextmanager
    async def open(self, audio: AudioFormat, language: str) -> AsyncIterator["Ear"]:
        """Open an ear for one microphone. Leaving the block forgets what was not understood yet.

        Args:
            audio: How the sound comes.
            language: ISO 639-1.

        Raises:
            BadInput: With the code ``invalid_audio``: nothing reads this format.
        """
        decoder = self.decoders(audio)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            with Ear(self, decoder, SpeechHints(language, self.terms), tasks) as ear:
                try:
                    yield ear
                except Exception as error:
                    failure = error  # raised below as it is, not as a group
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure


class _Frame(NamedTuple):
    """What a client sent at once."""

    sound: Iterable[bytes]
    size: int
    arrived_at: float


@dataclass(frozen=True, slots=True)
class _Stopped:
    """A part of an utterance is over."""

    at_ms: int
    may_go_on: bool
    heard_at: float


@dataclass(slots=True)
class _Spoken:
    """An utterance while it is understood. Who trails off and goes on speaks in parts."""

    began: Began
    is_announced: bool = False
    stopped: _Stopped | None = None
    parts: list[str] = field(default_factory=list)

    def text(self, more: str = "") -> str:
        """Return what was understood so far."""
        return " ".join(part for part in (*self.parts, more.strip()) if part)

    @property
    def speech_ms(self) -> int:
        """How long it lasts so far."""
        return self.stopped.at_ms - self.began.at_ms if self.stopped else 0


class Ear:
    """One microphone, for as long as it is open: frames go in, signals come out. Made by ``Hearing.open``.

    Two tasks carry the sound: one hears where speech begins and ends, the other understands it. What waits between
    them is bounded, and so is what waits before the first and after the second.
    """

    def __init__(self, hearing: Hearing, decoder: AudioDecoder, hints: SpeechHints, tasks: TaskGroup) -> None:
        self._hearing = hearing
        self._decoder = decoder
        self._hints = hints
        self._tasks = tasks
        self._log = structlog.get_logger(__name__).bind(engine=hearing.stt.name)
        self._waiting_bytes = 0
        self.tap: Callable[[bytes], object] = _nobody
        """Is given all that the microphone sent, as mono ``pcm_s16le`` at ``HEARING_RATE``."""
        # Hearing.
        self._activity = hearing.vad.open()
        self._endpointer = Endpointer(hearing.rules)
        self._before: deque[bytes] = deque(maxlen=-(-(hearing.rules.start_ms + _PREROLL_MS) // FRAME_MS))
        # The silence of a pause, which is part of the utterance where it goes on.
        self._held_back: list[bytes] = []
        self._recent: deque[bytes] = deque(maxlen=_RECENT_MS // FRAME_MS)
        self._last_voice_at = 0.0
        self._judgement = anyio.CancelScope()
        # Understanding.
        self._spoken: _Spoken | None = None
        self._patience = anyio.CancelScope()
        self._is_over = False
        # From the socket to hearing, from hearing to understanding, from there to whoever reads.
        self._frames_in, self._frames = anyio.create_memory_object_stream[_Frame](_MAX_WAITING_FRAMES)
        self._heard_in, self._heard = anyio.create_memory_object_stream[Began | bytes | Paused | _Stopped | Settled](
            _MAX_UNDERSTOOD_LATER
        )
        self._signals_in, self._signals = anyio.create_memory_object_stream[Signal](_MAX_SIGNALS)
        tasks.start_soon(self._listen)
        tasks.start_soon(self._understand)

    def __enter__(self) -> "Ear":
        return self

    def __exit__(self, *_reason: object) -> None:
        for stream in (self._frames_in, self._frames, self._heard_in, self._heard, self._signals_in, self._signals):
            stream.close()

    # The microphone's side.

    def push(self, frame: bytes) -> None:
        """Take what the client sent. Never waits.

        Raises:
            BadInput: With the code ``invalid_audio``: the frame cannot be read, or the microphone is closed. The
                next frame may be taken.
            RateLimited: More comes than can be heard; the frame is dropped.
        """
        if self._waiting_bytes + len(frame) > _MAX_WAITING_BYTES:
            raise RateLimited("Llega más sonido del que se alcanza a oír.")
        arrived_at = self._hearing.now()
        try:
            self._frames_in.send_nowait(_Frame(self._decoder.decode(frame), len(frame), arrived_at))
        except anyio.WouldBlock:
            raise RateLimited("Llega más sonido del que se alcanza a oír.") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise BadInput("El micrófono está cerrado.", code="invalid_audio") from None
        self._waiting_bytes += len(frame)

    def finish(self) -> None:
        """Close the microphone: what was heard is understood to its end, then there are no more signals."""
        self._frames_in.close()

    # The reader's side.

    def __aiter__(self) -> "Ear":
        return self

    async def __anext__(self) -> Signal:
        """Return the next signal."""
        try:
            return await self._signals.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise StopAsyncIteration from None

    # Hearing: where does speech begin, where does it end?

    async def _listen(self) -> None:
        with self._heard_in:
            sound = bytearray()
            while (frame := await self._next_frame()) is not None:
                for piece in frame.sound:
                    self.tap(piece)
                    sound += piece
                    await self._hear_whole_frames(sound, frame.arrived_at)
                self._waiting_bytes -= frame.size
            sound += self._decoder.flush()
            sound += bytes(-len(sound) % FRAME_BYTES)
            await self._hear_whole_frames(sound, self._hearing.now())
            await self._pass_on(self._endpointer.finish())

    async def _next_frame(self) -> _Frame | None:
        """Return what the client sends next; None at the end."""
        while True:
            stall_ms = self._hearing.rules.stall_ms if self._endpointer.is_undecided else math.inf
            with anyio.move_on_after(stall_ms / 1000):
                try:
                    return await self._frames.receive()
                except anyio.EndOfStream:
                    return None
            await self._pass_on(self._endpointer.finish())

    async def _hear_whole_frames(self, sound: bytearray, arrived_at: float) -> None:
        while len(sound) >= FRAME_BYTES:
            frame = bytes(sound[:FRAME_BYTES])
            del sound[:FRAME_BYTES]
            was_paused = self._endpointer.is_paused
            change = self._endpointer.push(self._activity.probability(frame))
            if self._endpointer.is_voiced:
                self._last_voice_at = arrived_at
            if isinstance(change, Began) or not self._endpointer.is_speaking:
                self._before.extend((*self._held_back, frame))
                self._held_back.clear()
            else:
                self._recent.append(frame)
                self._held_back.append(frame)
                if not (was_paused and self._endpointer.is_paused):
                    await self._heard_in.send(b"".join(self._held_back))
                    self._held_back.clear()
            await self._pass_on(change)
            # Much may have come at once, and others want to be heard too.
            await checkpoint()

    async def _pass_on(self, change: Change | None) -> None:
        if isinstance(change, Began):
            await self._heard_in.send(change)
            self._recent.extend(self._before)
            await self._heard_in.send(b"".join(self._before))
            self._before.clear()
        elif isinstance(change, Paused):
            await self._heard_in.send(change)
            self._begin_judging()
        elif isinstance(change, Resumed):
            self._judgement.cancel()
        elif isinstance(change, Ended):
            self._judgement.cancel()
            self._recent.clear()
            await self._heard_in.send(_Stopped(change.at_ms, change.may_go_on, self._last_voice_at))
        elif isinstance(change, Settled):
            await self._heard_in.send(change)

    def _begin_judging(self) -> None:
        """Ask whether the utterance sounds complete; whoever goes on meanwhile has answered."""
        if self._hearing.endpoint is not None:
            self._judgement = anyio.CancelScope()
            self._tasks.start_soon(self._judge, self._hearing.endpoint, b"".join(self._recent), self._judgement)

    async def _judge(self, endpoint: EndpointEngine, utterance: bytes, judgement: anyio.CancelScope) -> None:
        with judgement:
            try:
                completeness = await endpoint.completeness(utterance)
            except Exception:
                self._log.warning(
                    "end of turn not judged", endpoint=endpoint.name, exc_info=True
                )  # silence is the rule
                return
            if not judgement.cancel_called:
                self._endpointer.hint_completeness(completeness)

    # Understanding: what was said?

    async def _understand(self) -> None:
        """Keep a session with the engine; one that failed is replaced when somebody speaks again."""
        with self._signals_in:
            while not self._is_over:
                try:
                    with anyio.CancelScope() as self._patience:
                        self._expect_engine()
                        async with self._hearing.stt.open(self._hints) as session:
                            await self._understand_utterances(session)
                            self._expect_engine()
                    if self._patience.cancelled_caught:
                        raise SttError("El reconocimiento de voz no respondió a tiempo.")
                except Exception as error:
                    await self._give_up(error)

    async def _understand_utterances(self, session: SttSession) -> None:
        self._expect_speech()
        while (spoken := await self._next_utterance()) is not None:
            text = await self._recognise(session, spoken)
            self._expect_speech()
            spoken.parts.append(text)
            if not await self._goes_on(spoken):
                await self._deliver(spoken)

    async def _next_utterance(self) -> _Spoken | None:
        """Return the utterance that has begun, or the next one that does; None at the end."""
        while self._spoken is None:
            try:
                item = await self._heard.receive()
            except anyio.EndOfStream:
                self._is_over = True
                return None
            if isinstance(item, Began):
                self._spoken = _Spoken(item)
        if not self._spoken.is_announced:
            await self._signals_in.send(SpeechBegan())
            self._spoken.is_announced = True
        return self._spoken

    async def _recognise(self, session: SttSession, spoken: _Spoken) -> str:
        """Return what was said until the speaker stopped."""
        text = ""
        self._expect_engine()
        async with session.recognise() as recognition, anyio.create_task_group() as tasks:
            self._expect_speech()
            tasks.start_soon(self._forward_partials, recognition, spoken)
            async for item in self._heard:
                if isinstance(item, bytes):
                    recognition.feed(item)
                elif isinstance(item, Paused):
                    recognition.pause()
                elif isinstance(item, _Stopped):
                    spoken.stopped = item
                    break
            self._expect_engine()
            text = await recognition.finish()
            tasks.cancel_scope.cancel()
        return text.strip()

    async def _forward_partials(self, recognition: Recognition, spoken: _Spoken) -> None:
        last = ""
        try:
            async for partial in recognition.partials():
                text = spoken.text(partial)
                if not text or text == last:
                    continue
                last = text
                self._endpointer.hint_unfinished(is_unfinished=self._hearing.is_unfinished(text))
                if self._signals_in.statistics().current_buffer_used < _MAX_SIGNALS:
                    self._signals_in.send_nowait(PartialTranscript(text))
        except Exception:
            self._log.warning("partial transcripts broke off", exc_info=True)  # the final one will tell

    async def _goes_on(self, spoken: _Spoken) -> bool:
        """Wait where the words want more; return whether the speaker goes on, rather than falls silent for long."""
        stopped = spoken.stopped
        assert stopped is not None
        is_long = spoken.speech_ms >= self._hearing.rules.max_utterance_ms
        if not stopped.may_go_on or is_long or not self._hearing.is_unfinished(spoken.text()):
            return False
        async for item in self._heard:
            if isinstance(item, Began):
                spoken.stopped = None
                return True
            if isinstance(item, Settled):
                break
        return False

    async def _give_up(self, error: Exception) -> None:
        """Wait until the utterance that the engine failed at is over, and say that it was not understood.

        Where there is none, wait for one before the engine is tried again.
        """
        found = as_app_error(error)
        failure = found if isinstance(found, SttError) else SttError()
        failure.__cause__ = failure.__cause__ or error
        self._log.warning("speech not understood", code=failure.error_code, exc_info=error)
        spoken = self._spoken
        if spoken is None:
            await self._next_utterance()
            return
        while spoken.stopped is None:
            item = await self._heard.receive()
            spoken.stopped = item if isinstance(item, _Stopped) else None
        await self._deliver(spoken, failure)

    async def _deliver(self, spoken: _Spoken, failure: SttError | None = None) -> None:
        assert spoken.stopped is not None
        text = "" if failure else spoken.text()
        await self._signals_in.send(Utterance(text, spoken.speech_ms, spoken.stopped.heard_at, failure))
        self._spoken = None

    def _expect_engine(self) -> None:
        """From now on the engine has so long."""
        self._patience.deadline = anyio.current_time() + self._hearing.stt_timeout_seconds

    def _expect_speech(self) -> None:
        """From now on it is people who take their time."""
        self._patience.deadline = math.inf
