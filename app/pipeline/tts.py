"""The last stage: words for the rider become sound beside them."""

import base64
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup

from app.core.errors import TtsError
from app.core.resampling import converter
from app.engines.tts.base import TtsEngine
from app.models.audio import SPEAKING_RATE, bytes_of
from app.models.events import (
    AgentChunk,
    AgentEnd,
    EventSource,
    Interrupted,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
)
from app.pipeline.playback import Playback
from app.pipeline.sentences import Sentence, Sentences

log = structlog.stdlib.get_logger("voztaxi.tts")

_ROOM = 16
"""Events of the answer that may lie here untaken."""
_PIECE_BYTES = bytes_of(1000, SPEAKING_RATE)
"""No more sound is worked on at once: the event loop has others."""
_QUIET_SECONDS = 0.05


class SoundCache:
    """Sound of what is often said. The longest unused goes first.

    Args:
        max_bytes: How much sound is kept.
    """

    def __init__(self, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._sounds: OrderedDict[tuple[str, str, str], bytes] = OrderedDict()

    def get(self, key: tuple[str, str, str]) -> bytes | None:
        """Return the sound of an engine, a language and words."""
        sound = self._sounds.get(key)
        if sound is not None:
            self._sounds.move_to_end(key)
        return sound

    def put(self, key: tuple[str, str, str], sound: bytes) -> None:
        """Keep a sound, unless it alone is too much."""
        if len(sound) > self._max_bytes:
            return
        self._bytes += len(sound) - len(self._sounds.pop(key, b""))
        self._sounds[key] = sound
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._sounds.popitem(last=False)[1])

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._bytes


@dataclass(frozen=True, slots=True)
class Speech:
    """How answers are spoken."""

    engine: TtsEngine
    aloud: Callable[[str], str]
    """Makes of a sentence as it is read the words as they are said."""
    language: str = "es"
    """ISO 639-1."""
    cache: SoundCache = field(default_factory=SoundCache)
    fillers: tuple[str, ...] = ("Un momento…", "Ya casi…")
    """Said, one after the other, while tools take their time. Empty: nothing is."""
    filler_seconds: float = 1.0
    """How long a tool may take before that."""
    lead_ms: int = 1500
    """How far sound is sent ahead of what is heard."""
    timeout_seconds: float = 10.0
    """How long the engine may say nothing within a sentence."""
    held_seconds: float = 30.0
    """Sound that is held, and that nobody lets go on or ends, goes on by itself after so long."""
    max_ms: int = 180_000
    """The rest of a longer answer is only read: all sound of a turn is kept until its end."""

    async def sound(self, sentence: str) -> AsyncGenerator[bytes]:
        """Yield the sound of a sentence as it is made, at ``SPEAKING_RATE``. Nothing where there is nothing to say.

        What has a number in it is one rider's own, and not kept.

        Raises:
            TtsError: The engine failed, or said nothing for too long.
        """
        words = self.aloud(sentence)
        if not any(map(str.isalnum, words)):
            return
        key = (self.engine.name, self.language, words)
        known = self.cache.get(key)
        if known is not None:
            yield known
            return
        convert = converter(self.engine.sample_rate, SPEAKING_RATE)
        made: list[bytes] = []
        async with aclosing(self.engine.speak(words, language=self.language)) as pieces:
            while (piece := await self._next(pieces)) is not None:
                for start in range(0, len(piece), _PIECE_BYTES):
                    part = piece[start : start + _PIECE_BYTES]
                    made.append(convert(part, False))
                    if made[-1]:
                        yield made[-1]
                    await anyio.lowlevel.checkpoint()
        made.append(convert(b"", True))
        if made[-1]:
            yield made[-1]
        if not any(map(str.isdigit, sentence)):
            self.cache.put(key, b"".join(made))

    async def warm(self, phrases: Iterable[str]) -> None:
        """Make the sound of phrases that are said again and again. What fails is made when it is said.

        Args:
            phrases: As they stand in answers.
        """
        for phrase in phrases:
            cutter = Sentences()
            for sentence in (*cutter.feed(phrase), *cutter.flush()):
                try:
                    async with aclosing(self.sound(sentence.words)) as pieces:
                        async for _ in pieces:
                            pass
                except TtsError as error:
                    log.warning("phrase could not be spoken", engine=self.engine.name, exc_info=error)
                    return

    async def _next(self, pieces: AsyncGenerator[bytes]) -> bytes | None:
        try:
            with anyio.fail_after(self.timeout_seconds):
                return await anext(pieces, None)
        except TimeoutError as error:
            raise TtsError from error


class SpokenAnswer:
    """One turn's answer while it is spoken: its events pass through as they are, sound comes between them.

    Args:
        speech: What speaks.
        source: Makes the turn's events.
        playback: What was sent and heard.
    """

    def __init__(self, speech: Speech, source: EventSource, playback: Playback) -> None:
        self._speech = speech
        self._source = source
        self._playback = playback
        self._cutter = Sentences()
        self._events: deque[ThreadEvent] = deque()
        """Taken from the stage before, and not yet passed on."""
        self._sentences: deque[Sentence] = deque()
        """To be spoken."""
        self._is_speaking = False
        self._is_complete = False
        self._is_abandoned = False
        self._calls: set[str] = set()
        self._fillers = 0
        self._bell = playback.bell
        """The playback's, which need not know who waits: so both are gone as soon as the turn is over."""

    @asynccontextmanager
    async def open(self, replies: AsyncIterable[ThreadEvent]) -> AsyncIterator[AsyncIterable[ThreadEvent]]:
        """Open the stage over the events of an answer; on leaving the block no engine is at work."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, replies, tasks)
            tasks.start_soon(self._speak)
            try:
                yield self
            finally:
                self._is_abandoned = True
                tasks.cancel_scope.cancel()

    def undelivered(self) -> list[ThreadEvent]:
        """Return what was taken from the stage before and nobody took from here."""
        return list(self._events)

    def __aiter__(self) -> "SpokenAnswer":
        """Iterate over the answer's events and its sound, until the last of it was heard."""
        return self

    async def __anext__(self) -> ThreadEvent:
        """Take the next event: that the sound was stopped, else words, else sound that is due."""
        playback, speech = self._playback, self._speech
        while True:
            if playback.held_seconds >= speech.held_seconds:
                log.warning("sound was held for too long", thread_id=self._source.thread_id)
                playback.resume()
            heard_ms = playback.notice()
            if heard_ms is not None:
                return self._source.make(Interrupted, offset_ms=heard_ms)
            if self._events:
                event = self._events.popleft()
                self._bell.ring()
                return event
            sound = playback.send(speech.lead_ms)
            if sound is not None:
                self._bell.ring()
                offset_ms, pcm = sound
                audio = base64.b64encode(pcm).decode("ascii")
                return self._source.make(TtsChunk, audio=audio, sample_rate=SPEAKING_RATE, offset_ms=offset_ms)
            if self._is_complete and playback.is_over:
                raise StopAsyncIteration
            due = speech.held_seconds - playback.held_seconds if playback.is_held else None
            with anyio.move_on_after(playback.due_seconds(speech.lead_ms) if due is None else due):
                await self._bell.wait()

    async def _listen(self, replies: AsyncIterable[ThreadEvent], tasks: TaskGroup) -> None:
        """Pass the answer's events on, and cut its words into sentences."""
        async for event in replies:
            # Nothing may come between taking an event and having it here: a cut turn looks for it.
            self._events.append(event)
            match event:
                case AgentChunk():
                    self._playback.text += event.text
                    self._sentences.extend(self._cutter.feed(event.text))
                case ToolCall():
                    self._sentences.extend(self._cutter.flush())
                    self._calls.add(event.tool_call_id)
                    if self._speech.fillers:
                        tasks.start_soon(self._fill_in, event.tool_call_id)
                case ToolResult():
                    self._calls.discard(event.tool_call_id)
                case AgentEnd():
                    self._sentences.extend(self._cutter.flush())
                case _:
                    pass
            self._bell.ring()
            while len(self._events) > _ROOM and not self._is_abandoned:
                await self._bell.wait()
        self._sentences.extend(self._cutter.flush())
        self._is_complete = True
        self._playback.complete()
        self._bell.ring()

    async def _speak(self) -> None:
        """Make the sound of each sentence, one ahead of the one that is sent. Where sound fails, words go on."""
        playback = self._playback
        try:
            while not playback.is_concluded and playback.made_ms < self._speech.max_ms:
                if self._sentences and playback.sends_last_sentence:
                    await self._make(self._sentences.popleft())
                elif self._is_complete and not self._sentences:
                    break
                else:
                    await self._bell.wait()
            else:
                if playback.made_ms >= self._speech.max_ms:
                    log.warning("answer is too long to be spoken", thread_id=self._source.thread_id)
        except Exception as error:
            engine = self._speech.engine.name
            log.warning("answer could not be spoken", engine=engine, thread_id=self._source.thread_id, exc_info=error)
            playback.has_failed = True
        self._is_speaking = False
        playback.finish()

    async def _make(self, sentence: Sentence) -> None:
        """Add the sound of a sentence to the track."""
        playback = self._playback
        self._is_speaking = True
        playback.begin(sentence.start, sentence.end)
        async with aclosing(self._speech.sound(sentence.words)) as pieces:
            async for piece in pieces:
                playback.add(piece)
                if playback.is_concluded or playback.made_ms >= self._speech.max_ms:
                    break
        playback.end()
        self._is_speaking = False

    async def _fill_in(self, call_id: str) -> None:
        """Say something while a tool takes its time and nothing else is being said."""
        await anyio.sleep(self._speech.filler_seconds)
        while call_id in self._calls:
            unheard = self._playback.unheard_ms / 1000
            if not self._is_speaking and not self._sentences and not self._playback.is_held and unheard <= 0:
                filler = self._speech.fillers[self._fillers % len(self._speech.fillers)]
                self._fillers += 1
                self._sentences.append(Sentence(0, 0, filler))
                self._bell.ring()
                return
            await anyio.sleep(max(_QUIET_SECONDS, unheard))
