"""Figures keep to Prometheus' conventions, and never grow with what clients send."""

import re
from collections import Counter as Tally

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from app.core import metrics
from app.core.exposition import exposition

pytestmark = pytest.mark.unit

OURS = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
LABELS = frozenset(
    {
        "agent",
        "code",
        "direction",
        "kind",
        "method",
        "outcome",
        "reason",
        "recovered",
        "route",
        "stage",
        "status",
        "tool",
        "transport",
    }
)
"""Each has few values, known beforehand: one with ids, or words of riders, would make a series for each of them."""
MANY_VALUES = re.compile(r"(^|_)(id|thread|turn|user|client|session|conversation|booking|phone|path|url|ip|text)(_|$)")
OTHER_UNITS = re.compile(r"_(ms|millis|milliseconds|us|ns|minutes|hours|kb|mb|kib|mib|percent)(_|$)")


def test_labels_are_those_with_few_values() -> None:
    assert OURS
    for each in OURS:
        assert set(each._labelnames) <= LABELS, each._name


def test_no_label_on_the_list_names_one_of_many() -> None:
    assert not [label for label in LABELS if MANY_VALUES.search(label)]


def test_the_text_keeps_to_the_conventions() -> None:
    families = list(text_string_to_metric_families(exposition().decode()))
    ours = [family for family in families if family.name.startswith(("voztaxi_", "stream_chat_"))]

    assert {each._name for each in OURS} == {family.name for family in ours}
    for family in ours:
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        assert not OTHER_UNITS.search(family.name), family.name
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", family.name)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert names <= {f"{family.name}_total"}
        else:
            assert not family.name.endswith("_total")


def test_no_family_and_no_series_is_there_twice() -> None:
    families = list(text_string_to_metric_families(exposition().decode()))
    series = Tally((sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples)

    assert max(Tally(family.name for family in families).values()) == 1
    assert max(series.values()) == 1


@pytest.mark.parametrize("code", ["worker_lost", "store_failed", "turn_timeout"])
def test_the_first_failure_is_an_increase(code: str) -> None:
    assert REGISTRY.get_sample_value("voztaxi_turns_total", {"status": "failed", "code": code}) is not None
