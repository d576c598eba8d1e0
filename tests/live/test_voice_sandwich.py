"""The voice-sandwich demo's client calls a real server: its microphone is always open, and all it knows is ``/ws``."""

import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.live.server import Server, running_server
from tests.sandwich import FRAME_BYTES, MICROPHONE_RATE, QUIET_SECONDS, SPEAKER_RATE, Page
from tests.voices import spoken, words

pytestmark = pytest.mark.live

FRAME_SECONDS = FRAME_BYTES / 2 / MICROPHONE_RATE
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Server]:
    env = {
        "STT": "whisper",
        "WHISPER_MODEL": str(weights / "whisper-base"),
        "TTS": "kokoro",
        "KOKORO_FOLDER": str(weights / "kokoro"),
    }
    with running_server(tmp_path_factory.mktemp("server"), **env) as running:
        offer = httpx.get(f"{running.url}/api/v1/voice").json()
        assert offer["hears"]
        assert offer["speaks"]
        yield running


class Client:
    """A page with a microphone that sends 100 ms every 100 ms, and silence where nobody speaks."""

    def __init__(self, socket: ClientConnection) -> None:
        self.page = Page(now=time.monotonic)
        self._socket = socket
        self._speech: deque[bytes] = deque()
        self._came = anyio.Event()

    def say(self, pcm: bytes) -> None:
        """Speak into the microphone."""
        whole = pcm + bytes(-len(pcm) % FRAME_BYTES)
        self._speech.extend(whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES))

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait for so many frames of a type."""
        with anyio.fail_after(WAIT_SECONDS):
            while self.page.types().count(kind) < count:
                came = self._came = anyio.Event()
                await came.wait()

    async def send(self) -> None:
        """Send what the microphone hears."""
        due = anyio.current_time()
        while True:
            await self._socket.send(self._speech.popleft() if self._speech else bytes(FRAME_BYTES))
            due += FRAME_SECONDS
            await anyio.sleep_until(due)

    async def receive(self) -> None:
        """Take what comes."""
        async for message in self._socket:
            self.page.take(message)
            self._came.set()


@asynccontextmanager
async def calling(server: Server) -> AsyncIterator[Client]:
    """Open the page, and close it when the block is left."""
    async with connect(f"ws://127.0.0.1:{server.port}/ws") as socket, anyio.create_task_group() as tasks:
        client = Client(socket)
        tasks.start_soon(client.send)
        tasks.start_soon(client.receive)
        yield client
        tasks.cancel_scope.cancel()


async def test_a_taxi_is_asked_for_by_voice_and_the_answers_are_heard(server: Server) -> None:
    said = ["Buenas, necesito un taxi", "Calle setenta y dos, número cuarenta y tres, veinticinco"]
    sounds = [spoken(text) for text in said]

    async with calling(server) as client:
        for number, sound in enumerate(sounds, start=1):
            client.say(sound)
            await client.until("agent_end", number)
            await anyio.sleep(2 * QUIET_SECONDS)  # the page takes a turn for over by its clock
            client.page.tick()
    page = client.page

    assert "taxi" in words(page.shown("stt")[0])
    assert len(page.shown("stt")) == page.types().count("agent_end") == len(said)
    assert page.shown("agent")
    assert "stt_chunk" in page.types()
    assert any("ValidateAddress" in line for line in page.shown("tool"))
    assert len(page.sound) / 2 / SPEAKER_RATE > 2
    assert page.latencies


async def test_who_speaks_while_the_agent_does_is_answered_and_hears_no_more_of_what_came_before(
    server: Server,
) -> None:
    first, second = spoken("Buenas, necesito un taxi"), spoken("No, espera, mejor cancela todo")

    async with calling(server) as client:
        client.say(first)
        await client.until("tts_chunk", 5)
        client.say(second)
        await client.until("agent_end", 1)
        ahead = client.page.ahead
        await client.until("stt_output", 2)
        await client.until("agent_end", 2)

    assert ahead < QUIET_SECONDS
    assert len(client.page.shown("stt")) == 2
    assert client.page.types()[-1] == "agent_end"
