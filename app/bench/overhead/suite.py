"""The measurements, each over all contenders by turns.

Everybody runs all the time and is asked one after the other, in another order each round: what the machine does to one
it does to all. A figure is the median of the rounds; a ratio is the median of the ratios within each round.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from app.bench.figures import quantile
from app.bench.overhead.contenders import Contender, running
from app.bench.overhead.instructions import CALLGRIND, counted
from app.bench.overhead.measuring import loading, measure, order, pin, resident_kib
from app.bench.overhead.probe import model_first_token_ms
from app.bench.servers import running_module
from app.chaos.services import Service

Result = dict[str, Any]
Say = Callable[[str], None]

TOKENS = 64
PACE_MS = 20
IDEAL_MS = (TOKENS - 1) * PACE_MS
"""A turn at that pace from a server that costs nothing."""
LATE_MS = 50.0
"""A server keeps the pace while 99 of 100 turns are less late than this."""
LOG_EVENTS = (1_000, 10_000, 100_000, 1_000_000)
_FILL_TOKENS = 1_000
"""Of the turns that fill the log."""
_GROWTH_TURNS = 100
_ENDS = 5
"""Turns at either end of a conversation that are compared."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int = 3
    burst_seconds: float = 4.0
    paced_seconds: float = 6.0
    levels: Sequence[int] = (1, 10, 100, 300, 1000)
    memory_connections: int = 200
    conversations: int = 5
    """Of a hundred turns."""


class Suite:
    """The contenders, running.

    Args:
        contenders: Who is measured.
        effort: How much.
        say: Is told how far it is.
    """

    def __init__(self, contenders: Sequence[Contender], effort: Effort, say: Say) -> None:
        self._contenders = contenders
        self._effort = effort
        self._say = say
        self._stack = ExitStack()
        self._servers: dict[str, Service] = {}
        self._model = ""

    def __enter__(self) -> "Suite":
        """Start the model and everybody: servers on the first core, what drives them on the others."""
        cores = sorted(os.sched_getaffinity(0))
        self._stack.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, cores[1:] or cores)
        self._model = self._stack.enter_context(running_module(["-m", "app.bench.overhead.model"]))
        for each in self._contenders:
            self._say(f"starting {each.name}")
            server = self._stack.enter_context(running(each, self._model))
            pin(server, cores[0])
            self._servers[each.name] = server
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everybody."""
        self._stack.close()

    def _rounds(self, what: str, *, needs_model: bool = False) -> Iterator[tuple[int, Contender, Service]]:
        """Yield everybody, in another order each round."""
        for number in range(self._effort.rounds):
            these = [each for each in self._contenders if each.has_model or not needs_model]
            start = number % len(these)
            for each in [*these[start:], *these[:start]]:
                self._say(f"{what}, round {number + 1} of {self._effort.rounds}: {each.name}")
                yield number, each, self._servers[each.name]

    def burst(self) -> list[Result]:
        """Ten clients, a model that waits for nobody: what a token costs."""
        return [
            _short(measure(each, server, order(each, server, connections=10, seconds=self._effort.burst_seconds)))
            | {"round": number}
            for number, each, server in self._rounds("burst")
        ]

    def first(self) -> list[Result]:
        """One client: how much later than from the model itself the first event and the first token come."""
        port = httpx.URL(self._model).port or 80
        rows = []
        for number, each, server in self._rounds("first token", needs_model=True):
            alone = quantile(sorted(model_first_token_ms(port, turns=200)), 0.5)
            found = measure(each, server, order(each, server, connections=1, seconds=self._effort.burst_seconds / 2))
            rows.append(_short(found) | {"round": number, "model_ms": round(alone, 3)})
        return rows

    def paced(self) -> list[Result]:
        """A token each 20 ms: how late turns are."""
        return [
            self._paced(each, server, level) | {"round": number}
            for level in self._effort.levels
            for number, each, server in self._rounds(f"{level} connections", needs_model=True)
        ]

    def capacity(self) -> list[Result]:
        """How many connections one core serves while 99 of 100 turns are less than 50 ms late."""
        return [
            {"contender": each.name, "round": number, "connections": self._most(each, server)}
            for number, each, server in self._rounds("connections per core", needs_model=True)
        ]

    def _paced(self, contender: Contender, server: Service, level: int) -> Result:
        asked = order(
            contender,
            server,
            connections=level,
            seconds=self._effort.paced_seconds,
            each_ms=PACE_MS,
            warm_up=1,
            spread_ms=IDEAL_MS,
        )
        return _short(measure(contender, server, asked))

    def _most(self, contender: Contender, server: Service) -> int:
        """Return the largest number, to a tenth, that is served in time."""

        def is_late(level: int) -> bool:
            return float(self._paced(contender, server, level)["whole_p99_ms"]) - IDEAL_MS > LATE_MS

        low, high = 0, 10
        while high < 2000 and not is_late(high):
            low, high = high, high * 2
        while high - low > max(1, low // 10):
            middle = (low + high) // 2
            low, high = (low, middle) if is_late(middle) else (middle, high)
        return low

    def growth(self) -> list[Result]:
        """Conversations of a hundred turns: what the last ones take beside the first ones."""
        rows = []
        for each in self._contenders:
            if not each.has_model:
                continue
            self._say(f"long conversations: {each.name}")
            server = self._servers[each.name]
            count = self._effort.conversations
            asked = order(
                each,
                server,
                connections=1,
                seconds=0,
                turns=count * _GROWTH_TURNS,
                warm_up=_GROWTH_TURNS,
                turns_of_thread=_GROWTH_TURNS,
            )
            whole = measure(each, server, asked)["whole"]
            threads = [whole[start : start + _GROWTH_TURNS] for start in range(0, len(whole), _GROWTH_TURNS)]
            early = statistics.median(turn for thread in threads for turn in thread[1 : 1 + _ENDS])
            late = statistics.median(turn for thread in threads for turn in thread[-_ENDS:])
            rows.append(
                {
                    "contender": each.name,
                    "early_ms": round(early, 3),
                    "late_ms": round(late, 3),
                    "ratio": round(late / early, 3),
                }
            )
        return rows

    def memory(self) -> list[Result]:
        """A server of its own each time: what a connection holds, idle and in the middle of a turn."""
        rows = []
        for number in range(self._effort.rounds):
            for each in self._contenders:
                self._say(f"memory, round {number + 1}: {each.name}")
                began = time.monotonic()
                with running(each, self._model) as server:
                    rows.append(
                        {
                            "contender": each.name,
                            "round": number,
                            "start_seconds": round(time.monotonic() - began, 2),
                            "start_mib": round(resident_kib(server.pid) / 1024, 1),
                            **self._memory(each, server),
                        }
                    )
        return rows

    def _memory(self, contender: Contender, server: Service) -> Result:
        count = self._effort.memory_connections
        # What a server makes once, and what its allocator keeps after the first crowd, belongs to no connection.
        with loading(order(contender, server, connections=20, seconds=0, warm_up=1, each_ms=PACE_MS)):
            pass
        before = resident_kib(server.pid)
        asked = order(contender, server, connections=count, seconds=0, warm_up=0, each_ms=PACE_MS)
        with loading(asked) as load:
            time.sleep(1.0)
            idle = resident_kib(server.pid)
            is_over = threading.Event()
            highest = [idle]

            def watch() -> None:
                while not is_over.wait(0.05):
                    highest.append(resident_kib(server.pid))

            watching = threading.Thread(target=watch)
            watching.start()
            load.run()
            is_over.set()
            watching.join()
        return {
            "idle_kib": round((idle - before) / count, 1),
            "active_kib": round((max(highest) - before) / count, 1),
        }

    def log(self) -> list[Result]:
        """Our servers: what a turn costs once so many events were logged."""
        rows = []
        for each in self._contenders:
            if not each.is_ours:
                continue
            with running(each, self._model) as server:
                logged = 0
                for events in LOG_EVENTS:
                    self._say(f"log of {events:,} events: {each.name}")
                    while logged < events:
                        turns = max(1, (events - logged) // (10 * _FILL_TOKENS))
                        fill = order(
                            each, server, connections=10, seconds=0, turns=turns, tokens=_FILL_TOKENS, warm_up=0
                        )
                        found = measure(each, server, fill)
                        logged += round(found["events_a_turn"] * found["turns"])
                    found = measure(each, server, order(each, server, connections=1, seconds=1.0, turns=50))
                    logged += round(found["events_a_turn"] * found["turns"])
                    rows.append({**_short(found), "events": events})
        return rows

    def instructions(self) -> list[Result]:
        """What a turn takes of instructions of the processor, counted by callgrind: the same on a noisy machine."""
        rows = []
        for each in self._contenders:
            self._say(f"instructions: {each.name}")
            with running(each, self._model, under=CALLGRIND) as server:
                rows.append({"contender": each.name, "instructions_a_turn": counted(each, server)})
        return rows


def _short(found: Result) -> Result:
    """Return a measurement without its single turns."""
    kept = {name: value for name, value in found.items() if not isinstance(value, list)}
    for name in ("first_event", "first_token", "whole"):
        ordered = sorted(found[name])
        for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
            kept[f"{name}_{label}_ms"] = round(quantile(ordered, share), 3) if ordered else None
    return kept
