"""``voztaxi bench overhead`` as it is called, in small: every turn has all its tokens, whoever is measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.bench.overhead.contenders import CONTENDERS, Contender
from app.bench.overhead.suite import Effort, Suite
from tests.live.server import ROOT

pytestmark = pytest.mark.live

NAMES = ("floor", "proxy", "voztaxi (memory)", "voztaxi")


def test_everybody_delivers_every_token_and_is_compared(tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text('{"margin": 1, "ratios": {"voztaxi": 0.001}}')
    command = [sys.executable, "-m", "app.cli", "bench", "overhead", "burst", "first", "--quick", "--rounds", "1"]
    for name in NAMES:
        command += ["--contender", name]

    done = subprocess.run(
        [*command, "--out", tmp_path, "--check", baseline], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1, done.stderr
    assert "voztaxi takes" in done.stderr
    found = json.loads((tmp_path / "overhead.json").read_text())
    assert [row["contender"] for row in found["burst"]] == list(NAMES)
    assert all(row["wrong"] == 0 and row["turns"] >= 10 for row in found["burst"])
    assert [row["contender"] for row in found["first"]] == list(NAMES[1:])
    assert all(row["first_token_p50_ms"] > row["model_ms"] for row in found["first"])
    assert "What a token costs" in (tmp_path / "overhead.txt").read_text()
    assert (tmp_path / "overhead.svg").read_text().startswith("<svg")
    assert "How long it took" in done.stdout


def test_who_does_not_start_costs_the_others_nothing() -> None:
    [proxy] = [each for each in CONTENDERS if each.name == "proxy"]
    absent = Contender("absent", "a program that is not there", "absent.py")

    with Suite((absent, proxy), Effort(rounds=1, burst_seconds=0.5), lambda _: None) as suite:
        failed, measured = suite.burst()

    assert "absent.py" in failed["failed"]
    assert measured["contender"] == "proxy"
    assert measured["wrong"] == 0
