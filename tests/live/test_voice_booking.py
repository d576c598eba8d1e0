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
from tests.voices import silence, spoken, word_errors

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
MOST_WORD_ERRORS = 0.5
"""Of the words; the booking's code is read out in characters, which the smallest model hears as it likes."""
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


async def heard_by(page: Page, weights: Path) -> list[str]:
    """Return what answers came out of the loudspeaker, as a recogniser reads them."""
    samples, tap = await played(page)
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    ends = np.flatnonzero(np.diff(loud) > tap["rate"] * QUIET_MS // 1000)
    answers = zip(loud[np.r_[0, ends + 1]], loud[np.r_[ends, -1]], strict=True)
    engine = WhisperStt(str(weights / "whisper-base"), timeout=60)
    heard = []
    async with engine.pool.open(), engine.open(SpeechHints()) as session:
        for start, end in answers:
            answer = soxr.resample(samples[start : end + 1], tap["rate"], HEARING_RATE)
            async with session.recognise() as recognition:
                recognition.feed((np.clip(answer, -1, 1) * 32767).astype("<i2").tobytes())
                heard.append(await recognition.finish())
    return heard


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
            booked = page.get_by_text("¡Listo! Tu taxi va en camino").first
            await expect(booked).to_be_visible(timeout=180_000)
            await page.wait_for_timeout(8_000)  # it is read aloud meanwhile
            await until_quiet(page)
            thread_id = await page.evaluate("localStorage.getItem('taxi_thread_id')")
            bookings = (await http.get("/api/v1/bookings", params={"thread_id": thread_id})).json()["bookings"]
        shown = await booked.inner_text()
        heard = await heard_by(page, weights)

    assert [(each["pickup"]["address"], each["payment_method"]) for each in bookings] == [
        ("Calle 72 #43-25", "efectivo")
    ]
    assert word_errors(shown, heard[-1]) < MOST_WORD_ERRORS, (shown, heard)
