"""What was measured, as tables: medians of the rounds, their spread, and ratios within a round. Pure."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from app.bench.figures import table
from app.bench.overhead.model import IDEAL_MS, PACE_MS, TOKENS

Result = dict[str, Any]
OURS = "voztaxi"


def render(result: Result) -> str:
    """Return the report of a run: what went wrong first, if anything did."""
    parts = {
        "burst": (f"What a token costs: 10 clients, {TOKENS} tokens a turn, a model that waits for nobody", _burst),
        "first": ("One client: how much later than from the model itself", _first),
        "paced": (f"A token each {PACE_MS} ms; a turn takes {IDEAL_MS} ms from a server that costs nothing", _paced),
        "capacity": ("Connections that one core serves while 99 of 100 turns are less than 50 ms late", _capacity),
        "memory": ("Memory of a connection, and the start", _memory),
        "growth": ("Turn 100 of a conversation beside its first ones", _growth),
        "log": ("A turn beside a log of many events", _log),
        "instructions": ("Instructions of a turn, counted by callgrind", _instructions),
    }
    shown = []
    if problems := [*wrong_turns(result), *failures(result)]:
        shown.append("\n".join(["What went wrong", *problems]))
    for name, (title, make) in parts.items():
        if rows := result.get(name):
            shown.append(f"{title}\n{make(rows)}")
    if seconds := result.get("seconds"):
        shown.append(durations(seconds))
    return "\n\n".join(shown)


def durations(seconds: Mapping[str, float]) -> str:
    """Return how long each part took.

    Args:
        seconds: Of each part, by its name.
    """
    lines = [[name, _minutes(each)] for name, each in [*seconds.items(), ("all", sum(seconds.values()))]]
    return f"How long it took\n{table(('', 'min:s'), lines)}"


def failed_rows(rows: Sequence[Result]) -> list[Result]:
    """Return the rows that say why somebody could not be measured."""
    return [row for row in rows if "failed" in row]


def failures(result: Mapping[str, Any]) -> list[str]:
    """Return who could not be measured in which part, and why, a line each."""
    lines = [
        f"{row['contender']} failed in {part}{_at(row)}: {row['failed'].strip().splitlines()[-1]}"
        for part, rows in _parts(result)
        for row in failed_rows(rows)
    ]
    return list(dict.fromkeys(lines))


def wrong_turns(result: Mapping[str, Any]) -> list[str]:
    """Return whose turns had too few or too many tokens in which part, a line each."""
    lines = []
    for part, rows in _parts(result):
        for name in names(rows):
            some = [row for row in rows if row["contender"] == name]
            if wrong := sum(row.get("wrong", 0) for row in some):
                turns = sum(row.get("turns", 0) for row in some)
                lines.append(f"{name} had too few or too many tokens in {wrong:,} of {turns:,} turns of {part}")
    return lines


def _parts(result: Mapping[str, Any]) -> list[tuple[str, Sequence[Result]]]:
    return [(part, rows) for part, rows in result.items() if isinstance(rows, list)]


def _at(row: Result) -> str:
    return f" at {row['connections']:,} connections" if "connections" in row else ""


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


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


def _table(rows: Sequence[Result], head: Sequence[str], make: Callable[[str], Sequence[str]], *, text: str = "") -> str:
    """Return a table with a line of everybody.

    Args:
        rows: Of a part.
        head: What is in the columns; the name is in the first.
        make: The figures of one.
        text: What comes below.
    """
    return "\n".join([table(head, _lines(rows, len(head) - 1, make)), *([text] if text else [])])


def _lines(rows: Sequence[Result], columns: int, make: Callable[[str], Sequence[str]]) -> list[list[str]]:
    """Return a line of everybody: the figures, or that there are none."""
    lines = []
    for name in names(rows):
        some = [row for row in rows if row["contender"] == name]
        if len(failed_rows(some)) == len(some):
            lines.append([name, "failed", *[""] * (columns - 1)])
        else:
            lines.append([name, *make(name)])
    return lines


def _burst(rows: Sequence[Result]) -> str:
    head = ("", "µs CPU a token", "spread", "by ours", "ms CPU / 1,000 events", "tokens/s", "events/s", "wrong turns")
    return _table(
        rows,
        head,
        lambda name: [
            _cell(median(rows, name, "processor_us_a_token")),
            _spread(rows, name, "processor_us_a_token"),
            _cell(ratio(rows, name, "processor_us_a_token"), 2),
            _cell(median(rows, name, "processor_ms_a_thousand_events")),
            _cell(median(rows, name, "tokens_a_second"), 0),
            _cell(median(rows, name, "events_a_second"), 0),
            str(sum(row.get("wrong", 0) for row in rows if row["contender"] == name)),
        ],
    )


def _first(rows: Sequence[Result]) -> str:
    head = ("", "first event ms", "first token ms", "spread", "event over the model's own", "token")
    return _table(
        rows,
        head,
        lambda name: [
            _cell(median(rows, name, "first_event_p50_ms"), 2),
            _cell(median(rows, name, "first_token_p50_ms"), 2),
            _spread(rows, name, "first_token_p50_ms", 2),
            _cell(_over_model(rows, name, "first_event_p50_ms"), 2),
            _cell(_over_model(rows, name, "first_token_p50_ms"), 2),
        ],
        text=_model_alone(rows),
    )


def _over_model(rows: Sequence[Result], contender: str, key: str) -> float | None:
    """Return the median of how much later than from the model itself it comes, within each round."""
    found = [row[key] - row["model_ms"] for row in rows if row["contender"] == contender and row.get(key) is not None]
    return statistics.median(found) if found else None


def _model_alone(rows: Sequence[Result]) -> str:
    own = [row["model_ms"] for row in rows if "model_ms" in row]
    return f"The model alone: {statistics.median(own):.2f} ms" if own else ""


def _paced(rows: Sequence[Result]) -> str:
    head = (
        "", "connections", "turn p50", "p95", "p99", "late at p50", "first event +", "first token +", "µs CPU a token",
        "core",
    )  # fmt: skip
    lines: list[list[str]] = []
    for level in sorted({row["connections"] for row in rows}):
        some = [row for row in rows if row["connections"] == level]
        for name, *figures in _lines(some, len(head) - 2, partial(_paced_line, some)):
            lines.append([name, f"{level:,}", *figures])
    return f"{table(head, lines)}\nfirst event +, first token +: ms over the model's own, at p50"


def _paced_line(rows: Sequence[Result], name: str) -> list[str]:
    skipped = [row["skipped"] for row in rows if row["contender"] == name and "skipped" in row]
    if skipped:
        return [skipped[0], *[""] * 7]
    middle = median(rows, name, "whole_p50_ms")
    return [
        *(_cell(median(rows, name, f"whole_{share}_ms"), 0) for share in ("p50", "p95", "p99")),
        "-" if middle is None else f"{middle / IDEAL_MS - 1:+.1%}",
        _cell(_over_model(rows, name, "first_event_p50_ms"), 2),
        _cell(_over_model(rows, name, "first_token_p50_ms"), 2),
        _cell(median(rows, name, "processor_us_a_token")),
        f"{(median(rows, name, 'server_share') or 0) * 100:.0f} %",
    ]


def _capacity(rows: Sequence[Result]) -> str:
    return _table(
        rows,
        ("", "connections", "spread"),
        lambda name: [_cell(median(rows, name, "connections"), 0), _spread(rows, name, "connections", 0)],
    )


def _memory(rows: Sequence[Result]) -> str:
    head = ("", "KiB idle", "spread", "KiB active", "spread", "MiB at start", "seconds to start")
    return _table(
        rows,
        head,
        lambda name: [
            _cell(median(rows, name, "idle_kib"), 0),
            _spread(rows, name, "idle_kib", 0),
            _cell(median(rows, name, "active_kib"), 0),
            _spread(rows, name, "active_kib", 0),
            _cell(median(rows, name, "start_mib"), 0),
            _cell(median(rows, name, "start_seconds"), 1),
        ],
    )


def _growth(rows: Sequence[Result]) -> str:
    return _table(
        rows,
        ("", "first turns ms", "last turns ms", "ratio", "spread"),
        lambda name: [
            _cell(median(rows, name, "early_ms"), 2),
            _cell(median(rows, name, "late_ms"), 2),
            _cell(median(rows, name, "ratio"), 2),
            _spread(rows, name, "ratio", 2),
        ],
    )


def _log(rows: Sequence[Result]) -> str:
    head = ("", "events in the log", "ms CPU a turn", "turn p50 ms")
    lines = [
        [name, f"{row['events']:,}", _cell(row["processor_ms_a_turn"], 2), _cell(row["whole_p50_ms"], 2)]
        for name in names(rows)
        for row in rows
        if row["contender"] == name and "events" in row
    ]
    lines += [[row["contender"], "failed", "", ""] for row in failed_rows(rows)]
    return table(head, lines)


def _instructions(rows: Sequence[Result]) -> str:
    return _table(rows, ("", "instructions a turn"), lambda name: [_cell(median(rows, name, "instructions_a_turn"), 0)])
