"""Recordings that outlive their process, and the page that plays them, in a real browser."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import av
import httpx
import numpy as np
import pytest
from playwright.async_api import Browser, Page, expect

from app.models.audio import HEARING_RATE, SPEAKING_RATE
from app.models.recordings import RecordingInfo, TurnMark
from app.stores.recordings import FileRecordingStore
from tests.live.browser import chromium
from tests.live.server import ROOT, Server, running_server
from tests.live.test_examples import Account, at_work, opened, shoot

pytestmark = pytest.mark.live

PAGE = "examples/recording.html"
HERE = {"RECORDINGS_FOLDER": "recordings"}
DAY_MS = 24 * 3600 * 1000
RECORDER = """
import sys, time
from pathlib import Path
import anyio
from app.models.account import ANYONE
from app.services.recordings import RecordingRules, RecordingService
from app.stores.recordings import FileRecordingStore

async def anybody(_thread_id, _caller): ...

async def main():
    store = await anyio.to_thread.run_sync(FileRecordingStore, Path(sys.argv[1]))
    rules = RecordingRules(consent="Se graba.", days=30)
    now_ms = lambda: time.time_ns() // 1_000_000
    async with RecordingService(recordings=store, authorise=anybody, rules=rules, now_ms=now_ms) as service:
        async with service.open("t", ANYONE, consented_at=1) as recording:
            recording.mark("u", "rider")
            while True:
                recording.rider((b"\\x00\\x10" * 20 + b"\\x00\\xf0" * 20) * 8)
                await anyio.sleep(0.02)

anyio.run(main)
"""


async def test_what_was_said_before_a_kill_is_heard_after_it(tmp_path: Path) -> None:
    store = await anyio.to_thread.run_sync(FileRecordingStore, tmp_path / "r")
    recorder = subprocess.Popen([sys.executable, "-c", RECORDER, tmp_path / "r"], env={"PYTHONPATH": str(ROOT)})
    try:
        while not (path := next((tmp_path / "r").glob("*/*.ogg"), None)) or (stored_ms := milliseconds(path)) < 1_000:
            assert recorder.poll() is None
            await anyio.sleep(0.05)
        assert await store.sweep(now=0) == 0  # another process leaves alone what goes on
        (before,) = await store.of_thread("t")
    finally:
        recorder.kill()
        recorder.wait()
    assert await store.sweep(now=0) == 1
    (after,) = await store.of_thread("t")
    assert await store.audio(after.id) == path
    with av.open(str(path)) as container:
        rider = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[0]

    assert before.state == "recording"
    assert (after.state, after.code, after.marks[0].turn_id) == ("cut", None, "u")
    assert after.duration_ms >= int(stored_ms)
    assert len(rider) / 48 == pytest.approx(after.duration_ms, abs=30)
    assert float(np.abs(rider[24_000:]).mean()) > 0.05


def milliseconds(path: Path) -> float:
    """Return how much sound can be read from a file that is being written."""
    try:
        with av.open(str(path)) as container:
            return sum(frame.samples for frame in container.decode(audio=0)) / 48
    except (av.FFmpegError, IndexError):  # its first page is not there yet
        return 0


# The page.


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    at = np.arange(int(seconds * rate)) / rate
    swell = np.minimum(1, 8 * np.sin(np.pi * at / seconds)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * at))
    return (9_000 * swell * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


async def record(server: Server, thread_id: str, turns: list[str], **known: Any) -> RecordingInfo:
    """Store a recording of four seconds per turn: the rider speaks for one, then the agent for two."""
    store = await anyio.to_thread.run_sync(FileRecordingStore, server.folder / "recordings")
    now = time.time_ns() // 1_000_000
    info = RecordingInfo(
        id=store.new_id(thread_id),
        thread_id=thread_id,
        started_at=now - 60_000,
        consent="Esta llamada se graba para mejorar el servicio.",
        consented_at=now - 61_000,
        expires_at=now + 30 * DAY_MS,
    )
    marks = []
    async with store.open(info) as writer:
        for number, turn_id in enumerate(turns):
            rider, agent = np.zeros(4 * HEARING_RATE, np.int16), np.zeros(4 * SPEAKING_RATE, np.int16)
            rider[HEARING_RATE // 2 : HEARING_RATE * 3 // 2] = tone(300, 1, HEARING_RATE)
            agent[SPEAKING_RATE * 7 // 4 : SPEAKING_RATE * 15 // 4] = tone(200, 2, SPEAKING_RATE)
            await writer.write(rider.tobytes(), agent.tobytes())
            marks += [
                TurnMark(at_ms=4_000 * number + 500, turn_id=turn_id, who="rider"),
                TurnMark(at_ms=4_000 * number + 1_750, turn_id=turn_id, who="agent"),
            ]
        end = {"state": "whole", "duration_ms": 4_000 * len(turns), "marks": tuple(marks)} | known
        done = info.model_copy(update=end)
        await writer.end(done)
    return done


async def talk(server: Server, thread_id: str, *texts: str, headers: dict[str, str] | None = None) -> list[str]:
    """Say something, and return the ids of the turns."""
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
        for text in texts:
            answer = await client.post("/api/v1/chat", json={"text": text, "thread_id": thread_id})
            answer.raise_for_status()
        messages = (await client.get(f"/api/v1/threads/{thread_id}")).json()["messages"]
    return list(dict.fromkeys(each["turn_id"] for each in messages))


@asynccontextmanager
async def at_page(server: Server, browser: Browser, thread_id: str, **options: Any) -> AsyncIterator[Page]:
    """Open the page and a thread in it, and wait until its newest recording is drawn."""
    async with opened(browser, f"{server.url}/{PAGE}", **options) as page:
        await page.get_by_test_id("thread").fill(thread_id)
        await page.get_by_test_id("open").click()
        await expect(page.get_by_test_id("wave")).to_have_attribute("data-ready", "true")
        yield page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that keeps recordings."""
    with running_server(tmp_path_factory.mktemp("recordings") / "s", **HERE) as started:
        yield started


@asynccontextmanager
async def recorded(server: Server, thread_id: str) -> AsyncIterator[tuple[Browser, RecordingInfo]]:
    """Have a conversation with a recording, and start a browser."""
    turns = await talk(server, thread_id, "Hola", "Necesito un taxi", "Calle 72 #43-25, El Prado")
    info = await record(server, thread_id, turns[1:])  # it began with the second
    async with chromium() as browser:
        yield browser, info


READS = ("willReadFrequently",)
"""The browser says how whoever reads canvases may do it faster."""
# A page that forbids eval is asked with functions.
POSITION = "document.getElementById('sound').currentTime"
IS_HEARD = "!document.getElementById('sound').paused"
BARS = """canvas => {
  const { width, height } = canvas, draw = canvas.getContext('2d');
  const found = [];
  for (const [from, until] of [[0, .5], [.5, 1]]) {
    const data = draw.getImageData(0, height * from + 4, width, height * (until - from) - 8).data;
    const tall = [];
    for (let x = 0; x < width; x += 1) {
      let ink = 0;
      for (let y = 0; y < data.length / 4 / width; y += 1) if (data[4 * (y * width + x) + 3] > 60) ink += 1;
      tall.push(ink);
    }
    found.push(tall);
  }
  return found;
}"""


async def test_sound_and_text_go_together(server: Server) -> None:
    async with (
        recorded(server, "together") as (browser, info),
        at_page(server, browser, "together", failing=READS) as page,
    ):
        lines, current = page.get_by_test_id("line"), page.locator("[data-testid=line][aria-current=true]")
        await expect(lines).to_have_count(6)
        await expect(page.locator("[data-testid=line][data-at]")).to_have_count(4)
        await expect(page.get_by_test_id("facts")).to_contain_text(info.consent)
        await shoot(page, "recording-still")

        await lines.nth(3).click()  # the agent's first answer
        await page.wait_for_function(f"() => {IS_HEARD}")
        await expect(current).to_have_count(1)
        await expect(current).to_have_attribute("data-who", "agent")
        assert await page.evaluate(POSITION) >= 1.75
        await page.wait_for_function(f"() => {POSITION} > 4.6")
        await expect(current).to_contain_text("Calle 72 #43-25")
        await shoot(page, "recording-playing")
        await page.get_by_test_id("play").click()
        await page.wait_for_function(f"() => !({IS_HEARD})")

        canvas = page.get_by_test_id("wave")
        rider, agent = (np.array(each) for each in await canvas.evaluate(BARS))
        half = len(rider) // 2
        seconds = half / 4
        loud = lambda tall, since, until: float(tall[int(since * seconds) : int(until * seconds)].mean())  # noqa: E731
        assert loud(rider, 0.7, 1.3) > 4 * loud(rider, 2, 3.5)
        assert loud(agent, 2, 3.5) > 4 * loud(agent, 0.7, 1.3)

        box = await canvas.bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
        assert abs(await page.evaluate(POSITION) - 4) < 0.1
        await expect(page.get_by_test_id("clock")).to_have_text("0:04 / 0:08")
        await page.get_by_test_id("speed").select_option("2")
        assert await page.evaluate("document.getElementById('sound').playbackRate") == 2


async def test_all_of_it_is_done_from_the_keyboard(server: Server) -> None:
    async with recorded(server, "keyboard") as (browser, _), at_page(server, browser, "keyboard") as page:
        wave = page.get_by_test_id("wave")
        await wave.focus()
        await page.keyboard.press("ArrowRight")
        await expect(wave).to_have_attribute("aria-valuetext", "0:05 de 0:08")
        await page.keyboard.press("Home")
        await expect(wave).to_have_attribute("aria-valuenow", "0")
        await page.keyboard.press("Space")
        await page.wait_for_function(f"() => {IS_HEARD} && {POSITION} > 0.6")
        await page.keyboard.press("Space")
        await page.wait_for_function(f"() => !({IS_HEARD})")
        last = page.locator("button[data-testid=line]").last
        await last.focus()
        await page.keyboard.press("Enter")
        await expect(last).to_have_attribute("aria-current", "true")

        await page.get_by_test_id("delete").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("sure-no")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("player")).to_be_visible()


async def test_a_recording_is_deleted_only_when_that_is_confirmed(server: Server) -> None:
    async with recorded(server, "deleted") as (browser, info):
        address = f"{server.url}/api/v1/recordings/{info.id}"
        async with at_page(server, browser, "deleted") as page:
            await page.get_by_test_id("delete").click()
            await page.get_by_test_id("sure-no").click()
            assert httpx.get(address).status_code == 200
            await page.get_by_test_id("delete").click()
            await shoot(page, "recording-delete")
            await page.get_by_test_id("sure-yes").click()
            await expect(page.get_by_test_id("no-tapes")).to_be_visible()
            await expect(page.get_by_test_id("player")).to_be_hidden()
            await expect(page.get_by_test_id("line")).to_have_count(6)
        assert httpx.get(address).status_code == 404


async def test_each_recording_says_how_it_stands_and_a_wav_is_taken_home(server: Server) -> None:
    async with recorded(server, "states") as (browser, info):
        turns = [mark.turn_id for mark in info.marks if mark.who == "rider"]
        await record(server, "states", turns, state="recording")
        await record(server, "states", turns[:1], state="cut", code="store_failed")
        async with at_page(server, browser, "states") as page:
            tapes = page.get_by_test_id("tape")
            await expect(tapes).to_have_count(3)
            await expect(page.get_by_test_id("facts")).to_contain_text("no se pudo guardar más")
            await expect(tapes.nth(1)).to_be_disabled()
            await tapes.first.click()
            await expect(tapes.first).to_have_attribute("aria-current", "true")
            async with page.expect_download() as coming:
                await page.get_by_test_id("wav").click()
            download = await coming.value
            wav = Path(await download.path()).read_bytes()

    assert download.suggested_filename == f"{info.id}.wav"
    assert len(wav) == 44 + 8 * SPEAKING_RATE * 4


async def test_who_has_no_token_is_told_and_with_one_hears_only_what_is_theirs(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", "ana", "eva", AUTH_REQUIRED="true", **HERE) as (server, browser):
        tokens = {name: Account(server, name).token for name in ("ana", "eva")}
        turns = await talk(server, "t", "Hola", headers={"Authorization": f"Bearer {tokens['ana']}"})
        await record(server, "t", turns)
        async with opened(browser, f"{server.url}/{PAGE}#t", refused=(401, 403, 422)) as page:
            await page.get_by_test_id("open").click()
            await expect(page.get_by_test_id("wrong")).to_contain_text("not_authenticated")
            await page.get_by_test_id("token").fill(tokens["eva"])
            await page.get_by_test_id("open").click()
            await expect(page.get_by_test_id("wrong")).to_contain_text("forbidden_thread")
            await page.get_by_test_id("token").fill(tokens["ana"])
            await page.get_by_test_id("open").click()
            await expect(page.get_by_test_id("wave")).to_have_attribute("data-ready", "true")
            await expect(page.get_by_test_id("wrong")).to_be_empty()
            await page.get_by_test_id("thread").fill("no tal")
            await page.get_by_test_id("open").click()
            await expect(page.get_by_test_id("wrong")).to_contain_text("invalid_message")


async def test_the_page_scrolls_sideways_at_no_width_in_neither_theme(server: Server) -> None:
    async with recorded(server, "wide") as (browser, _):
        for width, scheme in ((360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")):
            options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
            async with at_page(server, browser, "wide", **options) as page:
                await page.locator("button[data-testid=line]").nth(1).click()
                await page.wait_for_function(f"() => {POSITION} > 2")
                await shoot(page, f"recording-{scheme}-{width}")
                assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
