"""``voztaxi bench overhead``: what the chain costs beside other ways to write it, as tables, JSON and a chart."""

import json
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from app.cli.bench import Progress, headline

PARTS = ("burst", "first", "paced", "capacity", "growth", "memory", "log", "instructions")


def run_overhead_bench(
    parts: Sequence[str], names: Sequence[str], *, rounds: int, quick: bool, out: Path, baseline: Path | None = None
) -> None:
    """Measure, print and write.

    Args:
        parts: Which of ``PARTS``.
        names: Which contenders; all where none is named.
        rounds: How often each measurement is taken, everybody by turns.
        quick: Seconds in place of minutes, and fewer connections: to see that it works.
        out: A folder for ``overhead.json``, ``overhead.txt`` and ``overhead.svg``.
        baseline: A file of ratios that must not be exceeded by much.
    """
    try:
        from app.bench.overhead import chart, contenders, guard, report
        from app.bench.overhead.suite import DEAR_ROUNDS, Effort, Suite
        from app.bench.servers import machine
    except ModuleNotFoundError as error:
        typer.echo(f"voztaxi bench needs {error.name}: run it in a checkout, after scripts/install --dev", err=True)
        raise typer.Exit(2) from error
    known = {each.name: each for each in contenders.CONTENDERS}
    if unknown := set(names) - set(known):
        typer.echo(f"There is no {', '.join(sorted(unknown))}: {', '.join(known)}", err=True)
        raise typer.Exit(2)
    chosen = [known[name] for name in names or known]
    theirs = contenders.versions() if any(each.has_packages for each in chosen) else {}
    effort = Effort(rounds=rounds, dear_rounds=min(rounds, DEAR_ROUNDS))
    if quick:
        effort = Effort(
            rounds=rounds,
            dear_rounds=1,
            burst_seconds=1,
            paced_seconds=1,
            levels=(1, 10),
            memory_connections=20,
            conversations=1,
            log_events=(1_000, 10_000),
        )
    say: Callable[[str], None] = Progress()
    seconds: dict[str, float] = {}
    result: dict[str, Any] = {
        "machine": machine(),
        "versions": {"voztaxi": version("voztaxi"), **theirs},
        "seconds": seconds,
    }
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Suite(chosen, effort, say) as suite:
        seconds["start"] = round(time.monotonic() - began, 1)
        for part in parts:
            began = time.monotonic()
            result[part] = getattr(suite, part)()
            seconds[part] = round(time.monotonic() - began, 1)
            _write(out / "overhead.json", json.dumps(result, indent=1))  # what was measured outlives what fails next
    pinned = ", ".join(f"{name} {each}" for name, each in result["versions"].items())
    shown = f"{headline(result['machine'])}\n{pinned}\n\n{report.render(result)}"
    print(shown, flush=True)
    _write(out / "overhead.txt", f"{shown}\n")
    at = result["machine"]
    foot = f"{at['at'][:10]}, {at['processor']}, {at['cores']} cores. Shorter is better."
    _write(out / "overhead.svg", chart.draw(chart.panels_of(result), foot))
    if baseline is not None:
        problems = guard.exceeded(result, json.loads(baseline.read_text(encoding="utf-8")))
        for problem in problems:
            typer.echo(problem, err=True)
        if problems:
            raise typer.Exit(1)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
