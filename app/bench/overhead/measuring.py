"""One measurement: a contender, a load, and what they used."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import psutil  # type: ignore[import-untyped]

from app.bench.overhead.contenders import Contender, Server
from app.bench.overhead.load import Order
from app.bench.overhead.model import MARK, TOKENS, wish
from app.bench.servers import inherited

Result = dict[str, Any]


def processes(pid: int) -> list[psutil.Process]:
    """Return a server's process and its children."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def processor_seconds(pid: int) -> float:
    """Return what a server used of the processors so far."""
    used = 0.0
    for each in processes(pid):
        times = each.cpu_times()
        used += times.user + times.system
    return used


def resident_kib(pid: int) -> float:
    """Return what a server holds of memory, in KiB."""
    return sum(float(each.memory_info().rss) for each in processes(pid)) / 1024


def pin(server: Server, core: int) -> None:
    """Give a server one core."""
    for each in processes(server.pid):
        each.cpu_affinity([core])


@contextmanager
def loading(order: Order) -> Iterator["Load"]:
    """Start the clients; they have warmed up when this yields.

    Raises:
        Failed: They were not served.
    """
    command = [sys.executable, "-m", "app.bench.overhead.load"]
    with subprocess.Popen(  # noqa: S603 - ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited(), text=True
    ) as process:
        load = Load(process, order)
        try:
            load.warm_up()
            yield load
        finally:
            process.kill()


class Failed(Exception):
    """A contender could not be measured; the message says why."""


class Load:
    """The clients."""

    def __init__(self, process: "subprocess.Popen[str]", order: Order) -> None:
        self._process = process
        self._order = order

    def warm_up(self) -> None:
        """Open the connections and let each take its turns that do not count."""
        self._tell(json.dumps(asdict(self._order)))
        self._hear()

    def run(self) -> Result:
        """Take the turns that are measured, and return a ``Harvest``; the connections stay open.

        Raises:
            Failed: They were not served.
        """
        self._tell("go")
        return self._hear()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _hear(self) -> Result:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed("the clients ended")
        heard: Result = json.loads(line)
        if "failed" in heard:
            raise Failed(heard["failed"])
        return heard


def order(
    contender: Contender,
    server: Server,
    *,
    connections: int,
    seconds: float,
    turns: int = 1,
    tokens: int = TOKENS,
    first_ms: int = 0,
    each_ms: int = 0,
    warm_up: int = 2,
    turns_of_thread: int = 4,
    spread_ms: float = 0,
    limit_seconds: float = 60,
) -> Order:
    """Return what the clients of a contender are to do: see ``Order``, and ``wish`` for the tokens."""
    return Order(
        port=server.port,
        path=contender.path,
        say=contender.message(wish(tokens, first_ms=first_ms, each_ms=each_ms)),
        token=MARK,
        end=contender.end,
        tokens=tokens,
        connections=connections,
        seconds=seconds,
        turns=turns,
        warm_up=warm_up,
        turns_of_thread=turns_of_thread,
        spread_ms=spread_ms,
        limit_seconds=limit_seconds,
    )


def measure(contender: Contender, server: Server, asked: Order) -> Result:
    """Let the clients do what is asked, and return what they saw and what the server used.

    Raises:
        Failed: They were not served.
    """
    with loading(asked) as load:
        used, began = processor_seconds(server.pid), time.monotonic()
        harvest = load.run()
        used = processor_seconds(server.pid) - used
        seconds = time.monotonic() - began
    turns = len(harvest["whole"])
    return {
        "contender": contender.name,
        "connections": asked.connections,
        "turns": turns,
        "wrong": harvest["wrong"],
        "processor_ms_a_turn": round(used / turns * 1000, 4),
        "processor_us_a_token": round(used / turns / asked.tokens * 1e6, 2),
        "processor_ms_a_thousand_events": round(used / max(1, harvest["frames"]) * 1e6, 3),
        "events_a_turn": round(harvest["frames"] / turns, 2),
        "tokens_a_second": round(turns * asked.tokens / harvest["seconds"]),
        "events_a_second": round(harvest["frames"] / harvest["seconds"]),
        "server_share": round(used / seconds, 3),
        "clients_share": round(harvest["processor_seconds"] / harvest["seconds"], 3),
        "first_event": harvest["first_event"],
        "first_token": harvest["first_token"],
        "whole": harvest["whole"],
    }
