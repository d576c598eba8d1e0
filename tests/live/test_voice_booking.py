"""A rider books a taxi by talking to the console in a real browser, and hears the answer."""

import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soxr
from playwright.async_api import Page, expect

from app.engines.stt.base import SpeechHints
from app.engines.stt.whisper import WhisperStt
from app.models.audio import HEARING_RATE
from tests.live.browser import chromium
from tests.live.server import Server, running_server
from tests.live.test_console_voice import TAP, played
from tests.voices import silence, spoken, words

pytestmark = pytest.mark.live

SAID = (
    "Buenas, necesito un taxi en la calle setenta y dos número cuarenta y tres veinticinco, barrio El Prado. "
    "Pago en efectivo.",
    "No, gracias.",
    "Sí, confirmo, por favor.",
)
ANSWER_SECONDS = 26
"""How long the rider listens before the next thing is said."""
AUDIBLE = 0.01
"""Of full scale."""
QUIET_MS = 4_000
"""Longer than any pause between two sentences."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Server]:
    env = {
        "STT": "whisper",
        "WHISPER_MODEL": str(weights / "whisper-base"),
        "TTS": "kokoro",
        "KOKORO_FOLDER": str(weights / "kokoro"),
        "SMART_TURN_MODEL": str(weights / "smart-turn.onnx"),
    }
    with running_server(tmp_path_factory.mktemp("server"), **env) as running:
        yield running


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """What the rider says, as a WAV of the browser's own rate."""
    said = silence(2) + b"".join(spoken(text) + silence(ANSWER_SECONDS) for text in SAID) + silence(60)
    path = tmp_path_factory.mktemp("rider") / "rider.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        samples = soxr.resample(np.frombuffer(said, "<i2").astype(np.float32) / 32768, HEARING_RATE, 48_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


async def heard_by(page: Page, weights: Path) -> str:
    """Return what came out of the loudspeaker, as a recogniser reads it."""
    samples, tap = await played(page)
    pcm = (np.clip(soxr.resample(samples, tap["rate"], HEARING_RATE), -1, 1) * 32767).astype("<i2").tobytes()
    engine = WhisperStt(str(weights / "whisper-base"), timeout=60)
    async with engine.pool.open(), engine.open(SpeechHints()) as session, session.recognise() as recognition:
        recognition.feed(pcm)
        return await recognition.finish()


async def until_quiet(page: Page) -> None:
    """Wait until no more sound comes out of the loudspeaker."""
    before = -1
    while True:
        samples, _ = await played(page)
        loud = int(np.count_nonzero(np.abs(samples) > AUDIBLE))
        if loud == before:
            return
        before = loud
        await page.wait_for_timeout(QUIET_MS)


@pytest.mark.timeout(300)
async def test_a_taxi_is_booked_by_voice_and_the_answer_is_heard(
    server: Server, microphone: Path, weights: Path
) -> None:
    flags = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop")
    async with chromium(*flags) as browser, await browser.new_context(permissions=["microphone"]) as context:
        page = await context.new_page()
        await page.add_init_script(f"({TAP})()")
        await page.goto(server.url)
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
        await page.get_by_test_id("mic").click()
        async with httpx.AsyncClient(base_url=server.url) as http:
            await expect(page.get_by_text("¡Listo! Tu taxi va en camino").first).to_be_visible(timeout=180_000)
            await page.wait_for_timeout(8_000)  # it is read aloud meanwhile
            await until_quiet(page)
            thread_id = await page.evaluate("localStorage.getItem('taxi_thread_id')")
            bookings = (await http.get("/api/v1/bookings", params={"thread_id": thread_id})).json()["bookings"]
        heard = await heard_by(page, weights)

    assert [(each["pickup"]["address"], each["payment_method"]) for each in bookings] == [
        ("Calle 72 #43-25", "efectivo")
    ]
    assert {"taxi", "camino"} <= set(words(heard)), heard
