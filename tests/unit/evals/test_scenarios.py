"""The scenario files hold what they must, and say so where they cannot be read."""

from collections import Counter
from pathlib import Path

import pytest

from app.evals.scenario import ScenarioError, load_scenarios

pytestmark = pytest.mark.unit


def test_there_are_scenarios_of_every_kind() -> None:
    kinds = Counter(scenario.kind for scenario in load_scenarios())
    assert sum(kinds.values()) >= 150
    assert sum(scenario.rider.style == "spoken" for scenario in load_scenarios()) >= 30
    assert set(kinds) >= {
        "step_by_step", "one_sentence", "corner", "place", "spoken_asr", "correction_midway", "correction_at_summary",
        "details_any_order", "ambiguous_neighborhood", "outside_coverage", "refused_payment", "price_question",
        "out_of_scope", "cancel_before", "cancel_after", "status", "another_taxi", "human", "insult", "injection",
        "no_consent", "english", "typos", "silence_noise", "wait_repeat", "long_winded", "second_yes",
    }  # fmt: skip


def test_only_the_kinds_asked_for_are_loaded() -> None:
    assert {scenario.kind for scenario in load_scenarios(kinds=["insult", "human"])} == {"insult", "human"}


@pytest.mark.parametrize(
    "text",
    [
        "- {id: a, kind: b}",
        "- {id: a, kind: b, rider: {opening: no}, expect: []}",
        "- {id: a, kind: b, rider: {opening: hola, answers: {colour: red}}, expect: []}",
        "- {id: a, kind: b, rider: {opening: hola}, expect: [], extra: 1}",
        "- {id: a, kind: b, rider: {opening: hola}, expect: []}\n" * 2,
        "[",
        "7",
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ScenarioError, match=r"bad\.yaml"):
        load_scenarios(tmp_path)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ScenarioError, match="nonsense"):
        load_scenarios(kinds=["nonsense"])
