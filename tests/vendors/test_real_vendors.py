"""The real services: `scripts/test -m vendor`, with keys in the environment. Without a key a test fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from app.core.config import Settings
from app.engines.stt.assemblyai import assemblyai_stt
from app.engines.stt.base import SpeechHints, SttEngine
from app.engines.stt.deepgram import deepgram_stt
from app.engines.stt.openai import open_openai_stt
from app.engines.tts.base import TtsEngine
from app.engines.tts.cartesia import open_cartesia
from app.engines.tts.elevenlabs import open_elevenlabs
from app.engines.tts.openai import open_openai_tts
from app.models.audio import HEARING_RATE, bytes_of, duration_ms
from tests.conftest import VENDOR_SETTINGS
from tests.vendors.espeak import spoken

pytestmark = pytest.mark.vendor

ORDER = "Quiero un taxi para la calle setenta y dos."
TIMEOUT = 10.0
SETTINGS = Settings(_env_file=None)


def setting(name: str) -> str:
    value = VENDOR_SETTINGS[name]
    if not value:
        pytest.fail(f"set {name} to test the real service")
    return value


@asynccontextmanager
async def ear(name: str) -> AsyncIterator[SttEngine]:
    key = SecretStr(setting(f"{name.upper()}_API_KEY"))
    if name == "assemblyai":
        yield assemblyai_stt(key, SETTINGS.assemblyai_url, timeout=TIMEOUT)
    elif name == "deepgram":
        yield deepgram_stt(key, SETTINGS.deepgram_url, model=SETTINGS.deepgram_model, timeout=TIMEOUT)
    else:
        address = VENDOR_SETTINGS["OPENAI_BASE_URL"]
        async with open_openai_stt(key, address, model=SETTINGS.openai_stt_model, timeout=TIMEOUT) as engine:
            yield engine


@asynccontextmanager
async def mouth(name: str) -> AsyncIterator[TtsEngine]:
    key = SecretStr(setting(f"{name.upper()}_API_KEY"))
    if name == "openai":
        async with open_openai_tts(
            key,
            VENDOR_SETTINGS["OPENAI_BASE_URL"],
            model=SETTINGS.openai_tts_model,
            voice=SETTINGS.openai_tts_voice,
            timeout=TIMEOUT,
        ) as engine:
            yield engine
        return
    is_cartesia = name == "cartesia"
    opens = open_cartesia if is_cartesia else open_elevenlabs
    async with opens(
        key,
        SETTINGS.cartesia_url if is_cartesia else SETTINGS.elevenlabs_url,
        model=SETTINGS.cartesia_model if is_cartesia else SETTINGS.elevenlabs_model,
        voice=setting(f"{name.upper()}_VOICE"),
        language="es",
        timeout=TIMEOUT,
    ) as voice:
        yield voice


@pytest.mark.parametrize("name", ["assemblyai", "deepgram", "openai"])
async def test_a_rider_is_understood(name: str) -> None:
    frame = bytes_of(32, HEARING_RATE)
    sound = await asyncio.to_thread(spoken, ORDER)
    async with ear(name) as engine, engine.open(SpeechHints("es", ("Calle 72", "El Prado"))) as session:
        for _ in range(2):
            async with session.recognise() as recognition:
                for place in range(0, len(sound), frame):
                    recognition.feed(sound[place : place + frame])
                    await asyncio.sleep(0.032)  # as a microphone does
                assert "taxi" in (await recognition.finish()).lower()
        async with session.recognise() as recognition:
            recognition.feed(bytes(bytes_of(500, HEARING_RATE)))
            assert await recognition.finish() == ""


@pytest.mark.parametrize("name", ["cartesia", "elevenlabs", "openai"])
async def test_an_answer_is_spoken(name: str) -> None:
    async with mouth(name) as engine:
        for _ in range(2):
            sound = b"".join([piece async for piece in engine.speak("Su taxi llega en cuatro minutos.")])
            assert 1000 < duration_ms(len(sound), engine.sample_rate) < 6000
