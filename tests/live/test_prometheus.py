"""Prometheus' own program over what Prometheus is given: the figures of a real server, the alert rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.live.server import ROOT, rider, running_server

pytestmark = pytest.mark.live

RULES = ROOT / "deploy/prometheus/alerts.yml"
RULE_TESTS = ROOT / "tests/prometheus/alerts.yml"
GRAFANAS = {"$__rate_interval": "5m", "$job": "voztaxi", "$instance": "a", "$datasource": "prometheus"}
"""What Grafana puts in for its variables."""


def promtool(*arguments: str | Path, given: str = "") -> str:
    """Run promtool and return what it says; what it complains of fails the test."""
    program = shutil.which("promtool")
    assert program, "promtool is needed; scripts/test installs it"
    done = subprocess.run(
        [program, *map(str, arguments)], input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def alerts(path: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def test_the_figures_of_a_server_are_as_prometheus_wants_them(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        async with rider(server.ws) as guest:
            await guest.say("Necesito un taxi a la Calle 72 #43-25")
            await guest.send(type="sing")
        text = httpx.get(f"{server.url}/metrics").text

    assert 'voztaxi_turns_total{code="",status="completed"} 1.0' in text
    assert promtool("check", "metrics", given=text) == ""


def test_the_check_of_figures_can_fail() -> None:
    with pytest.raises(AssertionError, match="should have"):
        promtool("check", "metrics", given="# HELP turns How many.\n# TYPE turns counter\nturns 1\n")


def test_the_rules_are_rules() -> None:
    assert f"{len(alerts(RULES))} rules found" in promtool("check", "rules", RULES)


def test_each_alert_fires_when_it_should_and_not_when_it_should_not() -> None:
    promtool("test", "rules", RULE_TESTS)


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    cases = [
        case
        for test in yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]
    named = {rule["alert"] for rule in alerts(RULES)}

    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == named
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == named


def test_what_the_dashboard_asks_is_promql(tmp_path: Path) -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/voztaxi.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for name, value in GRAFANAS.items():
        asked = [expression.replace(name, value) for expression in asked]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(asked)]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")

    assert not [expression for expression in asked if re.search(r"\$", expression)]
    assert f"{len(asked)} rules found" in promtool("check", "rules", path)
