"""Microphones: what is heard becomes turns, and the floor is the rider's as soon as the rider speaks.

A session hangs on a connection by its sound alone. When the connection is lost, what was heard is finalised as if
the microphone had been closed, and becomes a turn; whoever comes back reads it in the log.
"""

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import anyio
import structlog
from anyio.abc import TaskGroup

from app.core import metrics
from app.core.clock import NewId, NowMs
from app.core.errors import AppError, BadInput, Draining, SttError, TooManyMicrophones, VoiceOff
from app.core.tasks import beside
from app.models.account import Caller
from app.models.audio import AudioFormat
from app.models.events import Interrupted, SttChunk, TtsChunk
from app.models.inputs import MultitaskStrategy
from app.pipeline.hearing import Ear, Hearing, PartialTranscript, SpeechBegan, Utterance
from app.pipeline.playback import Playback
from app.services.recordings import Recording, RecordingService
from app.services.streaming_service import StreamingService
from app.turns.airwaves import Listener
from app.turns.floor import Verdict, judge

log = structlog.stdlib.get_logger("voztaxi.voice")

Outcome = Literal["turn", "resumed", "nothing", "refused", "failed"]
Complain = Callable[[AppError], Awaitable[None]]
"""Tells the rider what went wrong; after the connection is gone it does nothing."""

_ANY_SEQ = 2**63
"""A recording does not wait for the log."""
_COMPLAINT_SECONDS = 1.0
_FINAL_SECONDS = 15.0
"""How long what was heard last may take to be understood after its microphone was closed."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks into a microphone, and where."""

    thread_id: str
    caller: Caller
    client_id: str | None = None
    language: str | None = None
    speak: bool = True
    """Answer aloud too."""
    recording: Recording | None = None
    """Takes what is said; None where nothing is recorded."""


class VoiceService:
    """Opens microphones.

    Args:
        hearing: What hears; None where nothing does.
        speaks: Whether answers can be spoken.
        default_language: What is spoken where nobody says; ISO 639-1.
        streaming: Runs the turns.
        recordings: Record riders who consent; None where nobody is recorded.
        now_ms: The clock.
        new_id: Makes ids.
        max_sessions: Microphones that may be open at once.
    """

    def __init__(
        self,
        *,
        hearing: Hearing | None,
        speaks: bool,
        default_language: str,
        streaming: StreamingService,
        recordings: RecordingService | None,
        now_ms: NowMs,
        new_id: NewId,
        max_sessions: int,
    ) -> None:
        self._recordings = recordings
        self._hearing = hearing
        self.speaks = speaks
        """Whether answers can be spoken."""
        self._language = default_language
        self._streaming = streaming
        self._now_ms = now_ms
        self._new_id = new_id
        self._max_sessions = max_sessions
        self._tasks: TaskGroup = anyio.create_task_group()
        self.sessions = 0
        """Microphones that are open, or whose last words are still being understood."""

    @property
    def hears(self) -> bool:
        """Whether a microphone can be opened."""
        return self._hearing is not None

    async def __aenter__(self) -> Self:
        """Start."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Close all microphones."""
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def open(self, speaker: Speaker, audio: AudioFormat, complain: Complain) -> AsyncIterator["VoiceSession"]:
        """Open a microphone. On leaving the block it is closed, and what it heard last is still understood.

        Args:
            speaker: Who speaks.
            audio: What the microphone sends.
            complain: Tells what went wrong.

        Raises:
            VoiceOff: Nothing hears.
            TooManyMicrophones: As many are open as may be.
            Draining: The server is shutting down.
            SttError: The engine cannot be reached.
        """
        if self._hearing is None:
            raise VoiceOff
        if self._streaming.draining:
            raise Draining
        if self.sessions >= self._max_sessions:
            raise TooManyMicrophones
        session = VoiceSession(speaker, self._streaming, complain, now_ms=self._now_ms, new_id=self._new_id)
        await self._tasks.start(self._run, self._hearing, session, audio)
        try:
            yield session
        finally:
            session.finish()

    @asynccontextmanager
    async def record(self, thread_id: str, caller: Caller) -> AsyncIterator[Recording | None]:
        """Record a thread within the block: what its microphone hears and what is answered aloud.

        Args:
            thread_id: The thread.
            caller: Who consented, just now.

        Yields:
            What microphones are to give their sound to; None where nobody is recorded.
        """
        if self._recordings is None:
            yield None
            return
        async with self._recordings.open(thread_id, caller, consented_at=self._now_ms()) as recording:
            with self._streaming.listen(thread_id) as listener:
                async with beside(_follow(listener, recording)):
                    yield recording

    async def _run(
        self,
        hearing: Hearing,
        session: "VoiceSession",
        audio: AudioFormat,
        *,
        task_status: anyio.abc.TaskStatus[None],
    ) -> None:
        """Hear until the microphone is closed and its last utterance is over."""
        self.sessions += 1
        started = False
        try:
            with metrics.MICROPHONES.track_inprogress():
                async with hearing.open(audio, session.speaker.language or self._language) as ear:
                    session.ear = ear
                    if session.speaker.recording is not None:
                        ear.tap = session.speaker.recording.rider
                    task_status.started()
                    started = True
                    await session.listen()
        except Exception as error:
            if not started:
                raise
            log.exception("microphone failed", thread_id=session.speaker.thread_id)
            await session.complain(error if isinstance(error, AppError) else SttError())
        finally:
            session.is_open = False
            self.sessions -= 1


class VoiceSession:
    """One open microphone."""

    def __init__(
        self, speaker: Speaker, streaming: StreamingService, complain: Complain, *, now_ms: NowMs, new_id: NewId
    ) -> None:
        self.speaker = speaker
        self._tell_rider = complain
        self.is_open = True
        """Whether sound is taken."""
        self.ear: Ear
        self._streaming = streaming
        self._now_ms = now_ms
        self._new_id = new_id
        self._turn_id = ""
        self._is_known = False
        """The thread is known to be the speaker's."""
        self._is_allowed = False
        """What is being said may be taken."""
        self._deadline = anyio.CancelScope()

    def hear(self, frame: bytes) -> None:
        """Take what the microphone sent. Never waits.

        Raises:
            BadInput: With the code ``invalid_audio``: it cannot be read, or the microphone is closed.
        """
        if not self.is_open:
            raise BadInput("El micrófono está cerrado.", code="invalid_audio")
        self.ear.push(frame)

    async def complain(self, error: AppError) -> None:
        """Tell the rider what went wrong, if there is still somebody to tell, and without waiting for long."""
        with anyio.move_on_after(_COMPLAINT_SECONDS):
            try:
                await self._tell_rider(error)
            except Exception as unheard:  # the connection is gone, and sees to itself
                log.info("nobody was told", thread_id=self.speaker.thread_id, code=error.error_code, exc_info=unheard)

    def finish(self) -> None:
        """Close the microphone. What was heard is finalised."""
        if self.is_open:
            self.is_open = False
            self.ear.finish()
            self._deadline.deadline = anyio.current_time() + _FINAL_SECONDS

    async def listen(self) -> None:
        """Make turns of what is heard, until the microphone is closed."""
        with self._deadline:
            async for signal in self.ear:
                match signal:
                    case SpeechBegan():
                        self._turn_id = self._new_id()
                        self._is_allowed = await self._may_speak()
                        playback = self._streaming.playback(self.speaker.thread_id)
                        if playback is not None and self._is_allowed:
                            playback.hold()
                    case PartialTranscript(text=text) if self._is_allowed:
                        await self._tell(text)
                    case Utterance() if self._is_allowed:
                        await self._take(signal)
                    case _:
                        pass
        if self._deadline.cancelled_caught:
            log.warning("last words were not understood in time", thread_id=self.speaker.thread_id)

    async def _may_speak(self) -> bool:
        """Return whether the thread is not somebody else's. Until it has an owner, anybody may be faster."""
        if self._is_known:
            return True
        try:
            self._is_known = await self._streaming.may_use(self.speaker.thread_id, self.speaker.caller)
        except AppError as error:
            await self.complain(error)
            return False
        return True

    async def _tell(self, text: str) -> None:
        chunk = SttChunk(ts=self._now_ms(), thread_id=self.speaker.thread_id, turn_id=self._turn_id, text=text)
        try:
            await self._streaming.overhear(chunk)
        except AppError as error:  # a caption is lost, and nothing else
            log.warning("partial transcript was not logged", thread_id=chunk.thread_id, code=error.error_code)

    async def _take(self, utterance: Utterance) -> None:
        """Make a turn of an utterance, or none: then the agent goes on where it stopped."""
        playback = self._streaming.playback(self.speaker.thread_id)
        verdict = None if playback is None else _judge(utterance, playback)
        outcome: Outcome = "nothing"
        if utterance.failure is not None:
            outcome = "failed"
            await self.complain(utterance.failure)
        elif verdict == "resume":
            outcome = "resumed"
        elif utterance.text.strip():
            outcome = await self._submit(utterance, "enqueue" if verdict == "answer" else "interrupt")
        metrics.UTTERANCES.labels(outcome).inc()
        if playback is None:
            return
        if verdict == "answer" and outcome == "turn":
            playback.conclude()
        elif verdict != "interrupt" or outcome != "turn":
            playback.resume()

    async def _submit(self, utterance: Utterance, strategy: MultitaskStrategy) -> Outcome:
        speaker = self.speaker
        if speaker.recording is not None:
            ago_ms = (time.monotonic() - utterance.ended_at) * 1000 + utterance.speech_ms
            speaker.recording.mark(self._turn_id, "rider", ago_ms=ago_ms)
        try:
            await self._streaming.submit(
                utterance.text,
                thread_id=speaker.thread_id,
                caller=speaker.caller,
                client_id=speaker.client_id,
                language=speaker.language,
                strategy=strategy,
                heard_as=self._turn_id,
                speak=speaker.speak,
            )
        except AppError as error:
            await self.complain(error)
            return "refused"
        return "turn"


async def _follow(listener: Listener, recording: Recording) -> None:
    """Record what a thread is told aloud."""
    while True:
        while (event := listener.take(_ANY_SEQ)) is not None:
            match event:
                case TtsChunk():
                    recording.agent(base64.b64decode(event.audio), event.offset_ms, event.turn_id)
                case Interrupted():
                    recording.dropped(event.turn_id, event.offset_ms)
                case _:
                    pass
        await listener.wait()


def _judge(utterance: Utterance, playback: Playback) -> Verdict:
    heard = playback.heard(playback.text)
    return judge(
        utterance.text,
        speech_ms=utterance.speech_ms,
        heard=heard,
        unheard=playback.text[len(heard) :],
        remaining_ms=playback.remaining_ms,
    )
