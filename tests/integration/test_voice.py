"""A rider talks, is answered aloud, interrupts and is understood: the real service, hearing, turns and stages."""

from typing import Any

import anyio
import pytest

from app.core.errors import AppError, TooManyMicrophones
from app.models.account import ANYONE, Caller
from app.models.audio import AudioFormat
from app.models.events import (
    AgentChunk,
    Interrupted,
    SttChunk,
    SttOutput,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnStart,
)
from app.services.voice import Speaker
from tests.desk import open_desk
from tests.fakes import FakeStt, FakeTts
from tests.voice import LOUD, SILENT, make_voice, on_the_line, types

pytestmark = pytest.mark.integration

QUICK = FakeTts(ms_per_character=1)
"""An answer is over at once."""
SLOW_MS = 60
"""A character takes so long: an answer lasts for seconds."""


def slow() -> FakeTts:
    return FakeTts(ms_per_character=SLOW_MS)


async def test_what_is_said_becomes_a_turn_and_the_answer_is_spoken() -> None:
    stt = FakeStt(["necesito un taxi"])
    async with open_desk(voice=make_voice(stt, FakeTts(ms_per_character=1))) as desk, on_the_line(desk) as rider:
        rider.say()
        end = await rider.until(TurnEnd)

    assert isinstance(end, TurnEnd)
    assert end.status == "completed"
    order = types(rider.heard)
    assert order[:3] == ["stt_chunk", "stt_output", "turn_start"]
    assert order[-2:] == ["tts_end", "turn_end"]
    assert {event.turn_id for event in rider.heard} == {end.turn_id}
    assert rider.of(SttOutput)[0].text == "necesito un taxi"  # type: ignore[attr-defined]
    sound = rider.of(TtsChunk)
    assert sound
    assert [event.offset_ms for event in sound] == sorted(event.offset_ms for event in sound)  # type: ignore[attr-defined]


async def test_captions_alone_are_asked_for() -> None:
    voice = make_voice(FakeStt(["hola"]), FakeTts())
    async with open_desk(voice=voice) as desk, on_the_line(desk, speak=False) as rider:
        rider.say()
        await rider.until(TurnEnd)

    assert not rider.of(TtsChunk)
    assert not rider.of(TtsEnd)


async def test_speech_that_comes_to_nothing_becomes_no_turn() -> None:
    async with open_desk(voice=make_voice(FakeStt(["", "hola"]), QUICK)) as desk, on_the_line(desk) as rider:
        rider.say()
        rider.say()
        await rider.until(TurnEnd)

    assert len(rider.of(TurnStart)) == 1


async def test_a_rider_who_speaks_is_given_silence_and_the_floor() -> None:
    stt = FakeStt(["necesito un taxi", "no, espera, cancela"])
    async with open_desk(voice=make_voice(stt, slow())) as desk, on_the_line(desk) as rider:
        rider.say()
        await rider.until(TtsChunk, count=3)
        rider.say()
        cut = await rider.until(TurnEnd)
        answer = await rider.until(TurnStart, count=2)
        messages = await desk.stores.conversations.messages("t")

    assert isinstance(cut, TurnEnd)
    assert cut.status == "interrupted"
    whole = "".join(event.text for event in rider.of(AgentChunk) if event.turn_id == cut.turn_id)  # type: ignore[attr-defined]
    assert whole.startswith(cut.text)
    assert len(cut.text) < len(whole)
    assert answer.turn_id != cut.turn_id
    saved = "".join(line.content for line in messages if line.turn_id == cut.turn_id and line.role == "assistant")
    assert saved == cut.text
    silence = rider.heard.index(rider.of(Interrupted)[0])
    assert not [
        event for event in rider.heard[silence:] if isinstance(event, TtsChunk) and event.turn_id == cut.turn_id
    ]


@pytest.mark.parametrize("noise", ["", "ajá", "mhm, mhm"])
async def test_after_a_noise_the_answer_goes_on_where_it_stopped(noise: str) -> None:
    stt = FakeStt(["necesito un taxi", noise])
    async with open_desk(voice=make_voice(stt, FakeTts(ms_per_character=30))) as desk, on_the_line(desk) as rider:
        rider.say()
        await rider.until(TtsChunk)
        rider.say()
        end = await rider.until(TurnEnd)

    assert isinstance(end, TurnEnd)
    assert end.status == "completed"
    stopped = rider.of(Interrupted)[0]
    after = rider.heard[rider.heard.index(stopped) :]
    resumed = next(event for event in after if isinstance(event, TtsChunk))
    assert resumed.offset_ms == stopped.offset_ms  # type: ignore[attr-defined]
    assert len(rider.of(TurnStart)) == 1


async def test_an_engine_that_fails_is_told_and_the_answer_goes_on() -> None:
    stt = FakeStt(["necesito un taxi", "", "hola"], fail=[1])
    async with open_desk(voice=make_voice(stt, FakeTts(ms_per_character=30))) as desk, on_the_line(desk) as rider:
        rider.say()
        await rider.until(TtsChunk)
        rider.say()
        end = await rider.until(TurnEnd)

    assert isinstance(end, TurnEnd)
    assert end.status == "completed"
    assert [error.error_code for error in rider.complaints] == ["stt_failed"]


async def test_a_voice_that_fails_leaves_the_words() -> None:
    voice = make_voice(FakeStt(["necesito un taxi"]), FakeTts(fails_after=0))
    async with open_desk(voice=voice) as desk, on_the_line(desk) as rider:
        rider.say()
        end = await rider.until(TurnEnd)

    assert isinstance(end, TurnEnd)
    assert end.status == "completed"
    assert [event.code for event in rider.of(TtsEnd)] == ["tts_failed"]  # type: ignore[attr-defined]


async def test_who_speaks_into_the_last_word_has_heard_the_answer() -> None:
    stt = FakeStt(["necesito un taxi", "a la calle 72 número 43 25 en el Prado"])
    async with open_desk(voice=make_voice(stt, FakeTts(ms_per_character=5))) as desk, on_the_line(desk) as rider:
        rider.say()
        await rider.until(AgentChunk)
        playback = desk.services.streaming.playback("t")
        assert playback is not None
        while playback.remaining_ms is None or playback.remaining_ms > 400:  # noqa: ASYNC110 - time passes
            await anyio.sleep(0.01)
        rider.say()
        first = await rider.until(TurnEnd)
        second = await rider.until(TurnEnd, count=2)

    assert isinstance(first, TurnEnd)
    assert isinstance(second, TurnEnd)
    assert first.status == "completed"
    assert second.text


async def test_what_was_said_before_the_line_was_lost_still_becomes_a_turn() -> None:
    async with open_desk(voice=make_voice(FakeStt(["necesito un taxi"]), QUICK)) as desk:
        async with on_the_line(desk) as rider:
            rider.speak()
        async with desk.services.streaming.subscribe("t", after_seq=0) as reader:
            told: list[Any] = []
            while not any(isinstance(record.event, TurnEnd) for record in told):
                told += await reader.read()

    assert [record.event.text for record in told if isinstance(record.event, SttOutput)] == ["necesito un taxi"]
    assert any(isinstance(record.event, SttChunk) for record in told)


async def test_more_microphones_than_there_may_be_are_refused() -> None:
    async with open_desk(voice=make_voice(FakeStt(), QUICK), voice_sessions=1) as desk, on_the_line(desk) as rider:
        other = desk.services.voice.open(Speaker("other", ANYONE), AudioFormat(), rider.session.complain)
        with pytest.raises(TooManyMicrophones):
            await other.__aenter__()


async def test_nobody_speaks_into_a_thread_that_somebody_else_opened_first() -> None:
    refused = anyio.Event()
    complaints: list[AppError] = []

    async def complain(error: AppError) -> None:
        complaints.append(error)
        refused.set()

    async with (
        open_desk(voice=make_voice(FakeStt(["necesito un taxi"]), QUICK)) as desk,
        desk.services.voice.open(Speaker("t", ANYONE), AudioFormat(), complain) as session,
    ):
        ana = Caller(account_id="ana")
        async with desk.services.streaming.subscribe("t", after_seq=0, caller=ana) as reader:
            await desk.services.streaming.submit("hola", thread_id="t", caller=ana)
            while not any(isinstance(record.event, TurnEnd) for record in await reader.read()):
                pass
        for frame in [LOUD] * 30 + [SILENT] * 100:
            session.hear(frame)
        await refused.wait()
        session.finish()
        log = await desk.log()

    assert [error.error_code for error in complaints] == ["forbidden_thread"]
    assert "necesito un taxi" not in str(log)
