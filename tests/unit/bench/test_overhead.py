"""What is made of the figures of ``voztaxi bench overhead``."""

from typing import Any
from xml.etree import ElementTree

import pytest

from app.bench.overhead import chart, guard, report, suite

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


def test_who_failed_has_a_line_that_says_so_and_the_others_keep_their_figures() -> None:
    result = burst((10, 40))
    result["burst"].append({"contender": "pipecat", "round": 0, "failed": "not done after 60 s"})

    shown = report.render(result)

    assert shown.startswith("What went wrong\npipecat failed in burst: not done after 60 s\n")
    assert [line.split()[:2] for line in shown.splitlines()[-3:]] == [
        ["proxy", "10.0"],
        ["voztaxi", "40.0"],
        ["pipecat", "failed"],
    ]


def test_wrong_turns_of_any_part_are_told_first_and_do_not_pass() -> None:
    result = burst((10, 40)) | {"growth": [{"contender": "tutorial", "ratio": 1.0, "turns": 200, "wrong": 3}]}

    told = "tutorial had too few or too many tokens in 3 of 200 turns of growth"
    assert report.render(result).startswith(f"What went wrong\n{told}\n")
    assert guard.exceeded(result, BASELINE) == [told]


def test_who_was_saturated_is_not_asked_by_more_and_the_table_says_so() -> None:
    rows = [
        {"contender": "tutorial", "round": 0, "connections": 300, "skipped": "saturated at 100"},
        {"contender": "proxy", "round": 0, "connections": 300, "whole_p50_ms": 1280.0, "model_ms": 0.5},
    ]

    shown = report.render({"paced": rows})

    assert "tutorial          300  saturated at 100" in shown
    assert "proxy             300             1,280" in shown


def test_how_long_each_part_took_is_told() -> None:
    assert report.durations({"start": 9.4, "burst": 70.2}).split()[-6:] == [
        "start",
        "0:09",
        "burst",
        "1:10",
        "all",
        "1:19",
    ]


@pytest.mark.parametrize("most", [0, 1, 7, 63, 480])
@pytest.mark.parametrize("known", [{}, {"guess": 60, "step": 1.25}])
def test_the_search_for_the_capacity_comes_near_whatever_it_begins_with(most: int, known: dict[str, Any]) -> None:
    asked: list[int] = []

    def is_late(level: int) -> bool:
        asked.append(level)
        return level > most

    found = suite.search(is_late, **known)

    assert most / 1.15 - 1 <= found <= most
    assert len(set(asked)) == len(asked) < 20


def test_the_search_begins_with_what_was_found_at_a_pace() -> None:
    rows = [
        {"contender": "voztaxi", "connections": level, "whole_p99_ms": late}
        for level, late in ((1, 1285.0), (10, 1310.0), (100, 1400.0), (300, 9000.0))
    ]

    assert suite.bracket(rows, "voztaxi") == {"kept": 10, "late": 100}
    assert suite.bracket(rows, "proxy") == {"kept": 0, "late": 0}
    assert suite.bracket(rows[:2], "voztaxi") == {"kept": 10, "late": 0}
    asked: list[int] = []
    suite.search(lambda level: asked.append(level) or level > 50, kept=10, late=100)
    assert len(asked) <= 4


def test_the_chart_has_a_bar_for_each_and_marks_ours() -> None:
    panels = chart.panels_of(burst((10, 40)))
    drawn = ElementTree.fromstring(chart.draw(panels, "2 < 3 cores"))

    bars = [each for each in drawn.iter() if each.tag.endswith("rect")]
    assert [bar.get("class") for bar in bars] == ["bar", "bar ours"]
    assert float(str(bars[1].get("width"))) == pytest.approx(4 * float(str(bars[0].get("width"))), rel=0.02)
    assert "2 < 3 cores" in "".join(drawn.itertext())


def test_who_has_no_figure_has_the_reason_in_the_chart() -> None:
    rows = [
        {"contender": "proxy", "connections": 300, "whole_p50_ms": 1280.0},
        {"contender": "tutorial", "connections": 300, "skipped": "saturated at 100"},
    ]

    [(_, _, bars)] = chart.panels_of({"paced": rows})
    drawn = ElementTree.fromstring(chart.draw([("A turn", "ms", bars)], ""))

    assert bars == [("proxy", 1280.0), ("tutorial", "saturated at 100")]
    assert len([each for each in drawn.iter() if each.tag.endswith("rect")]) == 1
    assert "saturated at 100" in "".join(drawn.itertext())
