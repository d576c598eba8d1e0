"""An order of engines that fail anywhere."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import SttError, TtsError
from app.engines.stt.base import Recognition, SpeechHints, SttSession
from app.engines.stt.fallback import FallbackStt
from app.engines.tts.fallback import open_fallback_tts
from tests.vendors.sound import WORDS, heard, speech, transcript, understand, voice

pytestmark = pytest.mark.contract

HINTS = SpeechHints()
HANGS = 0.02
ORDER = "quiero un taxi para la calle setenta y dos"

Place = Literal["open", "recognise", "partials", "finish"]
Kind = Literal["error", "crash", "hang"]


@dataclass(frozen=True)
class Fault:
    """Where an engine fails, and how."""

    place: Place
    kind: Kind
    after_bytes: int = 0
    """Sound that it takes before, where it fails in the middle."""


@dataclass
class Ear:
    """A recogniser that fails on order, one fault an utterance."""

    name: str
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    fed: list[bytes] = field(default_factory=list)
    """The sound of each utterance that it was given."""
    opened: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def fault(self) -> Fault | None:
        return self.always or (self.faults.pop(0) if self.faults else None)

    @asynccontextmanager
    async def open(self, hints: SpeechHints) -> AsyncIterator[SttSession]:
        if self.always is not None and self.always.place == "open":
            await strike(self.always)
        if self.faults and self.faults[0].place == "open":
            await strike(self.faults.pop(0))
        self.opened += 1
        yield EarSession(self)


@dataclass
class EarSession:
    ear: Ear

    @asynccontextmanager
    async def recognise(self) -> AsyncIterator[Recognition]:
        fault = self.ear.fault()
        if fault is not None and fault.place == "recognise":
            await strike(fault)
        recognition = EarRecognition(self.ear, fault)
        try:
            yield recognition
        finally:
            self.ear.fed.append(bytes(recognition.sound))
            self.ear.changed.set()


class EarRecognition:
    def __init__(self, ear: Ear, fault: Fault | None) -> None:
        self.sound = bytearray()
        self._fault = fault
        self._fed = asyncio.Event()

    def feed(self, audio: bytes) -> None:
        self.sound += audio
        self._fed.set()

    def pause(self) -> None:
        pass

    async def partials(self) -> AsyncIterator[str]:
        while True:
            if self._fault is not None and self._fault.place == "partials":
                if len(self.sound) >= self._fault.after_bytes:
                    await strike(self._fault)
            elif text := transcript(understand(bytes(self.sound))[:-1]):
                yield text
            self._fed.clear()
            await self._fed.wait()

    async def finish(self) -> str:
        if self._fault is not None:
            await strike(self._fault)
        return transcript(understand(bytes(self.sound)))


async def strike(fault: Fault) -> None:
    if fault.kind == "error":
        raise SttError
    if fault.kind == "crash":
        raise RuntimeError("a bug")
    await asyncio.Event().wait()


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def understood(session: SttSession, text: str = ORDER, *, size: int = 1024) -> str:
    async with session.recognise() as recognition:
        sound = speech(text)
        for place in range(0, len(sound), size):
            recognition.feed(sound[place : place + size])
            await asyncio.sleep(0)
        return await recognition.finish()


faults = st.builds(
    Fault,
    place=st.sampled_from(["open", "recognise", "partials", "finish"]),
    kind=st.sampled_from(["error", "crash", "hang"]),
    after_bytes=st.integers(0, 20_000),
)


@settings(max_examples=80, deadline=None)
@given(
    faulty=st.lists(st.lists(faults, max_size=3), min_size=0, max_size=3),
    texts=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=3),
    size=st.sampled_from([2, 640, 1024, 5000]).filter(lambda size: size > 100),
)
async def test_whoever_understands_an_utterance_was_given_all_of_it_once(
    faulty: list[list[Fault]], texts: list[str], size: int
) -> None:
    ears = [Ear(f"ear{number}", list(faults)) for number, faults in enumerate(faulty)]
    last = Ear("last")

    async with FallbackStt([*ears, last], timeout=HANGS).open(HINTS) as session:
        for text in texts:
            assert await understood(session, text, size=size) == text
            assert any(speech(text) in ear.fed for ear in [*ears, last])


async def test_the_first_engine_is_used_while_it_works() -> None:
    first, second = Ear("first"), Ear("second")
    async with FallbackStt([first, second], timeout=1).open(HINTS) as session:
        assert [await understood(session) for _ in range(3)] == [ORDER] * 3

    assert (len(first.fed), first.opened, second.opened) == (3, 1, 0)


async def test_an_engine_that_failed_is_left_alone_and_then_tried_behind_the_riders_back() -> None:
    clock = Clock()
    first, second = Ear("first", always=Fault("finish", "error")), Ear("second")
    engine = FallbackStt([first, second], timeout=1, now=clock)
    async with engine.open(HINTS) as session:
        await understood(session)
        await understood(session)
        assert (len(first.fed), len(second.fed)) == (1, 2)

        clock.seconds += 6
        first.changed.clear()
        assert await understood(session, "por favor") == "por favor"
        assert len(second.fed) == 3
        await first.changed.wait()
        assert first.fed[1] == speech("por favor")

        first.always = None
        clock.seconds += 8  # it failed again: twice the rest
        await understood(session)
        assert len(first.fed) == 2
        clock.seconds += 5
        first.changed.clear()
        await understood(session)
        await first.changed.wait()
        await asyncio.sleep(0)
        assert await understood(session) == ORDER
        assert len(first.fed) == 4
        assert len(second.fed) == 5


async def test_an_engine_that_fails_for_one_rider_is_not_tried_by_the_next() -> None:
    first, second = Ear("first", always=Fault("open", "hang")), Ear("second")
    engine = FallbackStt([first, second], timeout=HANGS, now=Clock())
    for _ in range(2):
        async with engine.open(HINTS) as session:
            assert await understood(session) == ORDER

    assert len(second.fed) == 2


async def test_where_all_fail_the_utterance_fails_and_the_next_may_work() -> None:
    first, second = Ear("first", [Fault("finish", "crash")]), Ear("second", [Fault("recognise", "hang")])
    async with FallbackStt([first, second], timeout=HANGS, now=Clock()).open(HINTS) as session:
        with pytest.raises(SttError):
            await understood(session)
        assert await understood(session) == ORDER


async def test_transcripts_grow_on_through_a_failure() -> None:
    first, second = Ear("first", [Fault("partials", "error", 6000)]), Ear("second")
    async with FallbackStt([first, second], timeout=1).open(HINTS) as session, session.recognise() as recognition:
        sound = speech(ORDER)
        recognition.feed(sound[:8000])
        seen = [text async for text in limited(recognition.partials(), 1)]
        recognition.feed(sound[8000:])
        assert ORDER.startswith(seen[0])
        assert await recognition.finish() == ORDER


async def limited(texts: AsyncIterator[str], count: int) -> AsyncGenerator[str]:
    async for text in texts:
        yield text
        count -= 1
        if count == 0:
            return


async def test_who_gives_an_utterance_up_is_not_kept() -> None:
    first = Ear("first")
    async with FallbackStt([first], timeout=1).open(HINTS) as session:
        async with session.recognise() as recognition:
            recognition.feed(speech("un taxi"))
        assert await understood(session) == ORDER


# Voices.


@dataclass
class Mouth:
    """A voice that fails on order, one fault a sentence, after so much sound."""

    name: str
    faults: list[tuple[int, Kind]] = field(default_factory=list)
    sample_rate: int = 24_000
    asked: list[str] = field(default_factory=list)
    always: tuple[int, Kind] | None = None
    spoke: asyncio.Event = field(default_factory=asyncio.Event)

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        self.asked.append(text)
        fault = self.always or (self.faults.pop(0) if self.faults else None)
        self.spoke.set()
        sound = voice(text)
        for place in range(0, len(sound), 960):
            if fault is not None and place >= fault[0]:
                if fault[1] == "error":
                    raise TtsError
                if fault[1] == "crash":
                    raise RuntimeError("a bug")
                await asyncio.Event().wait()
            yield sound[place : place + 960]


SENTENCE = "Su taxi llega en cuatro minutos y cuesta doce mil pesos."


async def said(engine: object, text: str = SENTENCE) -> str:
    return heard(b"".join([piece async for piece in engine.speak(text)]))  # type: ignore[attr-defined]


async def test_the_next_voice_speaks_the_whole_sentence_where_nothing_was_heard_of_it() -> None:
    for kind in ("error", "crash", "hang"):
        first, second = Mouth("first", [(0, kind)]), Mouth("second")
        async with open_fallback_tts([first, second], timeout=HANGS) as engine:
            assert await said(engine) == SENTENCE
            assert second.asked == [SENTENCE]


@settings(max_examples=60, deadline=None)
@given(place=st.integers(1, 60), kind=st.sampled_from(["error", "crash", "hang"]), texts=st.data())
async def test_no_word_is_said_twice_where_a_voice_breaks_off(place: int, kind: Kind, texts: st.DataObject) -> None:
    words = texts.draw(st.lists(st.text("abcdefghij", min_size=1, max_size=9), min_size=1, max_size=10, unique=True))
    text = " ".join(words)
    first, second = Mouth("first", [(10**9, "error"), (place * 960, kind)]), Mouth("second")
    async with open_fallback_tts([first, second], timeout=HANGS) as engine:
        assert await said(engine, "una frase que enseña el ritmo de esta voz") == first.asked[0]
        result = await said(engine, text)

    begun, rest = result, ""
    if second.asked:
        rest = second.asked[0]
        begun = result[: len(result) - len(rest)]
        assert rest.split() == words[len(words) - len(rest.split()) :]
    assert text.startswith(begun)
    began = len(begun.split())
    assert not set(begun.split()[: began - 1]) & set(rest.split())
    assert len(words) - len(rest.split()) - began in (0, 1)  # lost: at most the one that could not be told


async def test_a_voice_that_failed_is_left_alone_and_then_tried_behind_the_riders_back() -> None:
    clock = Clock()
    first, second = Mouth("first", always=(0, "error")), Mouth("second")
    async with open_fallback_tts([first, second], timeout=1, now=clock) as engine:
        await said(engine)
        await said(engine)
        assert (len(first.asked), len(second.asked)) == (1, 2)

        first.always = None
        clock.seconds += 6
        first.spoke.clear()
        assert await said(engine) == SENTENCE
        assert len(second.asked) == 3
        await first.spoke.wait()
        await engine._chores.settled()
        assert await said(engine) == SENTENCE
        assert (len(first.asked), len(second.asked)) == (3, 3)


async def test_where_all_voices_fail_the_sentence_fails() -> None:
    async with open_fallback_tts([Mouth("a", [(0, "error")]), Mouth("b", [(0, "crash")])], timeout=1) as engine:
        with pytest.raises(TtsError):
            await said(engine)
        assert await said(engine) == SENTENCE


async def test_voices_of_other_rates_are_brought_to_one() -> None:
    first, second = Mouth("first", sample_rate=24_000), Mouth("second", sample_rate=48_000)
    first.always = (0, "error")
    async with open_fallback_tts([first, second], timeout=1) as engine:
        sound = b"".join([piece async for piece in engine.speak(SENTENCE)])

    assert engine.sample_rate == 24_000
    assert len(sound) == pytest.approx(len(voice(SENTENCE)) / 2, rel=0.01)
