"""Cloud voices, against servers on this machine that speak their wires."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

import pytest
import stamina
from pydantic import SecretStr

from app.core.errors import TtsError
from app.engines.tts.base import TtsEngine
from app.engines.tts.cartesia import open_cartesia
from app.engines.tts.elevenlabs import open_elevenlabs
from app.engines.tts.openai import open_openai_tts
from app.models.audio import SPEAKING_RATE
from tests.vendors.base import KEY
from tests.vendors.cartesia import Cartesia
from tests.vendors.elevenlabs import ElevenLabs
from tests.vendors.openai import OpenAi
from tests.vendors.sound import heard, voice

pytestmark = pytest.mark.contract

Speaker = Cartesia | ElevenLabs | OpenAi
SENTENCE = "Su taxi llega en cuatro minutos."
HANGS = 0.3


@pytest.fixture(autouse=True)
def _no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(params=[Cartesia, ElevenLabs, OpenAi])
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[Speaker]:
    async with request.param.run() as server:
        yield server


@pytest.fixture(params=[Cartesia, ElevenLabs])
async def streamer(request: pytest.FixtureRequest) -> AsyncIterator[Cartesia | ElevenLabs]:
    async with request.param.run() as server:
        yield server


@asynccontextmanager
async def engine_for(vendor: Speaker, *, key: str = KEY, timeout: float = 5) -> AsyncIterator[TtsEngine]:
    secret = SecretStr(key)
    if isinstance(vendor, Cartesia):
        opened = open_cartesia(secret, vendor.url, model="sonic-3", voice="v 1", language="es", timeout=timeout)
    elif isinstance(vendor, ElevenLabs):
        opened = open_elevenlabs(secret, vendor.url, model="flash", voice="v 1", language="es", timeout=timeout)
    else:
        opened = open_openai_tts(secret, vendor.url, model="tts-1", voice="coral", timeout=timeout)
    async with opened as engine:
        yield engine


async def spoken(engine: TtsEngine, text: str = SENTENCE) -> bytes:
    sound = b""
    async for piece in engine.speak(text):
        assert len(piece) % 2 == 0
        sound += piece
    return sound


async def test_a_sentence_is_spoken_whole_and_in_whole_samples(vendor: Speaker) -> None:
    async with engine_for(vendor) as engine:
        assert engine.sample_rate == SPEAKING_RATE
        assert await spoken(engine) == voice(SENTENCE)


async def test_sentences_may_be_spoken_at_once(vendor: Speaker) -> None:
    texts = ["Buenas tardes.", "¿Para dónde va?", "Son doce mil pesos."]
    async with engine_for(vendor) as engine:
        sounds = await asyncio.gather(*(spoken(engine, text) for text in texts))

    assert [heard(sound) for sound in sounds] == texts


async def test_sentences_one_after_the_other_share_a_socket_that_was_opened_ahead(
    streamer: Cartesia | ElevenLabs,
) -> None:
    async with engine_for(streamer) as engine:
        await streamer.until(lambda: streamer.connections)
        await engine._pool._chores.settled()  # type: ignore[attr-defined]
        for _ in range(7):
            assert heard(await spoken(engine)) == SENTENCE

    assert len(streamer.connections) == 1
    await streamer.until(lambda: streamer.connections[0].is_closed)


async def test_a_vendor_is_asked_for_what_we_play() -> None:
    async with Cartesia.run() as cartesia, engine_for(cartesia) as engine:
        await spoken(engine)
        (request,) = [said for connection in cartesia.connections for said in connection.said]
    async with ElevenLabs.run() as elevenlabs, engine_for(elevenlabs) as engine:
        await spoken(engine)
        connection = next(connection for connection in elevenlabs.connections if connection.said)

    assert request["output_format"] == {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}
    assert (request["model_id"], request["voice"]) == ("sonic-3", {"mode": "id", "id": "v 1"})
    assert (request["language"], request["continue"]) == ("es", False)
    assert connection.path == "/v1/text-to-speech/v%201/multi-stream-input"
    assert connection.query["output_format"] == ["pcm_24000"]
    assert (connection.query["model_id"], connection.query["language_code"]) == (["flash"], ["es"])
    assert [message.get("text") for message in connection.said] == [" ", f"{SENTENCE} ", None]
    assert connection.said[-1]["close_context"] is True


async def test_what_has_no_words_is_not_sent(vendor: Speaker) -> None:
    async with engine_for(vendor) as engine:
        assert await spoken(engine, " … ") == b""
    if isinstance(vendor, OpenAi):
        assert vendor.requests == []
    else:
        assert not any(connection.said for connection in vendor.connections)


async def test_sound_of_another_sentence_is_not_taken_for_this_one(streamer: Cartesia | ElevenLabs) -> None:
    streamer.strangers = True
    async with engine_for(streamer) as engine:
        assert heard(await spoken(engine)) == SENTENCE


async def test_a_sentence_that_is_broken_off_is_not_heard_in_the_next(vendor: Speaker) -> None:
    async with engine_for(vendor) as engine:
        async with aclosing(engine.speak("Esto no se oye entero, porque alguien habla.")) as sounds:
            assert await anext(sounds)
        assert heard(await spoken(engine)) == SENTENCE


async def test_a_vendor_is_told_of_a_sentence_that_is_broken_off(streamer: Cartesia | ElevenLabs) -> None:
    streamer.stops_after = 1
    async with engine_for(streamer) as engine:
        async with aclosing(engine.speak(SENTENCE)) as sounds:
            assert await anext(sounds)
        await streamer.until(lambda: any(connection.is_closed for connection in streamer.connections))

    (closed,) = [connection for connection in streamer.connections if connection.said]
    assert closed.said[-1].get("cancel") or closed.said[-1].get("close_context")


async def test_a_drop_before_the_first_sound_is_not_noticed(vendor: Speaker) -> None:
    vendor.knobs.drops = [0]
    async with engine_for(vendor) as engine:
        assert heard(await spoken(engine)) == SENTENCE


async def test_a_drop_after_it_is_a_failure_that_comes_after_the_sound(vendor: Speaker) -> None:
    vendor.knobs.drops = [4000, 4000]
    sound = b""
    async with engine_for(vendor) as engine:
        with pytest.raises(TtsError):
            async for piece in engine.speak(SENTENCE):
                sound += piece

    assert sound
    assert voice(SENTENCE).startswith(sound)


async def test_a_voice_that_falls_silent_fails_in_time(vendor: Speaker) -> None:
    vendor.stops_after = 2
    async with engine_for(vendor, timeout=HANGS) as engine:
        with pytest.raises(TtsError):
            await spoken(engine)


async def test_a_voice_that_never_says_anything_fails_in_time(vendor: Speaker) -> None:
    vendor.knobs.is_silent = True
    async with engine_for(vendor, timeout=HANGS) as engine:
        with pytest.raises(TtsError):
            await spoken(engine)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_vendor_that_is_busy_is_asked_again(vendor: Speaker, status: int) -> None:
    vendor.knobs.statuses = [status, status]
    vendor.knobs.retry_after = "0"
    async with engine_for(vendor) as engine:
        assert heard(await spoken(engine)) == SENTENCE


async def test_a_vendor_that_refuses_fails_at_once(vendor: Speaker) -> None:
    async with engine_for(vendor, key="wrong") as engine:
        with pytest.raises(TtsError):
            await spoken(engine)

    asked = len(vendor.requests) if isinstance(vendor, OpenAi) else vendor.handshakes
    assert asked <= 2  # once of them ahead


@pytest.mark.parametrize("status", [400, 401, 402, 404])
async def test_cartesias_refusals_within_the_socket_are_not_argued_with(status: int) -> None:
    async with Cartesia.run() as vendor, engine_for(vendor) as engine:
        vendor.failures = [status]
        with pytest.raises(TtsError):
            await spoken(engine)
        assert heard(await spoken(engine)) == SENTENCE


@pytest.mark.parametrize("status", [429, 500])
async def test_cartesias_passing_faults_are_not_noticed(status: int) -> None:
    async with Cartesia.run() as vendor, engine_for(vendor) as engine:
        vendor.failures = [status]
        assert heard(await spoken(engine)) == SENTENCE


@pytest.mark.parametrize(
    ("code", "is_mended"), [("invalid_api_key", False), ("quota_exceeded", False), ("system_busy", True)]
)
async def test_elevenlabs_errors_are_told_apart(code: str, is_mended: bool) -> None:
    async with ElevenLabs.run() as vendor, engine_for(vendor) as engine:
        vendor.failures = [code]
        if is_mended:
            assert heard(await spoken(engine)) == SENTENCE
        else:
            with pytest.raises(TtsError):
                await spoken(engine)


async def test_interruptions_do_not_use_up_the_contexts_of_a_socket() -> None:
    async with ElevenLabs.run() as vendor, engine_for(vendor) as engine:
        for _ in range(8):
            async with aclosing(engine.speak(SENTENCE)) as sounds:
                await anext(sounds)
        assert heard(await spoken(engine)) == SENTENCE


@pytest.mark.parametrize("frame", ["no", "[]", '{"type":"chunk"', b"\xff"])
async def test_what_cannot_be_read_is_survived(streamer: Cartesia | ElevenLabs, frame: str | bytes) -> None:
    streamer.knobs.first_words = [frame, frame]
    async with engine_for(streamer) as engine:
        assert heard(await spoken(engine)) == SENTENCE


async def test_a_key_is_in_no_log_and_no_error(
    vendor: Speaker, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    shown = []
    async with engine_for(vendor) as engine:
        await spoken(engine)
        if isinstance(vendor, OpenAi):
            vendor.knobs.statuses = [401]
        elif isinstance(vendor, Cartesia):
            vendor.failures = [401]
        else:
            vendor.failures = ["invalid_api_key"]
        with pytest.raises(TtsError) as raised:
            await spoken(engine)
        shown.append(raised)
    async with engine_for(vendor, key=KEY + "-wrong") as engine:
        with pytest.raises(TtsError) as raised:
            await spoken(engine)
        shown.append(raised)

    for error in shown:
        assert KEY not in str(error.value)
        assert KEY not in str(error.getrepr(style="long", chain=True))
    assert KEY not in caplog.text
    out, err = capsys.readouterr()
    assert KEY not in out + err
