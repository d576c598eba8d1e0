"""The events of a stream: words come whole, numbered, once, and can be taken up anywhere."""

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.dialects.stream_chat import Place, StreamChatDialect, StreamEvent
from app.core.errors import BadInput, LogTruncated, StreamTimeout
from app.models.events import (
    AgentChunk,
    AgentError,
    AgentName,
    BaseEvent,
    BookingUpdate,
    Record,
    SttOutput,
    ToolCall,
    ToolResult,
    TurnEnd,
    TurnStart,
    TurnStatus,
)

pytestmark = pytest.mark.unit

IDS = {"ts": 0, "thread_id": "t", "turn_id": "u"}
NEW = Place("t", "m", after_seq=10, number=-1)
FAILURE = AgentError(**IDS, error="No hay modelo.", code="model_error")

any_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
texts = st.lists(any_text, min_size=1, max_size=12)
agents = st.sampled_from(["RECEPCIONISTA", "OPERADOR"])
statuses: st.SearchStrategy[TurnStatus] = st.sampled_from(["completed", "interrupted", "failed"])


def say(text: str, agent: AgentName = "RECEPCIONISTA") -> AgentChunk:
    return AgentChunk(**IDS, text=text, agent=agent)


def turn(*said: BaseEvent, status: TurnStatus = "completed") -> list[Record]:
    """Return the log of a turn that says something, and then another thread's business."""
    text = "".join(event.text for event in said if isinstance(event, AgentChunk))
    end = TurnEnd(**IDS, status=status, text=text)
    events: list[BaseEvent] = [SttOutput(**IDS, text="Hola"), TurnStart(**IDS, epoch="e"), *said, end]
    return [Record(seq, event) for seq, event in zip(count(11), events)]


def play(log: list[Record], place: Place = NEW) -> list[StreamEvent]:
    dialect = StreamChatDialect("u", place)
    return [*dialect.start(), *(event for record in log for event in dialect.encode(record))]


def datas(events: list[StreamEvent], name: str = "chunk") -> list[dict[str, object]]:
    return [json.loads(event.data) for event in events if event.name == name]


def test_an_answer_is_a_start_its_chunks_and_an_end() -> None:
    events = play(turn(say("¡Hola! "), say("¿Dónde?")))

    assert [(event.name, event.id) for event in events] == [
        ("start", "t/m/10/0"),
        ("chunk", "t/m/10/1"),
        ("chunk", "t/m/10/2"),
        ("chunk", "t/m/10/3"),
        ("end", "t/m/10/4"),
    ]
    assert datas(events, "start") == [{"conversation_id": "t", "status": "processing"}]
    assert datas(events) == [
        {"type": "content", "content": "¡Hola!", "chunk_index": 0, "is_final": False},
        {"type": "content", "content": " ¿Dónde", "chunk_index": 1, "is_final": False},
        {"type": "content", "content": "?", "chunk_index": 2, "is_final": True},
    ]
    assert datas(events, "end") == [{"conversation_id": "t", "status": "completed", "message_count": 1}]


@given(texts, statuses)
def test_the_chunks_are_the_words_numbered_without_a_gap_and_one_of_them_is_final(
    said: list[str], status: TurnStatus
) -> None:
    events = play(turn(*map(say, said), FAILURE, status=status))
    chunks = datas(events)

    assert "".join(str(chunk["content"]) for chunk in chunks) == "".join(said)
    assert all(chunk["content"] for chunk in chunks)
    assert [chunk["chunk_index"] for chunk in chunks] == list(range(len(chunks)))
    finals = [chunk["chunk_index"] for chunk in chunks if chunk["is_final"]]
    assert finals == ([len(chunks) - 1] if status == "completed" else [])
    assert [event.name for event in events if event.name in ("end", "error")] == [
        "end" if status == "completed" else "error"
    ]
    assert events[-1].name in ("end", "error")


@given(texts)
def test_all_that_was_said_but_one_character_is_out_at_once(said: list[str]) -> None:
    dialect = StreamChatDialect("u", NEW)
    heard, out = "", ""
    for record in turn(*map(say, said))[:-1]:
        heard += record.event.text if isinstance(record.event, AgentChunk) else ""
        out += "".join(str(chunk["content"]) for chunk in datas(dialect.encode(record)))

        assert out == heard[:-1]


@given(texts, statuses, st.data())
def test_a_stream_goes_on_from_any_of_its_events_byte_for_byte(
    said: list[str], status: TurnStatus, data: st.DataObject
) -> None:
    log = turn(*map(say, said), status=status)
    whole = play(log)
    seen = data.draw(st.integers(0, len(whole) - 1))

    rest = play(log, Place.read(whole[seen].id))

    assert rest == (whole[seen + 1 :] or whole[-1:])


@given(texts, st.data())
def test_a_stream_that_was_cut_short_by_the_server_goes_on_where_it_was_cut(
    said: list[str], data: st.DataObject
) -> None:
    log = turn(*map(say, said))
    cut = data.draw(st.integers(0, len(log) - 1))
    dialect = StreamChatDialect("u", NEW)
    first = [*dialect.start(), *(event for record in log[:cut] for event in dialect.encode(record))]

    [error] = dialect.fail(StreamTimeout())

    assert json.loads(error.data) == {
        "error": StreamTimeout.default,
        "conversation_id": "t",
        "status": "error",
        "code": "stream_timeout",
    }
    assert first + play(log, Place.read(error.id)) == play(log)
    assert dialect.outcome == "error"
    assert dialect.encode(log[-1]) == []


def test_a_stream_that_is_cut_before_it_came_to_where_its_client_was_leaves_the_client_there() -> None:
    dialect = StreamChatDialect("u", Place("t", "m", 10, 3))
    dialect.start()

    [error] = dialect.fail(StreamTimeout())

    assert Place.read(error.id).number == 3


def test_why_a_turn_failed_is_said() -> None:
    [failed] = datas(play(turn(say("Un mo"), FAILURE, status="failed")), "error")
    [unknown] = datas(play(turn(say("Un mo"), status="failed")), "error")
    [cut] = datas(play(turn(say("Un mo"), status="interrupted")), "error")

    assert failed == {"error": "No hay modelo.", "conversation_id": "t", "status": "error", "code": "model_error"}
    assert unknown["code"] == "agent_error"
    assert cut["code"] == "interrupted"


def test_an_answer_has_a_message_for_each_agent_and_after_each_tool() -> None:
    tool = {"tool_call_id": "c", "name": "ValidateAddress"}
    called = ToolCall(**IDS, **tool, args={}, agent="RECEPCIONISTA")
    answered = ToolResult(**IDS, **tool, result="ok")
    log = turn(say("Un "), say("momento."), called, answered, say("Listo. "), say("¿Cómo pagas?", "OPERADOR"))

    assert datas(play(log), "end")[0]["message_count"] == 3


def test_what_is_not_of_the_turn_is_left_out() -> None:
    log = turn(say("Hola."))
    other = [Record(each.seq, each.event.model_copy(update={"turn_id": "other"})) for each in log]
    booking = Record(20, BookingUpdate(ts=0, thread_id="t", booking_id="b", status="assigned"))

    assert play([*other, booking, *log]) == play(log)


def test_a_log_that_has_lost_the_start_of_the_turn_is_not_taken_for_the_turn() -> None:
    for lost in range(2, 4):
        with pytest.raises(LogTruncated):
            play(turn(say("Hola. "), say("¿Dónde?"))[lost:])


@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=128),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128),
    st.integers(0, 2**63 - 2),
    st.integers(0, 10**9 - 1),
)
def test_an_id_is_one_line_of_ascii_and_names_its_place(conversation: str, message: str, seq: int, number: int) -> None:
    place = Place(conversation, message, seq, number)

    assert str(place).isascii()
    assert str(place).isprintable()
    assert " " not in str(place)
    assert Place.read(str(place)) == place


@pytest.mark.parametrize(
    "given_id",
    [
        "7",
        "t/m/10",
        "t/m/10/-1",
        "t/m/010/1",
        "t/m/10/1/",
        "/m/10/1",
        "t//10/1",
        "t/m/x/1",
        "t/m/٣/1",
        "t t/m/10/1",
        "t%20t/m/10/1",
        "t%0at/m/10/1",
        "t%ff/m/10/1",
        "%74/m/10/1",
        "t/m/9999999999999999999/1",
        "t/m/10/99999999999",
        f"{'t' * 129}/m/10/1",
        f"t/{'m' * 129}/10/1",
        "ñ/m/10/1",
        "t/m/10/1\n",
    ],
)
def test_what_is_no_id_of_a_stream_is_refused(given_id: str) -> None:
    with pytest.raises(BadInput):
        Place.read(given_id)
