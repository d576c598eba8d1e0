"""A server of the evaluation's own: a process on a free port, with a database that goes away with it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx

from app.evals.grading import COVERED

_START_SECONDS = 40
_STOP_SECONDS = 20


class ServerNotStarted(Exception):
    """The evaluation's own server did not come up; the message is the end of its log."""


@contextmanager
def own_server(model: Literal["offline", "openai"]) -> Iterator[str]:
    """Start a server, give the address of its WebSocket, and stop it.

    Args:
        model: The chat model; ``openai`` takes its key and address from the environment or ``.env``.

    Raises:
        ServerNotStarted: It ended, or was not healthy in time.
    """
    with tempfile.TemporaryDirectory(prefix="voztaxi-eval-") as folder:
        port = _free_port()
        env = {
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/eval.db",
            "LLM": model,
            "COVERAGE": ",".join(sorted(COVERED)),
            "OFFLINE_WORD_DELAY_MS": "0",
            "LOG_LEVEL": "WARNING",
            "LOG_FILE": "",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        }
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "app.cli", "serve"]
            process = subprocess.Popen(command, env=env, stdout=output, stderr=output)  # noqa: S603 - ourselves
            try:
                _wait_until_healthy(process, port, log)
                yield f"ws://127.0.0.1:{port}/api/v1/ws/chat"
            finally:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise ServerNotStarted(log.read_text(errors="replace")[-2000:])
