"""The real server as a process of its own, and a rider with a real WebSocket."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from app.chaos.services import free_port
from app.cli.users import add
from app.core.config import Settings

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


class Server:
    """A running server."""

    def __init__(self, folder: Path, port: int, env: dict[str, str]) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/api/v1/ws/chat"
        self.log = folder / "server.log"
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"], cwd=self.folder, env=self._env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command as the server's operator does."""
        command = [sys.executable, "-m", "app.cli", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait until it has gone; return its exit code."""
        assert self._process is not None
        return self._process.wait(START_SECONDS)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Stop it as an operator does."""
        if self.is_running:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def running_server(folder: Path, *, port: int | None = None, **env: str) -> Iterator[Server]:
    """Start a server in a folder of its own, with these settings, and stop it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LLM"))}
    given = {"HOST": "127.0.0.1", "PORT": str(port), "OFFLINE_WORD_DELAY_MS": "0", "PYTHONPATH": str(ROOT), **env}
    server = Server(folder, port, {**inherited, **given})
    try:
        server.start()
        yield server
    finally:
        server.stop()


def add_users(server: Server, *names: str) -> None:
    """Open accounts, each with the password ``NAME's password``, as the operator's command does."""
    settings = Settings(database_url=f"sqlite+aiosqlite:///{server.folder}/voztaxi.db")
    for name in names:
        add(settings, name, f"{name}'s password")


class Rider:
    """A client on a WebSocket that keeps every frame."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self.socket.send(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        """Return the next frame."""
        frame: dict[str, Any] = json.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the frames up to the first of a kind with these fields."""
        frames = []
        while True:
            frame = await self.receive()
            frames.append(frame)
            if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items()):
                return frames

    async def say(self, text: str, **fields: Any) -> list[dict[str, Any]]:
        """Send a text and return the frames of its turn."""
        await self.send(type="user_input", text=text, **fields)
        return await self.until("turn_end")


@asynccontextmanager
async def rider(url: str, **options: Any) -> AsyncIterator[Rider]:
    """Connect a rider."""
    # Whatever is unread: a client that leaves with a full queue does not see that the server lets it go.
    async with connect(url, max_size=None, max_queue=None, **options) as socket:
        yield Rider(socket)
