"""A small storm with real servers, a real Redis and a real Postgres: nothing is lost and nothing comes twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import app
from app.chaos.audit import COUNTS

pytestmark = pytest.mark.live


@pytest.mark.timeout(600)
def test_thirty_riders_lose_nothing_while_everything_breaks(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "app.cli", "chaos", "--riders", "30", "--seed", "7", "--report", str(report)]

    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(app.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    made = json.loads(report.read_text())
    assert made["counts"] == dict.fromkeys(COUNTS, 0)
    assert made["done"]["bookings"] == 30
    assert made["done"]["fewest_faults_of_a_rider"] >= 4
    assert made["done"]["faults_of_processes"] >= 3
    assert made["recovery_ms"]["all"]["n"] > 60
