"""Cloud recognisers, against servers on this machine that speak their wires."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import stamina
from pydantic import SecretStr

from app.core.errors import SttError
from app.engines.stt import streaming
from app.engines.stt.assemblyai import assemblyai_stt
from app.engines.stt.base import Recognition, SpeechHints, SttEngine
from app.engines.stt.deepgram import deepgram_stt
from app.engines.stt.openai import open_openai_stt
from app.models.audio import HEARING_RATE, bytes_of
from tests.vendors.assemblyai import AssemblyAi
from tests.vendors.base import KEY
from tests.vendors.deepgram import Deepgram
from tests.vendors.openai import OpenAi
from tests.vendors.sound import speech

pytestmark = pytest.mark.contract

Streamer = AssemblyAi | Deepgram
ORDER = "quiero un taxi para la calle setenta y dos"
HINTS = SpeechHints("es", ("Barrio Abajo", "El Prado"))
FRAME = bytes_of(32, HEARING_RATE)
HANGS = 0.3


@pytest.fixture(autouse=True)
def _no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(params=[AssemblyAi, Deepgram])
async def vendor(request: pytest.FixtureRequest) -> AsyncIterator[Streamer]:
    async with request.param.run() as server:
        yield server


@pytest.fixture
async def openai() -> AsyncIterator[OpenAi]:
    async with OpenAi.run() as server:
        yield server


def engine_for(vendor: Streamer, *, key: str = KEY, timeout: float = 5) -> SttEngine:
    if isinstance(vendor, AssemblyAi):
        return assemblyai_stt(SecretStr(key), vendor.url, timeout=timeout)
    return deepgram_stt(SecretStr(key), vendor.url, model="nova-3", timeout=timeout)


@asynccontextmanager
async def utterance(engine: SttEngine) -> AsyncIterator[Recognition]:
    async with engine.open(HINTS) as session, session.recognise() as recognition:
        yield recognition


def feed(recognition: Recognition, sound: bytes) -> None:
    for place in range(0, len(sound), FRAME):
        recognition.feed(sound[place : place + FRAME])


async def understood(engine: SttEngine, text: str = ORDER) -> str:
    async with utterance(engine) as recognition:
        feed(recognition, speech(text))
        return await recognition.finish()


async def test_an_utterance_is_understood_as_it_was_said(vendor: Streamer) -> None:
    assert await understood(engine_for(vendor)) == ORDER


async def test_transcripts_grow_while_the_rider_speaks_and_end_with_the_utterance(vendor: Streamer) -> None:
    async with utterance(engine_for(vendor)) as recognition:
        seen: list[str] = []
        enough = asyncio.Event()

        async def watch() -> None:
            async for text in recognition.partials():
                seen.append(text)
                if text == "quiero un taxi":
                    enough.set()

        watching = asyncio.create_task(watch())
        feed(recognition, speech("quiero un taxi"))
        await enough.wait()
        feed(recognition, speech("por favor"))

        assert await recognition.finish() == "quiero un taxi por favor"
        await watching
        assert all("…" not in text for text in seen if text == seen[-1])


async def test_a_session_serves_utterance_after_utterance_on_one_socket(vendor: Streamer) -> None:
    async with engine_for(vendor).open(HINTS) as session:
        for text in ("quiero un taxi", "calle setenta y dos", "por favor"):
            async with session.recognise() as recognition:
                feed(recognition, speech(text))
                assert await recognition.finish() == text

    assert len(vendor.connections) == 1
    assert vendor.connections[0].is_closed


async def test_the_vendor_is_told_what_it_needs_to_know(vendor: Streamer) -> None:
    await understood(engine_for(vendor))

    (connection,) = vendor.connections
    query = {name: values if len(values) > 1 else values[0] for name, values in connection.query.items()}
    if isinstance(vendor, AssemblyAi):
        assert connection.path == "/v3/ws"
        assert query["speech_model"] == "universal-streaming-multilingual"
        assert (query["sample_rate"], query["encoding"]) == ("16000", "pcm_s16le")
        assert json.loads(str(query["keyterms_prompt"])) == ["Barrio Abajo", "El Prado"]
        assert connection.said[-1] == {"type": "Terminate"}
    else:
        assert connection.path == "/v1/listen"
        assert (query["model"], query["language"]) == ("nova-3", "es")
        assert (query["encoding"], query["sample_rate"], query["channels"]) == ("linear16", "16000", "1")
        assert (query["interim_results"], query["endpointing"]) == ("true", "false")
        assert query["keyterm"] == ["Barrio Abajo", "El Prado"]
        assert connection.said[-1] == {"type": "CloseStream"}


async def test_more_terms_than_a_vendor_takes_are_left_out_from_the_end(vendor: Streamer) -> None:
    terms = tuple(f"Barrio número {number}" for number in range(5000))
    async with engine_for(vendor).open(SpeechHints("es", terms)) as session, session.recognise() as recognition:
        feed(recognition, speech("un taxi"))
        assert await recognition.finish() == "un taxi"

    query = vendor.connections[0].query
    sent = json.loads(query["keyterms_prompt"][0]) if "keyterms_prompt" in query else query["keyterm"]
    assert 20 < len(sent) <= 100
    assert tuple(sent) == terms[: len(sent)]


async def test_sound_is_sent_in_pieces_that_a_vendor_takes_whatever_size_it_comes_in(vendor: Streamer) -> None:
    for size in (2, 640, 100_000):
        async with utterance(engine_for(vendor)) as recognition:
            sound = speech("quiero un taxi")
            for place in range(0, len(sound), size):
                recognition.feed(sound[place : place + size])
            assert await recognition.finish() == "quiero un taxi"


async def test_a_pause_costs_no_words(vendor: Streamer) -> None:
    async with utterance(engine_for(vendor)) as recognition:
        feed(recognition, speech("quiero un taxi"))
        recognition.pause()
        feed(recognition, bytes(bytes_of(200, HEARING_RATE)))
        feed(recognition, speech("por favor"))
        recognition.pause()
        feed(recognition, bytes(bytes_of(200, HEARING_RATE)))

        assert await recognition.finish() == "quiero un taxi por favor"


async def test_a_pause_flushes_where_that_does_no_harm() -> None:
    async with Deepgram.run() as vendor, utterance(engine_for(vendor)) as recognition:
        feed(recognition, speech("quiero un taxi"))
        recognition.pause()

        await vendor.until(lambda: any({"type": "Finalize"} in each.said for each in vendor.connections))


async def test_silence_is_understood_as_nothing_and_the_next_utterance_as_usual(
    vendor: Streamer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_GRACE_SECONDS", 0.05)
    async with engine_for(vendor).open(HINTS) as session:
        async with session.recognise() as recognition:
            feed(recognition, bytes(bytes_of(400, HEARING_RATE)))
            assert await recognition.finish() == ""
        async with session.recognise() as recognition:
            feed(recognition, speech("un taxi"))
            assert await recognition.finish() == "un taxi"


async def test_an_utterance_without_sound_asks_nobody(vendor: Streamer) -> None:
    vendor.knobs.is_silent = True
    async with utterance(engine_for(vendor)) as recognition:
        assert await recognition.finish() == ""


async def test_words_of_an_utterance_that_was_given_up_are_in_no_other(vendor: Streamer) -> None:
    async with engine_for(vendor).open(HINTS) as session:
        async with session.recognise() as recognition:
            feed(recognition, speech("para la calle"))
            await vendor.until(lambda: vendor.connections and len(vendor.connections[0].sound) > 3000)
        async with session.recognise() as recognition:
            feed(recognition, speech("un taxi"))
            assert await recognition.finish() == "un taxi"


@pytest.mark.parametrize("drops", [[1], [8000], [20_000], [30_000], [8000, 16_000], [1, 1, 1]])
async def test_a_drop_in_the_middle_of_an_utterance_loses_and_repeats_no_word(
    vendor: Streamer, drops: list[int]
) -> None:
    vendor.knobs.drops = list(drops)

    assert await understood(engine_for(vendor)) == ORDER
    assert len(vendor.connections) == len(drops) + 1


async def test_what_was_final_before_a_drop_is_not_sent_again() -> None:
    async with Deepgram.run() as vendor:
        vendor.settles = True
        vendor.knobs.drops = [24_000]

        assert await understood(engine_for(vendor)) == ORDER
        assert len(vendor.connections[1].sound) < len(speech(ORDER)) - 10_000


async def test_a_drop_between_utterances_is_not_noticed(vendor: Streamer) -> None:
    async with engine_for(vendor).open(HINTS) as session:
        vendor.knobs.drops = [math.ceil(len(speech("un taxi")) / 3200) * 3200 + 3200]
        for text in ("un taxi", "por favor", "un taxi"):
            async with session.recognise() as recognition:
                feed(recognition, speech(text))
                assert await recognition.finish() == text


async def test_what_is_said_during_a_slow_start_is_kept(vendor: Streamer) -> None:
    vendor.knobs.gate = asyncio.Event()
    async with utterance(engine_for(vendor)) as recognition:
        feed(recognition, speech(ORDER))
        vendor.knobs.gate.set()

        assert await recognition.finish() == ORDER


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_vendor_that_is_busy_is_asked_again(vendor: Streamer, status: int) -> None:
    vendor.knobs.statuses = [status]
    vendor.knobs.retry_after = "0"

    assert await understood(engine_for(vendor)) == ORDER
    assert vendor.handshakes == 2


async def test_a_vendor_that_asks_for_a_long_rest_is_not_waited_for(vendor: Streamer) -> None:
    vendor.knobs.statuses = [429] * 20
    vendor.knobs.retry_after = "3600"

    with pytest.raises(SttError):
        await understood(engine_for(vendor))
    assert vendor.handshakes <= 5  # once ahead, and once for each of the utterance's connections


@pytest.mark.parametrize("status", [400, 401, 402, 403, 302])
async def test_a_refusal_is_not_argued_with(vendor: Streamer, status: int) -> None:
    vendor.knobs.statuses = [status]
    async with engine_for(vendor).open(HINTS) as session:
        async with session.recognise() as recognition:
            feed(recognition, speech(ORDER))
            with pytest.raises(SttError):
                await recognition.finish()
        with pytest.raises(SttError):
            async with session.recognise():
                pass

    assert vendor.handshakes == 1


def errors_of(vendor: Streamer) -> dict[str, tuple[dict[str, Any], int, str]]:
    if isinstance(vendor, AssemblyAi):
        return {
            "refused": (
                {"type": "Error", "error_code": 1008, "error": f"Unauthorized Connection: {KEY}"},
                1008,
                f"Unauthorized Connection: {KEY}",
            ),
            "busy": ({}, 1008, "Unauthorized Connection: Too many concurrent sessions"),
            "broken": ({"type": "Error", "error_code": 3005, "error": "Session Cancelled"}, 3005, "Session Cancelled"),
            "expired": ({"type": "Error", "error_code": 3008, "error": "Session Expired"}, 3008, "Session Expired"),
        }
    return {
        "refused": ({}, 1008, "DATA-0000"),
        "busy": ({"type": "Error", "description": "busy", "variant": "TOO_MANY_REQUESTS"}, 1011, "busy"),
        "broken": ({}, 1011, "NET-0000"),
        "expired": ({}, 1011, "NET-0001"),
    }


@pytest.mark.parametrize("kind", ["busy", "broken", "expired"])
async def test_an_error_that_passes_is_not_noticed(vendor: Streamer, kind: str) -> None:
    vendor.knobs.errors = [errors_of(vendor)[kind]]

    assert await understood(engine_for(vendor)) == ORDER


async def test_a_refusal_in_the_vendors_own_form_is_not_argued_with(vendor: Streamer) -> None:
    vendor.knobs.errors = [errors_of(vendor)["refused"]] * 5

    with pytest.raises(SttError):
        await understood(engine_for(vendor))
    assert vendor.handshakes == 1


async def test_a_vendor_that_fails_again_and_again_fails_the_utterance(vendor: Streamer) -> None:
    vendor.knobs.errors = [errors_of(vendor)["broken"]] * 50

    with pytest.raises(SttError):
        await understood(engine_for(vendor))
    assert vendor.handshakes < 10


async def test_a_vendor_that_never_comes_to_an_end_fails_in_time(vendor: Streamer) -> None:
    vendor.knobs.is_silent = True

    with pytest.raises(SttError):
        await understood(engine_for(vendor, timeout=HANGS))


async def test_a_vendor_that_nobody_can_reach_fails(vendor: Streamer) -> None:
    engine = engine_for(vendor)
    vendor.knobs.statuses = [503] * 50

    with pytest.raises(SttError):
        await understood(engine)


async def test_a_failure_is_told_to_who_reads_the_transcripts_too(vendor: Streamer) -> None:
    vendor.knobs.statuses = [401]
    async with utterance(engine_for(vendor)) as recognition:
        feed(recognition, speech(ORDER))
        with pytest.raises(SttError):
            async for _ in recognition.partials():
                pass


@pytest.mark.parametrize(
    "frame",
    ["", "no", "[]", "{}", '{"type":"Turn"}', '{"type":"Results","start":"x"}', "[" * 5000, b"\xff\x00", "null"],
)
async def test_what_cannot_be_read_is_survived(vendor: Streamer, frame: str | bytes) -> None:
    vendor.knobs.first_words = [frame]

    assert await understood(engine_for(vendor)) == ORDER


async def test_a_vendor_that_says_nothing_that_can_be_read_fails(vendor: Streamer) -> None:
    vendor.knobs.first_words = ["no"] * 50

    with pytest.raises(SttError):
        await understood(engine_for(vendor))


async def test_finals_that_come_twice_or_late_are_taken_once(vendor: Streamer) -> None:
    vendor.repeats = vendor.tells_late = True
    if isinstance(vendor, AssemblyAi):
        vendor.formats = True
    else:
        vendor.settles = True
    async with engine_for(vendor).open(HINTS) as session:
        for text in ("quiero un taxi", "para la calle dos", "por favor"):
            async with session.recognise() as recognition:
                feed(recognition, speech(text))
                assert await recognition.finish() == text


async def test_quiet_is_filled_where_a_vendor_would_hang_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Deepgram.run() as vendor:
        engine = engine_for(vendor)
        monkeypatch.setattr("app.engines.stt.deepgram.DeepgramWire.keep_alive_seconds", 0.02)
        async with engine.open(HINTS):
            await vendor.until(lambda: vendor.connections and len(vendor.connections[0].said) >= 3)

    assert vendor.connections[0].said[:3] == [{"type": "KeepAlive"}] * 3


# One request for an utterance.


async def transcribed(vendor: OpenAi, text: str = ORDER, *, timeout: float = 5, key: str = KEY) -> str:
    async with open_openai_stt(SecretStr(key), vendor.url, model="whisper-1", timeout=timeout) as engine:
        return await understood(engine, text)


async def test_an_utterance_is_sent_as_a_wav_with_its_language_and_terms(openai: OpenAi) -> None:
    assert await transcribed(openai) == ORDER

    (request,) = openai.requests
    form = request.form
    assert (form["model"], form["language"]) == (b"whisper-1", b"es")
    assert form["prompt"].decode() == "Barrio Abajo, El Prado"
    assert form["file"][:4] == b"RIFF"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_is_busy_is_asked_again(openai: OpenAi, status: int) -> None:
    openai.knobs.statuses = [status, status]
    openai.knobs.retry_after = "0"

    assert await transcribed(openai) == ORDER
    assert len(openai.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_a_server_that_refuses_is_asked_once(openai: OpenAi, status: int) -> None:
    openai.knobs.statuses = [status]

    with pytest.raises(SttError):
        await transcribed(openai)
    assert len(openai.requests) == 1


@pytest.mark.parametrize("body", ["", "no", "[]", '{"texto": 1}', b"\xff", b"x" * 1_000_000])
async def test_an_answer_that_cannot_be_read_fails(openai: OpenAi, body: str | bytes) -> None:
    openai.knobs.first_words = [body] * 3

    with pytest.raises(SttError):
        await transcribed(openai)


async def test_a_server_that_hangs_fails_in_time(openai: OpenAi) -> None:
    openai.knobs.is_silent = True

    with pytest.raises(SttError):
        await transcribed(openai, timeout=HANGS)


async def test_an_utterance_without_sound_is_not_sent(openai: OpenAi) -> None:
    assert await transcribed(openai, "") == ""
    assert openai.requests == []


# Secrets.


async def test_a_key_is_in_no_log_and_no_error(
    vendor: Streamer, openai: OpenAi, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger().setLevel(logging.DEBUG)
    shown = []
    await understood(engine_for(vendor))
    for kind in ("refused", "broken"):
        vendor.knobs.errors = [errors_of(vendor)[kind]] * 20
        with pytest.raises(SttError) as raised:
            await understood(engine_for(vendor))
        shown.append(raised)
    vendor.knobs.errors.clear()
    with pytest.raises(SttError) as raised:
        await understood(engine_for(vendor, key=KEY + "-wrong"))
    shown.append(raised)
    openai.knobs.statuses = [401]
    with pytest.raises(SttError) as raised:
        await transcribed(openai)
    shown.append(raised)

    for error in shown:
        assert KEY not in str(error.value)
        assert KEY not in str(error.getrepr(style="long", showlocals=False, chain=True))
    assert KEY not in caplog.text
    out, err = capsys.readouterr()
    assert KEY not in out + err
