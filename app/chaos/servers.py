"""The server processes: `voztaxi serve`, several of them over the same stores."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

from app.chaos.services import NotReady, Service, free_port

_HEALTH_SECONDS = 2.0


class AppServer(Service):
    """One server process, on a port that it keeps through its restarts."""

    def __init__(self, folder: Path, port: int, env: Mapping[str, str]) -> None:
        self.port = port
        self.log = folder / "log.txt"
        self.starts = 0
        self.is_wanted = False
        """Whether it was ready and nobody ended it: one that is then gone has crashed."""
        url = f"http://127.0.0.1:{port}"

        def ask() -> None:
            try:
                status = httpx.get(f"{url}/health", timeout=_HEALTH_SECONDS, trust_env=False).status_code
            except httpx.TransportError as error:
                raise NotReady from error
            if status != 200:
                raise NotReady

        command = [sys.executable, "-m", "app.chaos.witness", "serve"]
        super().__init__(command, folder=folder, url=url, ask=ask, env=dict(env))

    def launch(self) -> None:
        """See ``Service``."""
        self.is_wanted = False
        super().launch()
        self.starts += 1

    def wait_until_ready(self) -> None:
        """See ``Service``."""
        super().wait_until_ready()
        self.is_wanted = True

    def terminate(self) -> None:
        """Ask it to stop, as an orchestrator does. It is waited for with ``wait``."""
        self.is_wanted = False
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout: float) -> int | None:
        """Return its exit code once it has gone; None where it still runs after ``timeout`` seconds."""
        assert self._process is not None
        deadline = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self._process.returncode

    def kill(self) -> None:
        """See ``Service``."""
        self.is_wanted = False
        super().kill()

    def stop(self) -> None:
        """See ``Service``."""
        self.is_wanted = False
        super().stop()

    def health(self) -> Mapping[str, Any]:
        """Return what it says of itself."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=10, trust_env=False).json()
        return answer


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server process holds."""

    client_sockets: int
    """Connections to its port."""
    files: int
    threads: int
    tasks: int
    resident_mb: float


def usage(server: AppServer, witness: Path, *, timeout: float = 10.0) -> Usage:
    """Measure a server that runs.

    Args:
        server: It is asked to count its tasks, after it collected its garbage.
        witness: Where it writes the count.
        timeout: Seconds to wait for that.
    """
    witness.unlink(missing_ok=True)
    os.kill(server.pid, signal.SIGUSR2)
    deadline = time.monotonic() + timeout
    while not witness.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    tasks = int(witness.read_text()) if witness.exists() else -1
    process = psutil.Process(server.pid)
    held = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    return Usage(
        client_sockets=sum(each.laddr.port == server.port for each in held),
        files=process.num_fds(),
        threads=process.num_threads(),
        tasks=tasks,
        resident_mb=round(process.memory_info().rss / 2**20, 1),
    )


@dataclass
class Cluster:
    """The servers of a run."""

    env: Mapping[str, str]
    """What all of them are given."""
    servers: list[AppServer] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        """Where they listen, or did."""
        return [server.port for server in self.servers]

    def usage(self) -> list[Usage]:
        """Measure every server."""
        return [usage(server, server.log.with_name("tasks")) for server in self.servers]


@contextmanager
def running_cluster(folder: Path, count: int, env: Mapping[str, str]) -> Iterator[Cluster]:
    """Start servers with the same settings, and stop them.

    Args:
        folder: Where each has a folder of its own, with ``log.txt``.
        count: How many.
        env: Their settings.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV") or name.startswith("LC_")
    }
    with ExitStack() as stack:
        cluster = Cluster({**inherited, "PYTHONPATH": str(Path(__file__).parents[2]), **env})
        for number in range(count):
            home = folder / f"server-{number}"
            home.mkdir(parents=True)
            port = free_port()
            given = {
                **cluster.env,
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "LOG_FORMAT": "json",
                "TASKS_FILE": str(home / "tasks"),
            }
            server = AppServer(home, port, given)
            stack.callback(server.stop)
            server.start()
            cluster.servers.append(server)
        yield cluster
