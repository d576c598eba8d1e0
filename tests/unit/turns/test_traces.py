"""Whatever a turn does, its spans end with it."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.models.conversation import TurnInput
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    EventSource,
    SttOutput,
    ToolCall,
    ToolResult,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnEvent,
    TurnStart,
)
from app.turns.lifecycle import Lifecycle, Phase
from app.turns.traces import Traces

pytestmark = pytest.mark.unit

RECEIVED_AT = 1_000
TOOL = "ValidateAddress"
clock = itertools.count(RECEIVED_AT + 1)
source = EventSource("thread", "turn", lambda: next(clock))

KINDS = st.sampled_from(
    [
        (AgentChunk, {"text": "¡", "agent": "NAVEGANTE"}),
        (AgentChunk, {"text": "¡", "agent": "OPERADOR"}),
        *(
            (ToolCall, {"tool_call_id": call, "name": TOOL, "args": {}, "agent": agent})
            for call, agent in (("c1", "NAVEGANTE"), ("c2", "OPERADOR"))
        ),
        *((ToolResult, {"tool_call_id": call, "name": TOOL, "result": "ok"}) for call in ("c1", "c2")),
        (AgentEnd, {"agent": "NAVEGANTE"}),
        (AgentEnd, {"agent": "OPERADOR"}),
        (TtsChunk, {"audio": "AAAA", "sample_rate": 16000, "offset_ms": 0}),
        (TtsEnd, {}),
        (AgentError, {"error": "x", "code": "model_error"}),
    ]
)


def legal(tries: list[tuple[type[TurnEvent], dict[str, object]]]) -> list[TurnEvent]:
    """Return a whole turn of those events that may come."""
    lifecycle = Lifecycle()
    events: list[TurnEvent] = []

    def accept(event: TurnEvent) -> None:
        if lifecycle.allows(event):
            lifecycle.accept(event)
            events.append(event)

    accept(source.make(SttOutput, text="Hola"))
    accept(source.make(TurnStart, epoch="e"))
    for kind, fields in tries:
        if lifecycle.phase is Phase.RUNNING and kind in (AgentError, TtsEnd):
            for event in list(lifecycle.closing(source)):
                accept(event)
        accept(source.make(kind, **fields))
    for event in list(lifecycle.closing(source)):
        accept(event)
    accept(source.make(TurnEnd, status="completed", text=""))
    assert lifecycle.phase is Phase.ENDED
    return events


def spans_of(events: list[TurnEvent]) -> list[ReadableSpan]:
    """Return the spans that were made of a turn, and that ended."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces = Traces(provider.get_tracer("test"), tools={TOOL}, model={}, personal=False, now_ms=lambda: 0)
    observer = traces.observer(TurnInput(thread_id="thread", turn_id="turn", text="Hola", received_at=RECEIVED_AT))
    for event in events:
        observer.observe(event)
    traces.end_quiet(None)
    return list(exporter.get_finished_spans())


@given(st.lists(KINDS, max_size=25))
def test_every_span_of_a_turn_ends_with_it_and_lies_within_its_parent(
    tries: list[tuple[type[TurnEvent], dict[str, object]]],
) -> None:
    events = legal(tries)
    spans = spans_of(events)

    names = Counter(span.name for span in spans)
    called = [event for event in events if isinstance(event, ToolCall)]
    acted = {event.agent for event in events if isinstance(event, AgentChunk | ToolCall)}
    assert (names["conversation"], names["invoke_workflow taxi"], names["stt"]) == (1, 1, 1)
    assert names[f"execute_tool {TOOL}"] == len(called)
    assert {agent for agent in acted if names[f"invoke_agent {agent}"]} == acted
    assert names["tts"] == (1 if any(isinstance(event, TtsChunk) for event in events) else 0)
    by_id = {span.context.span_id: span for span in spans}
    for span in spans:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
        if span.parent is not None:
            parent = by_id[span.parent.span_id]
            assert parent.start_time is not None
            assert parent.end_time is not None
            assert parent.start_time <= span.start_time
            # The table of a turn lets an agent end before its tool has answered.
            assert span.end_time <= parent.end_time or span.name.startswith("execute_tool")
            assert span.end_time <= events[-1].ts * 1_000_000


def test_only_so_many_conversations_are_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.turns.traces._MOST_CONVERSATIONS", 2)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces = Traces(provider.get_tracer("test"), tools=(), model={}, personal=False, now_ms=lambda: 0)
    for number in range(5):
        traces.conversation(f"thread-{number}", number)

    assert [dict(span.attributes or {})["gen_ai.conversation.id"] for span in exporter.get_finished_spans()] == [
        "thread-0",
        "thread-1",
        "thread-2",
    ]
