"""What is counted of a turn, from its events alone."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.core import metrics
from app.models.conversation import TurnInput
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    EventSource,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnEvent,
    TurnStart,
    TurnStatus,
)
from app.turns.observers import MetricsObserver

pytestmark = pytest.mark.unit

RECEIVED_AT = 1_000_000
SAID = TurnInput(thread_id="thread", turn_id="turn", text="Hola", received_at=RECEIVED_AT)
STAGES = ("first_event", "first_token", "first_audio", "end")


def at(ms: int, kind: type[TurnEvent], **fields: Any) -> TurnEvent:
    """Return an event so long after the input."""
    return EventSource("thread", "turn", lambda: RECEIVED_AT + ms).make(kind, **fields)


def heard(ms: int = 0) -> list[TurnEvent]:
    return [at(ms, SttOutput, text="Hola"), at(ms, TurnStart, epoch="e")]


def says(ms: int, text: str, agent: str = "NAVEGANTE") -> TurnEvent:
    return at(ms, AgentChunk, text=text, agent=agent)


def calls(name: str, result: str | dict[str, Any]) -> list[TurnEvent]:
    return [
        at(5, ToolCall, tool_call_id="c", name=name, args={}, agent="NAVEGANTE"),
        at(6, ToolResult, tool_call_id="c", name=name, result=result),
    ]


def ends(ms: int, status: TurnStatus = "completed") -> TurnEvent:
    return at(ms, TurnEnd, status=status, text="")


class Change:
    """What observing a turn has added to the figures."""

    def __init__(self, *events: ThreadEvent) -> None:
        before = self._read()
        observer = MetricsObserver(SAID, tools={"ValidateAddress"})
        for event in events:
            observer.observe(event)
        after = self._read()
        self._change = {key: after[key] - before.get(key, 0.0) for key in after if after[key] != before.get(key, 0.0)}

    @staticmethod
    def _read() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in REGISTRY.collect()
            if family.name.startswith("voztaxi_")
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float:
        return self._change.get((name, tuple(sorted(labels.items()))), 0.0)

    @property
    def turns(self) -> dict[tuple[str, str], float]:
        """By status and code."""
        counted = {}
        for (name, labels), value in self._change.items():
            if name == "voztaxi_turns_total":
                given = dict(labels)
                counted[given["status"], given["code"]] = value
        return counted

    @property
    def seconds(self) -> dict[str, float]:
        """The times that were noted, by stage."""
        return {
            stage: self.of("voztaxi_turn_seconds_sum", stage=stage)
            for stage in STAGES
            if self.of("voztaxi_turn_seconds_count", stage=stage) == 1
        }


def test_a_completed_turn_is_counted_once_with_its_times() -> None:
    change = Change(
        *heard(250),
        says(500, "¿A dónde?"),
        at(750, TtsChunk, audio="AAAA", sample_rate=16000, offset_ms=0),
        says(800, " Dime."),
        at(900, AgentEnd, agent="NAVEGANTE"),
        at(1000, TtsEnd),
        ends(2000),
    )

    assert change.turns == {("completed", ""): 1}
    assert change.seconds == pytest.approx({"first_event": 0.25, "first_token": 0.5, "first_audio": 0.75, "end": 2.0})


def test_words_are_counted_by_who_says_them() -> None:
    change = Change(*heard(), says(1, "Hola", "RECEPCIONISTA"), says(2, "¿Dónde"), says(3, " estás?"), ends(4))

    assert change.of("voztaxi_answer_chunks_total", agent="RECEPCIONISTA") == 1
    assert change.of("voztaxi_answer_chunks_total", agent="NAVEGANTE") == 2
    assert change.of("voztaxi_answer_characters_total", agent="NAVEGANTE") == len("¿Dónde estás?")


def test_a_turn_without_words_has_no_time_to_the_first() -> None:
    change = Change(*heard(), ends(1000))

    assert set(change.seconds) == {"first_event", "end"}


def test_a_failed_turn_is_counted_by_its_code() -> None:
    change = Change(*heard(), at(500, AgentError, error="…", code="model_error"), ends(500, "failed"))

    assert change.turns == {("failed", "model_error"): 1}
    assert change.seconds["end"] == pytest.approx(0.5)


def test_a_code_that_is_not_known_is_another() -> None:
    change = Change(*heard(), at(1, AgentError, error="…", code="made up"), ends(1, "failed"))

    assert change.turns == {("failed", "other"): 1}


def test_an_interrupted_turn_has_no_time_to_its_end() -> None:
    change = Change(*heard(), says(500, "Ya"), ends(900, "interrupted"))

    assert change.turns == {("interrupted", ""): 1}
    assert set(change.seconds) == {"first_event", "first_token"}


def test_a_turn_of_a_dead_process_is_counted_and_has_no_times() -> None:
    lost = Change(*heard(90_000), at(90_000, AgentError, error="…", code="worker_lost"), ends(90_000, "failed"))
    taken_up = Change(ends(90_000))

    assert lost.turns == {("failed", "worker_lost"): 1}
    assert taken_up.turns == {("completed", ""): 1}
    assert (lost.seconds, taken_up.seconds) == ({}, {})


def test_a_turn_that_was_left_to_another_process_is_not_counted() -> None:
    assert Change(*heard(), says(1, "Hola")).turns == {}


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    assert Change(*heard(-50), ends(-10)).seconds == {"first_event": 0.0, "end": 0.0}


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ("listo", "completed"),
        ({"status": "ok"}, "completed"),
        ({"status": "failed", "code": "missing"}, "failed"),
        ({"status": "failed"}, "failed"),
        ({"status": "failed", "code": "interrupted"}, "interrupted"),
    ],
)
def test_a_tool_call_is_counted_by_what_came_of_it(result: str | dict[str, Any], outcome: str) -> None:
    change = Change(*heard(), *calls("ValidateAddress", result), ends(10))

    assert change.of("voztaxi_tool_calls_total", tool="ValidateAddress", outcome=outcome) == 1


def test_a_tool_that_a_model_made_up_is_another() -> None:
    change = Change(*heard(), *calls("Calle72ConCarrera43", {"status": "failed", "code": "unknown_tool"}), ends(10))

    assert change.of("voztaxi_tool_calls_total", tool="other", outcome="failed") == 1


def test_the_codes_of_failures_are_those_that_a_turn_can_have() -> None:
    assert {"worker_lost", "turn_timeout", "store_failed", "internal_error", "model_error"} <= metrics.FAILURE_CODES
    assert "text_too_long" not in metrics.FAILURE_CODES
