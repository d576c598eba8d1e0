"""Dashboard, alerts and the operator's table against what /metrics has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import app
from app.core import metrics

pytestmark = pytest.mark.integration

ROOT = Path(app.__file__).parents[1]
FUNCTIONS = frozenset({"sum", "max", "min", "count", "rate", "increase", "deriv", "histogram_quantile", "label_values"})
WORDS = frozenset({"by", "and", "or", "on", "ignoring"})
TARGET_LABELS = frozenset({"job", "instance"})
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SELECTOR = re.compile(r"([a-zA-Z_]\w*)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|ignoring)\s*\(([^)]*)\)")


def alerts() -> list[dict[str, Any]]:
    """Return the rules."""
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    read: dict[str, Any] = json.loads((ROOT / "deploy/grafana/voztaxi.json").read_text(encoding="utf-8"))
    return read


def shown() -> list[str]:
    """Return the expressions of the dashboard's panels."""
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def asked() -> list[str]:
    """Return all expressions."""
    variables = [each["definition"] for each in dashboard()["templating"]["list"] if "definition" in each]
    return [*(rule["expr"] for rule in alerts()), *shown(), *variables]


def series() -> dict[str, dict[str, set[str]]]:
    """Return what each name of a sample has for labels, and the values that they begin with."""
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    for family in REGISTRY.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        labels = {"le": set[str]()} if family.type == "histogram" else {}
        for suffix in suffixes:
            found[family.name + suffix] = dict(labels)
        for sample in family.samples:
            for label, value in sample.labels.items():
                found[sample.name].setdefault(label, set()).add(value)
    return found


def names(expression: str) -> Iterator[str]:
    """Yield the series that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    for name in _NAME.findall(_GROUPING.sub(" ", bare)):
        if name not in FUNCTIONS | WORDS | TARGET_LABELS:
            yield name


def ours() -> set[str]:
    """Return the names of our figures as an operator reads them."""
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in REGISTRY.collect()
        if family.name.startswith(("voztaxi_", "stream_chat_"))
    }


def family_of(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("expression", asked())
def test_every_series_that_is_asked_for_exists(expression: str) -> None:
    found = list(names(expression))

    assert found
    assert set(found) <= set(series())


@pytest.mark.parametrize("expression", asked())
def test_every_label_that_is_asked_for_exists_and_so_does_its_value(expression: str) -> None:
    known = series()
    for name, matchers in _SELECTOR.findall(expression):
        for label, operator, value in _MATCHER.findall(matchers):
            if label in TARGET_LABELS:
                continue
            declared = _labels(name)
            assert label in declared, (name, label)
            values = known[name].get(label)
            assert operator != "=" or values is None or value in values, (name, label, value)
    for group in _GROUPING.findall(expression):
        wanted = {label.strip() for label in group.split(",")} - TARGET_LABELS
        assert wanted <= set().union(*(_labels(name) for name in names(expression))), group


def _labels(name: str) -> set[str]:
    """Return the labels that a series is declared with."""
    family = family_of(name).removesuffix("_total")
    for each in vars(metrics).values():
        if getattr(each, "_name", None) == family:
            return {*each._labelnames, *(["le"] if name.endswith("_bucket") else [])}
    return set()


def test_every_figure_of_ours_is_on_the_dashboard() -> None:
    assert ours() == {family_of(name) for expression in shown() for name in names(expression)} & ours()


def test_every_figure_of_ours_is_in_the_operators_table_and_no_other() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`(?:voztaxi|stream_chat)_[^|]*) \|", text, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == ours()


def test_every_alert_says_how_bad_it_is_and_what_is_wrong() -> None:
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")


def test_every_alert_is_in_the_operators_table() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

    assert {rule["alert"] for rule in alerts()} == set(re.findall(r"^\| `(Voztaxi\w+)` \|", text, re.MULTILINE))


def test_the_panels_have_ids_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
