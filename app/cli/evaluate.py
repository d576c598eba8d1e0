"""``voztaxi eval``: plays the scenarios, prints the table, writes the report."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import anyio
import typer

from app.evals.conversation import Outcome
from app.evals.evaluation import evaluate, figures
from app.evals.report import render_report
from app.evals.scenario import ScenarioError, load_scenarios
from app.evals.server import ServerNotStarted, own_server
from app.evals.table import render_table


def run_evaluation(
    *,
    url: str | None,
    model: Literal["offline", "openai"],
    repeat: int,
    seed: int,
    kinds: Sequence[str],
    report: Path | None,
    concurrency: int,
) -> bool:
    """Play the scenarios and print what came of them; return whether the goal was reached.

    Args:
        url: A running server's WebSocket; None starts a server for the purpose.
        model: The model of that server.
        repeat: How often each scenario is played.
        seed: Chooses the riders' words.
        kinds: Only these kinds of scenario; empty is all.
        report: Where to write every conversation as HTML.
        concurrency: Conversations at a time.
    """
    try:
        scenarios = load_scenarios(kinds=kinds)
        with nullcontext(url) if url else own_server(model) as address:
            outcomes: list[Outcome] = anyio.run(
                lambda: evaluate(address, scenarios, repeat=repeat, seed=seed, concurrency=concurrency)
            )
    except (ScenarioError, ServerNotStarted) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    print(render_table(outcomes))
    if report is not None:
        report.write_text(render_report(outcomes, f"Voztaxi evaluation: {url or model}"), encoding="utf-8")
        typer.echo(f"Report: {report}", err=True)
    return figures("total", outcomes).is_good
