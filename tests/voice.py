"""A rider at a microphone, in process: loud is speech, and what it says stands in a script."""

from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from app.bootstrap.voice import Voice
from app.core.errors import AppError
from app.engines.codecs.formats import open_decoder
from app.models.account import ANYONE
from app.models.audio import HEARING_RATE, AudioFormat, bytes_of
from app.models.events import Interrupted, SttChunk, TtsChunk, TtsEnd, TurnEnd, TurnEvent
from app.pipeline.endpointing import EndpointRules
from app.pipeline.hearing import Hearing
from app.pipeline.tts import Speech
from app.services.voice import Speaker, VoiceSession
from app.turns.airwaves import Listener
from tests.desk import Desk
from tests.fakes import FakeStt, FakeTts, FakeVad

FRAME_MS = 20
LOUD = array("h", [8000, -8000] * (bytes_of(FRAME_MS, HEARING_RATE) // 4)).tobytes()
SILENT = bytes(bytes_of(FRAME_MS, HEARING_RATE))


def make_voice(stt: FakeStt, tts: FakeTts | None = None, **speech: object) -> Voice:
    """Return a voice of fakes, with the real hearing and the real stage."""
    return Voice(
        hearing=Hearing(decoders=open_decoder, vad=FakeVad(), stt=stt, rules=EndpointRules(), stt_timeout_seconds=5),
        speech=None if tts is None else Speech(tts, aloud=lambda text: text, **speech),  # type: ignore[arg-type]
    )


@dataclass
class Caller:
    """A rider on the line: speaks, and notes all that comes of it."""

    desk: Desk
    session: VoiceSession
    thread_id: str
    heard: list[TurnEvent] = field(default_factory=list)
    """What came of the thread, logged or not, in order."""
    complaints: list[AppError] = field(default_factory=list)
    news: anyio.Event = field(default_factory=anyio.Event)

    def speak(self, milliseconds: int = 600) -> None:
        """Make a sound for so long, all at once."""
        for _ in range(milliseconds // FRAME_MS):
            self.session.hear(LOUD)

    def be_quiet(self, milliseconds: int = 2000) -> None:
        """Make none for so long: any utterance is over then."""
        for _ in range(milliseconds // FRAME_MS):
            self.session.hear(SILENT)

    def say(self) -> None:
        """Say the next utterance of the script, to its end."""
        self.speak()
        self.be_quiet()

    async def until(self, kind: type[TurnEvent], *, count: int = 1) -> TurnEvent:
        """Wait until so many events of a kind came, and return the last of them."""
        while len(self.of(kind)) < count:
            await self.news.wait()
        return self.of(kind)[count - 1]

    def of(self, kind: type[TurnEvent]) -> list[TurnEvent]:
        """Return the events of a kind."""
        return [event for event in self.heard if isinstance(event, kind)]

    def note(self, event: object) -> None:
        """Take note of an event."""
        if isinstance(event, TurnEvent):
            self.heard.append(event)
            news, self.news = self.news, anyio.Event()
            news.set()


@asynccontextmanager
async def on_the_line(desk: Desk, thread_id: str = "t", *, speak: bool = True) -> AsyncIterator[Caller]:
    """Open a microphone on a thread, and follow what comes of it."""
    streaming = desk.services.streaming
    complaints: list[AppError] = []

    async def complain(error: AppError) -> None:
        complaints.append(error)

    async def follow(caller: Caller, listener: Listener) -> None:
        async with streaming.subscribe(thread_id) as reader:
            ready.set()
            while True:
                for record in await reader.read():
                    if isinstance(record.event, TtsEnd | TurnEnd):
                        while (sound := listener.take_of(record.event.turn_id)) is not None:
                            caller.note(sound)
                    caller.note(record.event)

    async def listen(caller: Caller, listener: Listener) -> None:
        while True:
            while (event := listener.take(2**62)) is not None:
                caller.note(event)
            await listener.wait()

    ready = anyio.Event()
    speaker = Speaker(thread_id, ANYONE, speak=speak)
    async with anyio.create_task_group() as tasks:
        with streaming.listen(thread_id) as listener:
            async with desk.services.voice.open(speaker, AudioFormat(), complain) as session:
                caller = Caller(desk, session, thread_id, complaints=complaints)
                tasks.start_soon(follow, caller, listener)
                tasks.start_soon(listen, caller, listener)
                await ready.wait()
                yield caller
        tasks.cancel_scope.cancel()


def types(events: Sequence[TurnEvent]) -> list[str]:
    """Return the kinds of events, without repetitions that follow each other."""
    kinds = [event.type for event in events]
    return [kind for index, kind in enumerate(kinds) if index == 0 or kinds[index - 1] != kind]


__all__ = ["Caller", "Interrupted", "SttChunk", "TtsChunk", "make_voice", "on_the_line", "types"]
