"""The table of a turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    EventSource,
    SttChunk,
    SttOutput,
    ToolCall,
    ToolResult,
    TtsEnd,
    TurnEnd,
    TurnEvent,
    TurnStart,
)
from app.turns.lifecycle import IllegalEventError, Lifecycle, Phase

pytestmark = pytest.mark.unit

source = EventSource("thread", "turn", lambda: 0)


def call(call_id: str = "c1") -> ToolCall:
    return source.make(ToolCall, tool_call_id=call_id, name="ValidateAddress", args={}, agent="NAVEGANTE")


def result(call_id: str = "c1") -> ToolResult:
    return source.make(ToolResult, tool_call_id=call_id, name="ValidateAddress", result="ok")


def end(status: str = "completed") -> TurnEnd:
    return source.make(TurnEnd, status=status, text="")


HEARD = [source.make(SttChunk, text="Hola"), source.make(SttOutput, text="Hola"), source.make(TurnStart, epoch="e")]
EVERYTHING: list[TurnEvent] = [
    *HEARD,
    source.make(AgentChunk, text="¡", agent="NAVEGANTE"),
    source.make(AgentChunk, text="¡", agent="OPERADOR"),
    call("c1"),
    call("c2"),
    result("c1"),
    result("c2"),
    source.make(AgentEnd, agent="NAVEGANTE"),
    source.make(AgentEnd, agent="OPERADOR"),
    source.make(AgentError, error="x", code="x"),
    source.make(TtsEnd),
    end("completed"),
    end("interrupted"),
    end("failed"),
]


def started() -> Lifecycle:
    lifecycle = Lifecycle()
    for event in HEARD:
        lifecycle.accept(event)
    return lifecycle


class TestOrder:
    def test_a_whole_turn_is_accepted(self) -> None:
        lifecycle = started()
        for event in [
            call(),
            result(),
            source.make(AgentChunk, text="¡Hola!", agent="NAVEGANTE"),
            source.make(AgentEnd, agent="NAVEGANTE"),
            end(),
        ]:
            lifecycle.accept(event)

        assert lifecycle.phase is Phase.ENDED

    @pytest.mark.parametrize("event", EVERYTHING, ids=lambda event: event.type)
    def test_nothing_follows_the_terminal_event(self, event: TurnEvent) -> None:
        lifecycle = started()
        lifecycle.accept(end())

        with pytest.raises(IllegalEventError):
            lifecycle.accept(event)

    def test_a_turn_cannot_end_while_a_tool_call_is_open(self) -> None:
        lifecycle = started()
        lifecycle.accept(call())

        with pytest.raises(IllegalEventError):
            lifecycle.accept(end())

    def test_a_turn_cannot_end_while_an_agent_has_not(self) -> None:
        lifecycle = started()
        lifecycle.accept(source.make(AgentChunk, text="¡Hola!", agent="OPERADOR"))

        with pytest.raises(IllegalEventError):
            lifecycle.accept(end())

    def test_after_an_error_only_the_end_may_come(self) -> None:
        lifecycle = started()
        lifecycle.accept(source.make(AgentError, error="x", code="x"))

        with pytest.raises(IllegalEventError):
            lifecycle.accept(source.make(AgentChunk, text="¡", agent="OPERADOR"))
        lifecycle.accept(end("failed"))


@given(st.lists(st.sampled_from(EVERYTHING), max_size=30))
def test_whatever_comes_a_turn_can_be_closed_and_has_one_start_one_end_and_paired_calls(
    attempts: list[TurnEvent],
) -> None:
    lifecycle = started()
    accepted: list[TurnEvent] = list(HEARD)
    for event in attempts:
        before = lifecycle.phase
        try:
            lifecycle.accept(event)
        except IllegalEventError:
            assert lifecycle.phase is before
        else:
            accepted.append(event)
    if lifecycle.phase is Phase.RUNNING:
        for event in lifecycle.closing(source):
            lifecycle.accept(event)
            accepted.append(event)
        lifecycle.accept(end())
        accepted.append(end())

    types = [event.type for event in accepted]
    assert types.count("turn_start") == 1
    if lifecycle.phase is Phase.ENDED:
        assert types.count("turn_end") == 1
        assert types[-1] == "turn_end"
    called = [event.tool_call_id for event in accepted if isinstance(event, ToolCall)]
    answered = [event.tool_call_id for event in accepted if isinstance(event, ToolResult)]
    assert len(set(called)) == len(called)
    if lifecycle.phase is Phase.ENDED and "agent_error" not in types and "tts_end" not in types:
        assert sorted(called) == sorted(answered)
        ended = [event.agent for event in accepted if isinstance(event, AgentEnd)]
        acted = {event.agent for event in accepted if isinstance(event, AgentChunk | ToolCall)}
        assert len(set(ended)) == len(ended)
        assert acted <= set(ended)
