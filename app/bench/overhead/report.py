"""What was measured, as tables: medians of the rounds, their spread, and ratios within a round. Pure."""

import statistics
from collections.abc import Sequence
from typing import Any

from app.bench.figures import table

Result = dict[str, Any]
OURS = "voztaxi"
IDEAL_MS = 1260


def render(result: Result) -> str:
    """Return the report of a run."""
    parts = {
        "burst": ("What a token costs: 10 clients, 64 tokens a turn, a model that waits for nobody", _burst),
        "first": ("One client: how much later than from the model itself", _first),
        "paced": (f"A token each 20 ms; a turn takes {IDEAL_MS} ms from a server that costs nothing", _paced),
        "capacity": ("Connections that one core serves while 99 of 100 turns are less than 50 ms late", _capacity),
        "memory": ("Memory of a connection, and the start", _memory),
        "growth": ("Turn 100 of a conversation beside its first ones", _growth),
        "log": ("A turn beside a log of many events", _log),
        "instructions": ("Instructions of a turn, counted by callgrind", _instructions),
    }
    shown = []
    for name, (title, make) in parts.items():
        if rows := result.get(name):
            shown.append(f"{title}\n{make(rows)}")
    return "\n\n".join(shown)


def names(rows: Sequence[Result]) -> list[str]:
    """Return who was measured, in the order in which they come."""
    return list(dict.fromkeys(row["contender"] for row in rows))


def median(rows: Sequence[Result], contender: str, key: str) -> float | None:
    """Return the median of the rounds of one contender; None where it has none."""
    found = [row[key] for row in rows if row["contender"] == contender and row.get(key) is not None]
    return statistics.median(found) if found else None


def ratio(rows: Sequence[Result], contender: str, key: str, other: str = OURS) -> float | None:
    """Return the median of the ratios of two contenders within each round: the first by the other."""
    rounds: dict[Any, dict[str, float]] = {}
    for row in rows:
        if row.get(key) is not None:
            rounds.setdefault(row.get("round"), {})[row["contender"]] = row[key]
    found = [each[contender] / each[other] for each in rounds.values() if contender in each and each.get(other)]
    return statistics.median(found) if found else None


def _cell(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _spread(rows: Sequence[Result], contender: str, key: str, digits: int = 1) -> str:
    found = [row[key] for row in rows if row["contender"] == contender and row.get(key) is not None]
    return f"{min(found):,.{digits}f} to {max(found):,.{digits}f}" if found else "-"


def _burst(rows: Sequence[Result]) -> str:
    head = ("", "µs CPU a token", "spread", "by ours", "ms CPU / 1,000 events", "tokens/s", "events/s", "wrong turns")
    return table(
        head,
        [
            [
                name,
                _cell(median(rows, name, "processor_us_a_token")),
                _spread(rows, name, "processor_us_a_token"),
                _cell(ratio(rows, name, "processor_us_a_token"), 2),
                _cell(median(rows, name, "processor_ms_a_thousand_events")),
                _cell(median(rows, name, "tokens_a_second"), 0),
                _cell(median(rows, name, "events_a_second"), 0),
                str(sum(row["wrong"] for row in rows if row["contender"] == name)),
            ]
            for name in names(rows)
        ],
    )


def _first(rows: Sequence[Result]) -> str:
    head = ("", "first event ms", "first token ms", "spread", "over the model's own")
    own = statistics.median(row["model_ms"] for row in rows)
    lines = []
    for name in names(rows):
        token = median(rows, name, "first_token_p50_ms")
        lines.append(
            [
                name,
                _cell(median(rows, name, "first_event_p50_ms"), 2),
                _cell(token, 2),
                _spread(rows, name, "first_token_p50_ms", 2),
                _cell(None if token is None else token - own, 2),
            ]
        )
    return f"{table(head, lines)}\nThe model alone: {own:.2f} ms"


def _paced(rows: Sequence[Result]) -> str:
    head = ("", "connections", "turn p50", "p95", "p99", "late at p50", "first token p50", "µs CPU a token", "core")
    lines = []
    for level in sorted({row["connections"] for row in rows}):
        some = [row for row in rows if row["connections"] == level]
        for name in names(some):
            middle = median(some, name, "whole_p50_ms")
            lines.append(
                [
                    name,
                    str(level),
                    *(_cell(median(some, name, f"whole_{share}_ms"), 0) for share in ("p50", "p95", "p99")),
                    "-" if middle is None else f"{middle / IDEAL_MS - 1:+.1%}",
                    _cell(median(some, name, "first_token_p50_ms"), 2),
                    _cell(median(some, name, "processor_us_a_token")),
                    _cell((median(some, name, "server_share") or 0) * 100, 0) + " %",
                ]
            )
    return table(head, lines)


def _capacity(rows: Sequence[Result]) -> str:
    lines = [
        [name, _cell(median(rows, name, "connections"), 0), _spread(rows, name, "connections", 0)]
        for name in names(rows)
    ]
    return table(("", "connections", "spread"), lines)


def _memory(rows: Sequence[Result]) -> str:
    head = ("", "KiB idle", "spread", "KiB active", "spread", "MiB at start", "seconds to start")
    return table(
        head,
        [
            [
                name,
                _cell(median(rows, name, "idle_kib"), 0),
                _spread(rows, name, "idle_kib", 0),
                _cell(median(rows, name, "active_kib"), 0),
                _spread(rows, name, "active_kib", 0),
                _cell(median(rows, name, "start_mib"), 0),
                _cell(median(rows, name, "start_seconds"), 1),
            ]
            for name in names(rows)
        ],
    )


def _growth(rows: Sequence[Result]) -> str:
    lines = [[row["contender"], _cell(row["early_ms"], 2), _cell(row["late_ms"], 2), f"{row['ratio']}"] for row in rows]
    return table(("", "first turns ms", "last turns ms", "ratio"), lines)


def _log(rows: Sequence[Result]) -> str:
    lines = [[row["contender"], f"{row['events']:,}", _cell(row["processor_ms_a_turn"], 2)] for row in rows]
    return table(("", "events in the log", "ms CPU a turn"), lines)


def _instructions(rows: Sequence[Result]) -> str:
    lines = [[row["contender"], f"{row['instructions_a_turn']:,}"] for row in rows]
    return table(("", "instructions a turn"), lines)
