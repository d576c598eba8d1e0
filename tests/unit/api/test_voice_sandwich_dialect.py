"""What the voice-sandwich demo's web client is told: one end a turn, last, and nothing that it could stumble over."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.dialects.voice_sandwich import VoiceSandwichDialect
from app.core.errors import BadInput
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    BaseEvent,
    BookingUpdate,
    EventSource,
    Interrupted,
    ReplayStart,
    SttChunk,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnEvent,
    TurnStart,
)
from app.turns.lifecycle import Lifecycle
from tests.sandwich import Page

pytestmark = pytest.mark.unit

WORDS = {
    "stt_chunk": {"type", "ts", "transcript"},
    "stt_output": {"type", "ts", "transcript"},
    "agent_chunk": {"type", "ts", "text"},
    "tool_call": {"type", "ts", "id", "name", "args"},
    "tool_result": {"type", "ts", "toolCallId", "name", "result"},
    "agent_end": {"type", "ts"},
    "tts_chunk": {"type", "ts", "audio"},
    "error": {"type", "ts", "code", "message"},
}
"""All that is ever said, with all its fields."""

source = EventSource("t", "u", lambda: 7)
any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
any_json = st.dictionaries(any_text, any_text | st.integers() | st.none() | st.lists(any_text), max_size=3)
agents = st.sampled_from(["RECEPCIONISTA", "OPERADOR"])
call_ids = st.sampled_from(["c1", "c2", "c3"])


def events_of(source: EventSource) -> st.SearchStrategy[TurnEvent]:
    def one(kind: type[TurnEvent], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[TurnEvent]:
        return st.builds(lambda **drawn: source.make(kind, **drawn), **fields)

    return st.one_of(
        one(SttChunk, text=any_text),
        one(SttOutput, text=any_text),
        one(TurnStart, epoch=st.just("e")),
        one(AgentChunk, text=any_text, agent=agents),
        one(ToolCall, tool_call_id=call_ids, name=any_text, args=any_json, agent=agents),
        one(ToolResult, tool_call_id=call_ids, name=any_text, result=any_text | any_json),
        one(AgentEnd, agent=agents),
        one(AgentError, error=any_text, code=st.just("model_error")),
        one(TtsChunk, audio=st.just("AAA="), sample_rate=st.just(24000), offset_ms=st.integers(0, 9)),
        one(Interrupted, offset_ms=st.integers(0, 9)),
        one(TtsEnd),
        one(TurnEnd, status=st.sampled_from(["completed", "interrupted", "failed"]), text=any_text),
    )


@st.composite
def turns(draw: st.DrawFn, turn_id: str = "u") -> list[TurnEvent]:
    """Draw a turn that the lifecycle allows, up to its end."""
    here = EventSource("t", turn_id, lambda: 7)
    lifecycle = Lifecycle()
    turn: list[TurnEvent] = [here.make(SttOutput, text="Hola"), here.make(TurnStart, epoch="e")]
    turn[:0] = draw(st.lists(st.builds(lambda text: here.make(SttChunk, text=text), any_text), max_size=2))
    for event in turn:
        lifecycle.accept(event)
    for event in draw(st.lists(events_of(here), max_size=40)):
        if not isinstance(event, TurnEnd) and lifecycle.allows(event):
            lifecycle.accept(event)
            turn.append(event)
    for event in lifecycle.closing(here) if lifecycle.phase == "running" else ():
        lifecycle.accept(event)
        turn.append(event)
    end = here.make(TurnEnd, status=draw(st.sampled_from(["completed", "interrupted", "failed"])), text="")
    return [*turn, end] if lifecycle.allows(end) else draw(turns(turn_id))


def told(*events: BaseEvent) -> list[dict[str, Any]]:
    """Return the frames of events."""
    dialect = VoiceSandwichDialect()
    return [json.loads(frame) for event in events for frame in dialect.encode(event)]


def test_a_spoken_turn_in_the_words_of_the_client() -> None:
    frames = told(
        source.make(SttChunk, text="Un"),
        source.make(SttOutput, text="Un taxi"),
        source.make(TurnStart, epoch="e"),
        source.make(AgentChunk, text="¿Dónde?", agent="NAVEGANTE"),
        source.make(
            ToolCall, tool_call_id="c", name="ValidateAddress", args={"address": "calle 72"}, agent="NAVEGANTE"
        ),
        source.make(
            ToolResult, tool_call_id="c", name="ValidateAddress", result={"status": "ok", "barrio": "Alameda del Río"}
        ),
        source.make(TtsChunk, audio="AAA=", sample_rate=24000, offset_ms=0),
        source.make(AgentEnd, agent="NAVEGANTE"),
        source.make(TtsEnd),
        source.make(TurnEnd, status="completed", text="¿Dónde?"),
    )

    assert frames == [
        {"type": "stt_chunk", "transcript": "Un", "ts": 7},
        {"type": "stt_chunk", "transcript": "Un taxi", "ts": 7},
        {"type": "stt_output", "transcript": "Un taxi", "ts": 7},
        {"type": "agent_chunk", "text": "¿Dónde?", "ts": 7},
        {"type": "tool_call", "id": "c", "name": "ValidateAddress", "args": {"address": "calle 72"}, "ts": 7},
        {
            "type": "tool_result",
            "toolCallId": "c",
            "name": "ValidateAddress",
            "result": '{"status": "ok", "barrio": "Alameda del Río"}',
            "ts": 7,
        },
        {"type": "tts_chunk", "audio": "AAA=", "ts": 7},
        {"type": "agent_end", "ts": 7},
    ]


@given(turns())
def test_every_legal_turn_ends_once_and_last_and_is_told_in_order_in_words_that_the_client_knows(
    turn: list[TurnEvent],
) -> None:
    frames = told(*turn)
    page = Page(now=lambda: 0.0)
    for frame in frames:
        page.take(json.dumps(frame))

    assert [frame["type"] for frame in frames].count("agent_end") == 1
    assert frames[-1]["type"] == "agent_end"
    assert all(set(frame) == WORDS[frame["type"]] for frame in frames)

    def said(kind: type[Any], field: str) -> list[Any]:
        return [getattr(event, field) for event in turn if isinstance(event, kind)]

    def heard(kind: str, field: str) -> list[Any]:
        return [frame[field] for frame in frames if frame["type"] == kind]

    assert heard("agent_chunk", "text") == said(AgentChunk, "text")
    assert heard("tool_call", "id") == said(ToolCall, "tool_call_id")
    assert heard("tool_call", "args") == said(ToolCall, "args")
    assert heard("tool_result", "toolCallId") == said(ToolResult, "tool_call_id")
    assert heard("stt_chunk", "transcript") == [*said(SttChunk, "text"), *said(SttOutput, "text")]
    assert heard("stt_output", "transcript") == said(SttOutput, "text")
    assert heard("tts_chunk", "audio") == (said(TtsChunk, "audio") or [""])
    assert heard("error", "code") == said(AgentError, "code")


@given(st.lists(turns("u"), max_size=1), turns("v"))
def test_each_of_two_turns_ends_once_and_the_second_is_told_as_if_it_were_alone(
    first: list[list[TurnEvent]], second: list[TurnEvent]
) -> None:
    before = [event for turn in first for event in turn]

    frames = told(*before, *second)

    assert frames == [*told(*before), *told(*second)]
    assert [frame["type"] for frame in frames].count("agent_end") == len(first) + 1


@pytest.mark.parametrize(
    "event",
    [
        source.make(TurnStart, epoch="e"),
        source.make(AgentEnd, agent="OPERADOR"),
        source.make(Interrupted, offset_ms=3),
        source.make(TtsEnd),
        BookingUpdate(ts=7, thread_id="t", booking_id="b", status="assigned"),
        ReplayStart(ts=7, thread_id="t", recovered=True, epoch="e", last_seq=1),
    ],
    ids=lambda event: event.type,
)
def test_what_the_client_has_no_word_for_is_left_out(event: ThreadEvent) -> None:
    assert told(event) == []


def page_after(*events: BaseEvent, seconds: float = 1.0) -> Page:
    """Return the page after events and a moment of silence."""
    clock = [0.0]
    page = Page(now=lambda: clock[0])
    for frame in told(*events):
        page.take(json.dumps(frame))
    clock[0] = seconds
    page.tick()
    return page


def test_a_recogniser_of_whole_utterances_begins_the_turn_on_the_page_all_the_same() -> None:
    page = page_after(
        source.make(SttOutput, text="Hola"),
        source.make(AgentChunk, text="¡Hola!", agent="RECEPCIONISTA"),
        source.make(TtsChunk, audio="AAA=", sample_rate=24000, offset_ms=0),
        source.make(TurnEnd, status="completed", text="¡Hola!"),
    )

    assert page.feed == [("stt", "Hola"), ("agent", "¡Hola!")]
    assert page.latencies == [(0, 0, 0)]
    assert not page.turn.is_active


def test_an_answer_that_could_not_be_spoken_is_on_the_page_all_the_same() -> None:
    page = page_after(
        source.make(SttOutput, text="Hola"),
        source.make(AgentChunk, text="¡Hola!", agent="RECEPCIONISTA"),
        source.make(TurnEnd, status="completed", text="¡Hola!"),
    )

    assert page.shown("agent") == ["¡Hola!"]
    assert page.sound == b""
    assert not page.turn.is_active


def test_what_went_wrong_outside_a_turn_has_its_code() -> None:
    frame = json.loads(VoiceSandwichDialect().complain(BadInput("Así no.", code="invalid_audio"), 9))

    assert frame == {"type": "error", "code": "invalid_audio", "message": "Así no.", "ts": 9}
