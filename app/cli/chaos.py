"""``voztaxi chaos``: lets a storm pass over servers of its own, prints the table, writes the report."""

import json
from pathlib import Path

import typer

_PACKAGES = ("psutil", "psycopg", "redis")


def run_chaos(*, riders: int, seed: int, servers: int, report: Path | None, minutes: float) -> bool:
    """Run one storm and print what came of it; return whether every count is zero.

    Args:
        riders: How many.
        seed: Decides who wants what and what goes wrong.
        servers: Server processes.
        report: Where to write the report as JSON.
        minutes: Within this time the last taxi must have been ordered.
    """
    try:
        from app.chaos.report import is_clean, make_report, render_table
        from app.chaos.services import ServiceMissing
        from app.chaos.storm import StormOptions, run_storm
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        typer.echo(f"voztaxi chaos needs {error.name}: pip install 'voztaxi[postgres,redis]' psutil", err=True)
        raise typer.Exit(2) from error
    try:
        options = StormOptions(riders=riders, seed=seed, servers=servers, minutes=minutes)
        outcome = run_storm(options, say=lambda words: typer.echo(words, err=True))
    except ServiceMissing as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    made = make_report(outcome)
    if report is not None:
        report.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(render_table(made))
    return is_clean(made)
