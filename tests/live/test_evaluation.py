"""The whole evaluation against one real server: the goal of the taxi brain."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.evals.evaluation import GOAL, evaluate, figures
from app.evals.scenario import load_scenarios
from app.evals.table import render_table
from tests.live.server import ROOT, Server, running_server

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("evaluation")) as running:
        yield running


async def test_the_right_taxi_is_sent_and_never_a_wrong_one(server: Server) -> None:
    outcomes = await evaluate(server.ws, load_scenarios(), concurrency=8, turn_timeout=30)

    total = figures("total", outcomes)
    table = render_table(outcomes)
    print(table)
    assert total.count >= 150
    assert total.wrong_dispatches == 0, table
    assert total.success >= GOAL, table


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "eval", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, timeout=120)


def test_the_command_starts_a_server_of_its_own_and_writes_the_report(tmp_path: Path) -> None:
    done = run("--kind", "human", "--kind", "second_yes", "--report", "report.html")

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line[0] != "-"] == [
        "kind", "second_yes", "human", "total",
    ]  # fmt: skip
    assert "Goal reached" in (tmp_path / "report.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"report.html"}


def test_the_command_fails_where_no_taxi_can_be_booked() -> None:
    done = run("--kind", "human", "--url", "ws://127.0.0.1:9/api/v1/ws/chat")

    assert done.returncode == 1
    assert "failed          human-first" in done.stdout


def test_the_command_refuses_what_it_does_not_know() -> None:
    assert run("--kind", "nonsense").returncode == 2
    assert run("--model", "nonsense").returncode == 2
