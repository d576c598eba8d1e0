"""The console's JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.dialects.native import NativeDialect
from app.core.errors import BadInput
from app.models.events import AgentChunk, EventSource, Record, SystemMessage, ToolCall, TurnEnd
from app.models.inputs import UserInput

pytestmark = pytest.mark.unit

dialect = NativeDialect()
source = EventSource("hilo", "turno", lambda: 17)


def test_a_logged_event_carries_its_number() -> None:
    frame = json.loads(dialect.encode_record(Record(3, source.make(AgentChunk, text="¡Hola!", agent="OPERADOR"))))

    assert frame == {
        "type": "agent_chunk",
        "ts": 17,
        "thread_id": "hilo",
        "turn_id": "turno",
        "text": "¡Hola!",
        "agent": "OPERADOR",
        "seq": 3,
    }


def test_names_are_spelled_as_the_protocol_spells_them() -> None:
    call = source.make(ToolCall, tool_call_id="c1", name="EstimateFare", args={}, agent="OPERADOR")

    assert json.loads(dialect.encode(call))["toolCallId"] == "c1"


def test_what_is_absent_is_left_out() -> None:
    end = json.loads(dialect.encode(source.make(TurnEnd, status="completed", text="x")))
    note = json.loads(dialect.encode(SystemMessage(ts=1, message="x", level="info")))

    assert "booking_id" not in end
    assert set(note) == {"type", "ts", "message", "level"}


@given(st.text())
def test_any_text_survives_the_wire(text: str) -> None:
    event = source.make(AgentChunk, text=text or "x", agent="OPERADOR")

    assert json.loads(dialect.encode(event))["text"] == event.text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_that_is_no_message_is_refused_with_a_code(frame: str) -> None:
    with pytest.raises(BadInput) as refused:
        dialect.decode(frame)

    assert refused.value.error_code in {"invalid_json", "unknown_type", "invalid_message"}


def test_unknown_fields_are_ignored() -> None:
    said = dialect.decode('{"type": "user_input", "text": "Hola", "mood": "good"}')

    assert isinstance(said, UserInput)
    assert said.multitask_strategy == "interrupt"
