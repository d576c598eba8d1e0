"""The last stage: words pass through, sound comes beside them, at the pace of hearing."""

import base64
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio import current_time

from app.models.audio import SPEAKING_RATE, duration_ms
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
from app.pipeline.streams import Outlet
from app.pipeline.tts import SoundCache, Speech, SpokenAnswer
from tests.fakes import FakeTts
from tests.virtual_time import run

pytestmark = pytest.mark.unit

source = EventSource("thread", "turn", lambda: 0)


def words(text: str) -> AgentChunk:
    return source.make(AgentChunk, text=text, agent="OPERADOR")


def call(call_id: str = "c1") -> ToolCall:
    return source.make(ToolCall, tool_call_id=call_id, name="DispatchToBackend", args={}, agent="CONFIRMADOR")


def result(call_id: str = "c1") -> ToolResult:
    return source.make(ToolResult, tool_call_id=call_id, name="DispatchToBackend", result="ok")


@dataclass
class Rider:
    """Reads the stage as the runner does, and notes when what came."""

    speech: Speech
    playback: Playback = field(default_factory=lambda: Playback(current_time))
    heard: list[tuple[float, ThreadEvent]] = field(default_factory=list)
    replies: Outlet[ThreadEvent] = field(default_factory=lambda: Outlet(16))
    started: float = field(default_factory=current_time)
    ended: float | None = None
    news: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.stage = SpokenAnswer(self.speech, source, self.playback)

    async def listen(self) -> None:
        async with self.stage.open(self.replies) as events:
            async for event in events:
                self.heard.append((current_time() - self.started, event))
                self.news.set()
                self.news = anyio.Event()
        self.ended = current_time() - self.started

    async def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self.news.wait()

    @property
    def chunks(self) -> list[TtsChunk]:
        return [event for _, event in self.heard if isinstance(event, TtsChunk)]

    @property
    def passed_on(self) -> list[ThreadEvent]:
        return [event for _, event in self.heard if not isinstance(event, TtsChunk | Interrupted)]

    @property
    def sound(self) -> bytes:
        return b"".join(base64.b64decode(chunk.audio) for chunk in self.chunks)

    @property
    def sound_ms(self) -> float:
        return duration_ms(len(self.sound), SPEAKING_RATE)

    def at(self, kind: type[ThreadEvent]) -> list[float]:
        return [at for at, event in self.heard if isinstance(event, kind)]


def speech(engine: FakeTts | None = None, **options: Any) -> Speech:
    return Speech(engine=engine or FakeTts(ms_per_character=50), aloud=str, **options)


@asynccontextmanager
async def listening(rider: Rider) -> AsyncIterator[Rider]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rider.listen)
        yield rider


async def answer(rider: Rider, *events: ThreadEvent | float) -> None:
    """Let the stage before say events, with pauses in seconds between them."""
    for event in events:
        if isinstance(event, float):
            await anyio.sleep(event)
        else:
            await rider.replies.put(event)
    rider.replies.finish()


def test_words_pass_through_unchanged_and_their_sound_is_heard_to_the_end() -> None:
    async def scenario() -> None:
        events = [words("¡Listo! "), words("Tu taxi va en camino."), source.make(AgentEnd, agent="OPERADOR")]
        engine = FakeTts(ms_per_character=50)
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, *events)
        assert rider.passed_on == events
        assert engine.spoken == ["¡Listo!", "Tu taxi va en camino."]
        assert rider.sound == engine.sound("¡Listo!") + engine.sound("Tu taxi va en camino.")
        offsets = [chunk.offset_ms for chunk in rider.chunks]
        lengths = [int(duration_ms(len(base64.b64decode(chunk.audio)), SPEAKING_RATE)) for chunk in rider.chunks]
        assert offsets == [sum(lengths[:index]) for index in range(len(lengths))]
        assert max(lengths) == 100
        assert rider.ended is not None
        assert rider.sound_ms / 1000 <= rider.ended < rider.sound_ms / 1000 + 0.2

    run(scenario)


def test_the_first_sentence_is_heard_while_the_rest_is_still_thought_of() -> None:
    async def scenario() -> None:
        async with listening(Rider(speech())) as rider:
            await answer(rider, words("¡Listo! Tu"), 5.0, words(" taxi va en camino."))
        assert rider.at(TtsChunk)[0] < 0.1

    run(scenario)


def test_a_sentence_is_made_while_the_one_before_it_plays_and_no_further_ahead() -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=100)
        text = " ".join(f"Uno dos tres cuatro cinco {last}." for last in ("seis", "siete", "ocho"))
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, words(text))
            await anyio.sleep(1)
            assert len(engine.spoken) == 2
        assert len(engine.finished) == 3
        assert max(b - a for a, b in zip(rider.at(TtsChunk), rider.at(TtsChunk)[1:], strict=False)) < 0.3

    run(scenario)


def test_sound_is_never_further_ahead_of_what_is_heard_than_its_lead() -> None:
    async def scenario() -> None:
        async with listening(Rider(speech(lead_ms=500))) as rider:
            await answer(rider, words("Una frase bastante larga para ir adelante de lo que se oye, sin comas."))
        for at, event in rider.heard:
            if isinstance(event, TtsChunk):
                length = duration_ms(len(base64.b64decode(event.audio)), SPEAKING_RATE)
                assert event.offset_ms + length <= max(0, (at - rider.at(TtsChunk)[0]) * 1000 - 50) + 500 + 1

    run(scenario)


def test_the_sound_of_a_turn_goes_with_it_and_waits_for_no_garbage_collector() -> None:
    async def scenario() -> None:
        async with listening(Rider(speech())) as rider:
            await answer(rider, words("¡Listo! Tu taxi va en camino."))
        assert rider.sound
        playback = weakref.ref(rider.playback)
        del rider
        assert playback() is None

    gc.disable()
    try:
        run(scenario)
    finally:
        gc.enable()


def test_held_sound_is_told_of_once_and_goes_on_from_there() -> None:
    async def scenario() -> None:
        async with listening(Rider(speech())) as rider:
            await answer(rider, words("Una frase bastante larga para poder interrumpir a quien la dice."))
            await anyio.sleep(1)
            before = len(rider.chunks)
            assert rider.playback.hold()
            await anyio.sleep(3)
            assert len(rider.chunks) == before
            told = [event for _, event in rider.heard if isinstance(event, Interrupted)]
            assert [event.offset_ms for event in told] == [rider.playback.heard_ms]
            assert rider.at(Interrupted)[0] == pytest.approx(1, abs=0.005)
            rider.playback.resume()
            await rider.until(lambda: len(rider.chunks) > before)
            assert rider.chunks[before].offset_ms == told[0].offset_ms
        assert rider.playback.heard_ms == rider.playback.made_ms
        assert len(rider.at(Interrupted)) == 1

    run(scenario)


def test_held_sound_that_nobody_lets_go_on_goes_on_by_itself() -> None:
    async def scenario() -> None:
        async with listening(Rider(speech(held_seconds=30))) as rider:
            await answer(rider, words("Una frase bastante larga para poder interrumpir."))
            await anyio.sleep(1)
            rider.playback.hold()
        assert rider.ended is not None
        assert 30 < rider.ended < 40

    run(scenario)


def test_an_answer_that_is_concluded_ends_at_once() -> None:
    async def scenario() -> None:
        async with listening(Rider(speech())) as rider:
            await answer(rider, words("Una frase bastante larga para no tener que oírla toda."))
            await anyio.sleep(1)
            rider.playback.conclude()
        assert rider.ended == pytest.approx(1, abs=0.01)

    run(scenario)


@pytest.mark.parametrize("how", ["fails", "hangs", "fails in the middle", "hangs in the middle"])
def test_where_the_engine_gives_up_the_words_go_on(how: str) -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=50, breaks_in_middle="middle" in how)
        if "hangs" in how:
            engine.hangs_after = 1
        else:
            engine.fails_after = 1
        events = [
            words("¡Listo! "),
            words("Tu taxi va. "),
            words("¡Buen viaje! "),
            source.make(AgentEnd, agent="OPERADOR"),
        ]
        async with listening(Rider(speech(engine, timeout_seconds=2))) as rider:
            await answer(rider, *events)
        assert rider.passed_on == events
        assert rider.sound[: len(engine.sound("¡Listo!"))] == engine.sound("¡Listo!")
        assert len(engine.spoken) == 2
        assert engine.at_work == 0
        assert rider.ended is not None
        assert rider.ended < 4
        assert rider.playback.heard("¡Listo! Tu taxi va. ¡Buen viaje! ") == "¡Listo! Tu taxi va. ¡Buen viaje! "

    run(scenario)


def test_something_is_said_while_a_tool_takes_its_time() -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=50)
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, call(), 4.0, result(), words("¡Listo!"))
        assert engine.spoken == ["Un momento…", "¡Listo!"]
        assert rider.at(TtsChunk)[0] == pytest.approx(1, abs=0.1)
        assert rider.playback.heard("¡Listo!") == "¡Listo!"

    run(scenario)


@pytest.mark.parametrize("seconds", [0.5, 0.9])
def test_nothing_is_said_while_a_tool_is_quick(seconds: float) -> None:
    async def scenario() -> None:
        engine = FakeTts()
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, call(), seconds, result(), words("¡Listo!"))
        assert engine.spoken == ["¡Listo!"]

    run(scenario)


def test_a_filler_waits_until_nothing_else_is_being_said() -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=100)
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, words("Voy a pedir tu taxi ahora mismo"), call(), 6.0, result(), words("¡Listo!"))
        assert engine.spoken == ["Voy a pedir tu taxi ahora mismo", "Un momento…", "¡Listo!"]

    run(scenario)


def test_a_very_long_answer_is_spoken_in_part_and_read_to_the_end() -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=100, piece_ms=1000)
        text = "Una frase que dura unos cuatro segundos. " * 100
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, words(text))
        assert 180_000 <= rider.sound_ms <= 185_000
        assert rider.playback.heard(text) == text
        assert engine.at_work == 0

    run(scenario)


def test_on_leaving_nothing_is_at_work_and_nothing_was_lost() -> None:
    async def scenario() -> None:
        engine = FakeTts(delay=1)
        rider = Rider(speech(engine))
        async with anyio.create_task_group() as tasks:
            async with rider.stage.open(rider.replies):
                for event in (words("Hola. "), call(), result()):
                    await rider.replies.put(event)
                await anyio.sleep(0.5)
                assert engine.at_work == 1
            tasks.cancel_scope.cancel()
        assert engine.at_work == 0
        assert [event.type for event in rider.stage.undelivered()] == ["agent_chunk", "tool_call", "tool_result"]

    run(scenario)


def test_sound_of_another_rate_is_brought_to_what_riders_are_sent() -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=50, sample_rate=22_050)
        async with listening(Rider(speech(engine))) as rider:
            await answer(rider, words("Una frase de otra velocidad."))
        assert rider.sound_ms == pytest.approx(28 * 50, abs=3)
        assert {chunk.sample_rate for chunk in rider.chunks} == {SPEAKING_RATE}

    run(scenario)


def test_what_is_often_said_is_made_once_and_what_is_somebodys_own_is_not_kept() -> None:
    async def scenario() -> None:
        engine = FakeTts(ms_per_character=20)
        voice = speech(engine)
        await voice.warm(["¿Necesitas un taxi? ¡Hola!", "Un momento…"])
        assert engine.spoken == ["¿Necesitas un taxi?", "¡Hola!", "Un momento…"]
        for _ in range(2):
            async with listening(Rider(voice)) as rider:
                await answer(rider, words("¡Hola! Vas a la Calle 72."))
            assert rider.sound == engine.sound("¡Hola!") + engine.sound("Vas a la Calle 72.")
        assert engine.spoken[3:] == ["Vas a la Calle 72.", "Vas a la Calle 72."]

    run(scenario)


def test_a_phrase_that_cannot_be_made_beforehand_is_no_reason_not_to_start() -> None:
    run(speech(FakeTts(fails_after=0)).warm, ["¡Hola!"])


def test_a_cache_has_a_size() -> None:
    cache = SoundCache(max_bytes=100)
    for number in range(10):
        cache.put(("fake", "es", str(number)), bytes(30))
    cache.put(("fake", "es", "huge"), bytes(101))

    assert cache.size == 90
    assert cache.get(("fake", "es", "6")) is None
    assert cache.get(("fake", "es", "7")) == bytes(30)
