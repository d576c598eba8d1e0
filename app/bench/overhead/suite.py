"""The measurements, each over all contenders by turns.

Everybody runs all the time and is asked one after the other, in another order each round: what the machine does to one
it does to all. A figure is the median of the rounds; a ratio is the median of the ratios within each round. Who fails
has a row that says why, in place of figures, and the others go on.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from app.bench.figures import quantile
from app.bench.overhead.contenders import Contender, Server, running
from app.bench.overhead.instructions import CALLGRIND, counted
from app.bench.overhead.measuring import loading, measure, order, pin, resident_kib
from app.bench.overhead.model import IDEAL_MS, PACE_MS
from app.bench.overhead.probe import model_first_token_ms
from app.bench.overhead.report import failed_rows, median
from app.bench.servers import running_module

Result = dict[str, Any]
Say = Callable[[str], None]

LATE_MS = 50.0
"""A server keeps the pace while 99 of 100 turns are less late than this."""
SATURATED = 2
"""A server whose turns take so many times the ideal is asked by no more connections."""
_MOST_CONNECTIONS = 2_000
_CLOSE = 1.15
"""Two numbers of connections, the one served in time and the other not, are as near as that when the search ends."""
DEAR_ROUNDS = 2
_GROWTH_TURNS = 100
_ENDS = 5
"""Turns at either end of a conversation that are compared."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int = 3
    """Of what is cheap."""
    dear_rounds: int = DEAR_ROUNDS
    """Of what takes minutes."""
    burst_seconds: float = 3.0
    paced_seconds: float = 3.0
    levels: Sequence[int] = (1, 10, 100, 300, 1000)
    memory_connections: int = 200
    conversations: int = 2
    """Of a hundred turns."""
    log_events: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000)


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
        self._servers: dict[str, Server] = {}
        self._absent: dict[str, str] = {}
        """Who did not start, and why."""
        self._model = ""
        self._paced_rows: list[Result] = []

    def __enter__(self) -> "Suite":
        """Start the model and everybody: servers on the first core, what drives them on the others."""
        cores = sorted(os.sched_getaffinity(0))
        self._stack.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, cores[1:] or cores)
        self._model = self._stack.enter_context(running_module(["-m", "app.bench.overhead.model"]))
        for each in self._contenders:
            self._say(f"starting {each.name}")
            try:
                server = self._stack.enter_context(running(each, self._model))
            except RuntimeError as error:
                self._absent[each.name] = str(error)
                continue
            pin(server, cores[0])
            self._servers[each.name] = server
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everybody."""
        self._stack.close()

    def _rounds(
        self, what: str, count: int, measured: Callable[[Contender], Mapping[str, Any]], *, needs_model: bool = True
    ) -> Iterator[Result]:
        """Yield a row of everybody, in another order each round: what ``measured`` returns, or why it failed."""
        these = [each for each in self._contenders if each.has_model or not needs_model]
        for number in range(count):
            start = number % max(1, len(these))
            for each in [*these[start:], *these[:start]]:
                self._say(f"{what}, round {number + 1} of {count}: {each.name}")
                began = time.monotonic()
                row = self._row(each, measured)
                yield row | {"round": number, "took_seconds": round(time.monotonic() - began, 1)}

    def _row(self, contender: Contender, measured: Callable[[Contender], Mapping[str, Any]]) -> Result:
        name = contender.name
        if name in self._absent:
            return {"contender": name, "failed": self._absent[name]}
        try:
            return {"contender": name, **measured(contender)}
        except Exception as error:  # whatever it is, it is told, and the others are measured
            why = str(error) or type(error).__name__
            self._say(f"{name} failed: {why}")
            return {"contender": name, "failed": why}

    def burst(self) -> list[Result]:
        """Ten clients, a model that waits for nobody: what a token costs."""

        def measured(each: Contender) -> Result:
            server = self._servers[each.name]
            return _short(
                measure(each, server, order(each, server, connections=10, seconds=self._effort.burst_seconds))
            )

        return list(self._rounds("burst", self._effort.rounds, measured, needs_model=False))

    def first(self) -> list[Result]:
        """One client: how much later than from the model itself the first event and the first token come."""

        def measured(each: Contender) -> Result:
            server = self._servers[each.name]
            alone = self._model_ms(turns=100)
            asked = order(each, server, connections=1, seconds=self._effort.burst_seconds / 2)
            return _short(measure(each, server, asked)) | {"model_ms": alone}

        return list(self._rounds("first token", self._effort.rounds, measured))

    def paced(self) -> list[Result]:
        """A token each 20 ms: how late turns are, and first tokens. Who was saturated is asked by no more."""
        rows: list[Result] = []
        stopped: dict[str, str] = {}
        for level in self._effort.levels:
            alone = self._model_ms(turns=3, connections=level, each_ms=PACE_MS)

            def measured(each: Contender, level: int = level, alone: float = alone) -> Result:
                if each.name in stopped:
                    return {"connections": level, "skipped": stopped[each.name]}
                return self._paced(each, level) | {"model_ms": alone}

            found = [
                {"connections": level, **row}
                for row in self._rounds(f"{level} connections", self._effort.dear_rounds, measured)
            ]
            rows += found
            for name in {row["contender"] for row in failed_rows(found)}:
                stopped.setdefault(name, f"failed at {level:,}")
            for each in self._contenders:
                middle = median(found, each.name, "whole_p50_ms")
                if middle is not None and middle > SATURATED * IDEAL_MS:
                    stopped.setdefault(each.name, f"saturated at {level:,}")
        self._paced_rows = rows
        return rows

    def capacity(self) -> list[Result]:
        """How many connections one core serves while 99 of 100 turns are less than 50 ms late."""
        known: dict[str, dict[str, Any]] = {
            each.name: bracket(self._paced_rows, each.name) for each in self._contenders
        }

        def measured(each: Contender) -> Result:
            asked: list[Result] = []

            def is_late(level: int) -> bool:
                asked.append(self._paced(each, level))
                return float(asked[-1]["whole_p99_ms"]) - IDEAL_MS > LATE_MS

            most = search(is_late, **known[each.name])
            known[each.name] = {"guess": max(1, most), "step": 1.25}  # the next round measures anew, and begins near
            return {"connections": most, **{key: sum(row[key] for row in asked) for key in ("turns", "wrong")}}

        return list(self._rounds("connections per core", self._effort.dear_rounds, measured))

    def _model_ms(self, *, turns: int, connections: int = 1, each_ms: int = 0) -> float:
        """Return how long the model itself takes to its first token, in milliseconds."""
        port = httpx.URL(self._model).port or 80
        found = model_first_token_ms(port, turns=turns, connections=connections, each_ms=each_ms)
        return round(quantile(sorted(found), 0.5), 3)

    def _paced(self, contender: Contender, level: int) -> Result:
        server = self._servers[contender.name]
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

    def growth(self) -> list[Result]:
        """Conversations of a hundred turns: what the last ones take beside the first ones."""

        def measured(each: Contender) -> Result:
            server = self._servers[each.name]
            asked = order(
                each,
                server,
                connections=1,
                seconds=0,
                turns=self._effort.conversations * _GROWTH_TURNS,
                warm_up=_GROWTH_TURNS,
                turns_of_thread=_GROWTH_TURNS,
            )
            found = measure(each, server, asked)
            whole = found["whole"]
            threads = [whole[start : start + _GROWTH_TURNS] for start in range(0, len(whole), _GROWTH_TURNS)]
            # The first turn of all makes a conversation, and is not what the others are compared with.
            early = statistics.median(turn for thread in threads for turn in thread[1 : 1 + _ENDS])
            late = statistics.median(turn for thread in threads for turn in thread[-_ENDS:])
            return {
                "early_ms": round(early, 3),
                "late_ms": round(late, 3),
                "ratio": round(late / early, 3),
                "turns": found["turns"],
                "wrong": found["wrong"],
            }

        return list(self._rounds("long conversations", self._effort.dear_rounds, measured))

    def memory(self) -> list[Result]:
        """Servers of their own each time: what a connection holds, idle and in the middle of a turn."""

        def measured(each: Contender) -> Result:
            began = time.monotonic()
            with running(each, self._model) as server:
                started = time.monotonic() - began
                at_start = resident_kib(server.pid)
                idle = self._idle(each, server)
            with running(each, self._model) as server:
                return {
                    "start_seconds": round(started, 2),
                    "start_mib": round(at_start / 1024, 1),
                    "idle_kib": idle,
                    **self._active(each, server),
                }

        return list(self._rounds("memory", self._effort.dear_rounds, measured, needs_model=False))

    def _idle(self, contender: Contender, server: Server) -> float:
        """Return by how many KiB a crowd three times as large is more, for each connection.

        The first connections find room in what an allocator kept of those before: the more garbage there was, the
        less would they seem to hold.
        """
        count = self._effort.memory_connections
        _warm(contender, server)
        held = []
        for crowd in (count, 3 * count):
            with loading(order(contender, server, connections=crowd, seconds=0, warm_up=0, each_ms=PACE_MS)):
                time.sleep(1.0)
                held.append(resident_kib(server.pid))
        return round((held[1] - held[0]) / (2 * count), 1)

    def _active(self, contender: Contender, server: Server) -> Result:
        count = self._effort.memory_connections
        _warm(contender, server)
        before = resident_kib(server.pid)
        asked = order(contender, server, connections=count, seconds=0, warm_up=0, each_ms=PACE_MS)
        with loading(asked) as load:
            time.sleep(1.0)
            is_over = threading.Event()
            highest = [resident_kib(server.pid)]

            def watch() -> None:
                while not is_over.wait(0.05):
                    highest.append(resident_kib(server.pid))

            watching = threading.Thread(target=watch)
            watching.start()
            try:
                found = load.run()
            finally:
                is_over.set()
                watching.join()
        return {
            "turns": len(found["whole"]),
            "wrong": found["wrong"],
            "active_kib": round((max(highest) - before) / count, 1),
        }

    def log(self) -> list[Result]:
        """Our servers that store: what a turn costs once so many events were logged."""
        rows: list[Result] = []

        def measured(each: Contender) -> Result:
            with running(each, self._model) as server:
                logged = 0
                for events in self._effort.log_events:
                    self._say(f"log of {events:,} events: {each.name}")
                    server.fill_log(logged, events - logged)
                    logged = events
                    found = measure(each, server, order(each, server, connections=1, seconds=1.0, turns=50))
                    rows.append(_short(found) | {"events": events})
            return {}

        for each in self._contenders:
            if each.has_log:
                rows += failed_rows([self._row(each, measured)])
        return rows

    def instructions(self) -> list[Result]:
        """What a turn takes of instructions of the processor, counted by callgrind.

        As many at a time as there are cores: a count does not depend on who else is busy.
        """

        def measured(each: Contender) -> Result:
            self._say(f"instructions: {each.name}")
            with running(each, self._model, under=CALLGRIND) as server:
                return counted(each, server)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda each: self._row(each, measured), self._contenders))


def _warm(contender: Contender, server: Server) -> None:
    """Have a server make what it makes once, which belongs to no connection."""
    with loading(order(contender, server, connections=20, seconds=0, warm_up=1, each_ms=PACE_MS)):
        pass


def bracket(rows: Sequence[Result], contender: str) -> dict[str, int]:
    """Return what a search may begin with, from what ``paced`` found: ``kept`` and ``late`` of ``search``. Pure.

    Args:
        rows: Of ``paced``; may be empty.
        contender: Who.
    """
    found = {"kept": 0, "late": 0}
    for level in sorted({row["connections"] for row in rows}):
        last = median([row for row in rows if row["connections"] == level], contender, "whole_p99_ms")
        if last is None:
            continue
        if last - IDEAL_MS > LATE_MS:
            return found | {"late": level}
        found["kept"] = level
    return found


def search(is_late: Callable[[int], bool], *, kept: int = 0, late: int = 0, guess: int = 10, step: float = 2.0) -> int:
    """Return about the largest number of connections that is served in time, 0 for none. Pure.

    Args:
        is_late: Whether so many are not served in time.
        kept: A number that is; 0 where none is known.
        late: A number that is not; 0 where none is known.
        guess: What is asked first where one of the two is not known.
        step: How many times more or fewer are asked next, until both are.
    """
    while kept < _MOST_CONNECTIONS and late != 1:
        if kept and late:
            if late <= max(kept * _CLOSE, kept + 1):
                break
            asked = round((kept * late) ** 0.5)
        elif kept or late:
            asked = round(kept * step) if kept else int(late / step)
        else:
            asked = guess
        asked = max(1, asked, kept + 1)
        if is_late(asked):
            late = asked
        else:
            kept = asked
    return kept


def _short(found: Result) -> Result:
    """Return a measurement without its single turns."""
    kept = {name: value for name, value in found.items() if not isinstance(value, list)}
    for name in ("first_event", "first_token", "whole"):
        ordered = sorted(found[name])
        for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
            kept[f"{name}_{label}_ms"] = round(quantile(ordered, share), 3) if ordered else None
    return kept
