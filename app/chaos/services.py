"""Real services: PostgreSQL and Redis from the binaries that are installed, for the chaos and for tests.

Each runs on a free loopback port in a temporary folder of its own, and is gone after its block, also
when the block is interrupted::

    with run_postgres() as postgres, postgres.new_database() as url:
        ...
        postgres.pause()    # it keeps its port and its connections, and answers nothing
        postgres.resume()
        postgres.kill()     # as a crash does
        postgres.start()    # the same data on the same port

A service that is not installed is an error, never a skip.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import redis

START_SECONDS = 60
STOP_SECONDS = 20


class ServiceMissing(RuntimeError):
    """A service is not installed."""


class NotReady(Exception):
    """A service does not answer yet."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that is only waited for by its parent does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Service:
    """A server process.

    Args:
        command: What starts it, in the foreground.
        folder: Where it runs and logs to ``log.txt``.
        url: How clients find it.
        ask: Raises where it does not answer yet: ``NotReady``, or what the client of a store raises.
        options: Further arguments of ``Popen``.
    """

    start_seconds: float = START_SECONDS
    """How long it may take until it answers."""

    def __init__(
        self, command: Sequence[str], *, folder: Path, url: str, ask: Callable[[], object], **options: Any
    ) -> None:
        self.url = url
        self._command = command
        self._folder = folder
        self._ask = ask
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return self._folder

    @property
    def pid(self) -> int:
        """The process id of its first process."""
        assert self._process is not None, "it was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and its first process has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, with the data and the port of before, and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start its process. It ends with the thread that calls this: call it in one that stays."""
        with (self._folder / "log.txt").open("ab") as log:
            # A session of its own: Ctrl-C is for us, who stop the service when we are done.
            self._process = subprocess.Popen(  # noqa: S603 - commands of ours
                [*_dies_with_us(), *self._command],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options,
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers.

        Raises:
            RuntimeError: It ended, or does not answer; the message has its log. It runs no more.
        """
        assert self._process is not None, "it was not started"
        deadline = time.monotonic() + self.start_seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._ask()
            except (NotReady, psycopg.OperationalError, redis.ConnectionError):
                time.sleep(0.02)
            else:
                return
        self.kill()
        raise RuntimeError(f"{self._command[0]} did not start:\n{(self._folder / 'log.txt').read_text()}")

    def stop(self) -> None:
        """Stop it as an operator does, without waiting for its clients."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End all its processes at once, as a crash does."""
        if self._process is None:
            return
        killed = self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while any(is_alive(each.pid) for each in killed) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._process = None

    def pause(self) -> None:
        """Stop the time for all its processes: connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its processes go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        """Signal the first process, which from then on can make no others if it is stopped, and then those it made."""
        found = []
        try:
            first = psutil.Process(self.pid)
            children = first.children(recursive=True)
            first.send_signal(number)
            # Once more: it may have made one meanwhile. One that was killed has none to tell of any more.
            for process in {*children, *first.children(recursive=True)}:
                found.append(process)
                process.send_signal(number)
        except psutil.NoSuchProcess:
            pass
        return found


class Postgres(Service):
    """A PostgreSQL server; ``url`` is the address of its first database for SQLAlchemy and asyncpg."""

    _numbers = count(1)

    @contextmanager
    def new_database(self) -> Iterator[str]:
        """Make an empty database, gone after the block; yield its address for SQLAlchemy and asyncpg."""
        name = f"test_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url.rpartition("/")[0] + f"/{name}"
        finally:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Run one statement in the first database."""
        with psycopg.connect(_libpq(self.url), autocommit=True, connect_timeout=STOP_SECONDS) as connection:
            connection.execute(statement)


class Redis(Service):
    """A Redis server."""

    def clear(self) -> None:
        """Delete every key of every database."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@contextmanager
def run_postgres(*settings: str) -> Iterator[Postgres]:
    """Run a PostgreSQL server.

    Args:
        settings: Of the server, such as ``max_connections=20``.
    """
    binaries = _postgres_binaries()
    with _folder() as folder:
        user = _other_user()
        options: dict[str, Any] = {}
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
            options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data, port = folder / "data", free_port()
        how = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        made = subprocess.run(  # noqa: S603 - a command of ours
            [binaries / "initdb", "-D", data, *how],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}")
        given = [
            f"port={port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=32MB",
            "dynamic_shared_memory_type=mmap",
            # A commit reaches the kernel, so that it survives the end of every process, and no further.
            "fsync=off",
            "full_page_writes=off",
            *settings,
        ]
        command = [str(binaries / "postgres"), "-D", str(data), *(part for each in given for part in ("-c", each))]
        url = f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"
        server = Postgres(
            command,
            folder=folder,
            url=url,
            ask=lambda: psycopg.connect(_libpq(url), connect_timeout=STOP_SECONDS).close(),
            **options,
        )
        with _running(server):
            yield server


@contextmanager
def run_redis(*settings: str) -> Iterator[Redis]:
    """Run a Redis server that keeps what it holds on disk.

    Args:
        settings: Further arguments of ``redis-server``.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServiceMissing("redis-server is not installed: apt-get install redis-server")
    with _folder() as folder:
        port = free_port()
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "no", *settings]
        url = f"redis://127.0.0.1:{port}/0"

        def ask() -> None:
            with redis.Redis.from_url(url, socket_timeout=STOP_SECONDS) as client:
                client.ping()

        server = Redis(command, folder=folder, url=url, ask=ask)
        with _running(server):
            yield server


@contextmanager
def _running(service: Service) -> Iterator[None]:
    try:
        service.start()
        yield
    finally:
        service.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vt-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path:
    """Return the folder of the newest PostgreSQL: Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    in_path = shutil.which("postgres")
    if not found and in_path is None:
        raise ServiceMissing("PostgreSQL is not installed: apt-get install postgresql")
    return (found[-1] if found else Path(str(in_path)).resolve()).parent


def _other_user() -> pwd.struct_passwd | None:
    """Return whom to run PostgreSQL as: it refuses to be run by root."""
    if os.getuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _dies_with_us() -> list[str]:
    """Return what goes before a command so that it does not outlive this process, however that ends."""
    return ["setpriv", "--pdeathsig", "KILL"] if sys.platform == "linux" else []


def _libpq(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)
