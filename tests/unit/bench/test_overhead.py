"""What is made of the figures of ``voztaxi bench overhead``."""

from typing import Any
from xml.etree import ElementTree

import pytest

from app.bench.overhead import chart, guard, report

pytestmark = pytest.mark.unit

BASELINE = {"margin": 1.5, "ratios": {"voztaxi": 4.0}}


def burst(*rounds: tuple[float, float]) -> dict[str, Any]:
    """Return a run in which a proxy and our server took so many microseconds a token."""
    rows = []
    for number, figures in enumerate(rounds):
        for name, figure in zip(("proxy", "voztaxi"), figures, strict=True):
            rows.append({"contender": name, "round": number, "processor_us_a_token": figure, "wrong": 0})
    return {"burst": rows}


def test_a_ratio_is_the_median_of_those_within_each_round() -> None:
    rows = burst((10, 40), (100, 300), (10, 20))["burst"]

    assert report.ratio(rows, "voztaxi", "processor_us_a_token", "proxy") == 3
    assert report.median(rows, "proxy", "processor_us_a_token") == 10
    assert report.ratio(rows, "pipecat", "processor_us_a_token") is None


def test_what_has_become_much_dearer_is_told_and_noise_is_not() -> None:
    assert guard.exceeded(burst((10, 59), (20, 30), (10, 90)), BASELINE) == []
    assert guard.exceeded(burst((10, 61), (20, 30), (10, 90)), BASELINE) == [
        "voztaxi takes 6.10 times the processor time of a bare proxy; 6.00 is the most"
    ]


def test_who_was_not_measured_does_not_pass() -> None:
    assert guard.exceeded({}, BASELINE) == ["voztaxi was not measured beside proxy"]


def test_the_report_has_each_part_that_was_measured() -> None:
    shown = report.render(
        burst((10, 40), (12, 36))
        | {"growth": [{"contender": "voztaxi", "early_ms": 5.0, "late_ms": 5.5, "ratio": 1.1}], "memory": []}
    )

    assert "What a token costs" in shown
    assert "38.0  36.0 to 40.0" in shown
    assert "Turn 100 of a conversation" in shown
    assert "Memory" not in shown


def test_the_chart_has_a_bar_for_each_and_marks_ours() -> None:
    panels = chart.panels_of(burst((10, 40)))
    drawn = ElementTree.fromstring(chart.draw(panels, "2 < 3 cores"))

    bars = [each for each in drawn.iter() if each.tag.endswith("rect")]
    assert [bar.get("class") for bar in bars] == ["bar", "bar ours"]
    assert float(str(bars[1].get("width"))) == pytest.approx(4 * float(str(bars[0].get("width"))), rel=0.02)
    assert "2 < 3 cores" in "".join(drawn.itertext())
