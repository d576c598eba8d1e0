"""Whatever becomes of a turn, its client gets one start, content that adds up, and one end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.dialects.realtime import Frame, Place, RealtimeDialect, read_place
from app.core.errors import NotFound
from app.models.events import (
    AgentChunk,
    AgentError,
    BaseEvent,
    BookingUpdate,
    EventSource,
    Record,
    SttOutput,
    TurnEnd,
    TurnStart,
    TurnStatus,
)

pytestmark = pytest.mark.unit

SOURCE = EventSource("s", "t", lambda: 1)
OTHER = EventSource("s", "other", lambda: 1)
TEXTS = st.lists(st.text(min_size=1, max_size=5), max_size=8)


def turn(texts: list[str], status: TurnStatus = "completed") -> list[Record]:
    """Return the log of a turn, with another one's events in between."""
    events: list[BaseEvent] = [SOURCE.make(SttOutput, text="Hola"), SOURCE.make(TurnStart, epoch="e")]
    for text in texts:
        events.append(SOURCE.make(AgentChunk, text=text, agent="RECEPCIONISTA"))
        events.append(OTHER.make(AgentChunk, text="no", agent="RECEPCIONISTA"))
        events.append(BookingUpdate(ts=1, thread_id="s", booking_id="b", status="assigned"))
    if status == "failed":
        events.append(SOURCE.make(AgentError, error="Se rompió.", code="model_error"))
    events.append(SOURCE.make(TurnEnd, status=status, text="".join(texts)))
    events.append(OTHER.make(TurnEnd, status="completed", text="no"))
    return [Record(number, event) for number, event in enumerate(events, 1)]


def encoded(dialect: RealtimeDialect, records: list[Record]) -> list[Frame]:
    return [frame for record in records for frame in dialect.encode(record)]


def content(frames: list[Frame]) -> str:
    return "".join(frame.data["content"] for frame in frames if frame.data["type"] == "content")


@given(TEXTS)
def test_a_turn_is_a_start_then_content_that_adds_up_then_done(texts: list[str]) -> None:
    frames = encoded(RealtimeDialect("s", "t"), turn(texts))

    assert frames[0].data == {"type": "start", "session_id": "s"}
    assert [frame.data["content"] for frame in frames[1:-1]] == texts
    assert frames[-1].data == {"type": "done", "message_id": "t:answer", "full_content": "".join(texts)}


@given(TEXTS, st.sampled_from([("failed", "model_error"), ("interrupted", "interrupted")]))
def test_a_turn_that_does_not_complete_ends_in_one_error(texts: list[str], how: tuple[TurnStatus, str]) -> None:
    status, code = how
    *frames, last = encoded(RealtimeDialect("s", "t"), turn(texts, status))

    assert {frame.data["type"] for frame in frames} <= {"start", "content"}
    assert last.data["type"] == "error"
    assert last.data["code"] == code
    assert last.data["error"]


@given(TEXTS, st.data())
def test_a_stream_that_broke_off_anywhere_is_taken_up_from_the_id_of_its_last_frame(
    texts: list[str], data: st.DataObject
) -> None:
    records = turn(texts)
    frames = encoded(RealtimeDialect("s", "t"), records)
    had = frames[: data.draw(st.integers(1, len(frames) - 1))]
    place = read_place(str(had[-1].id))
    assert place is not None
    again = RealtimeDialect("s", "t", sent=place.sent, has_started=True)
    rest = encoded(again, [record for record in records if record.seq > place.seq])

    assert [frame.data for frame in (*had, *rest)] == [frame.data for frame in frames]


@given(TEXTS, st.data())
def test_where_events_are_missing_the_rest_comes_at_the_end(texts: list[str], data: st.DataObject) -> None:
    records = turn(texts)
    seen = data.draw(st.integers(0, len(records) - 2))
    after = data.draw(st.integers(seen, len(records) - 2))
    dialect = RealtimeDialect("s", "t")
    frames = encoded(dialect, records[:seen])
    dialect.lose()
    frames += encoded(dialect, records[after:])

    assert content(frames) == "".join(texts)
    assert [frame.data["type"] for frame in frames if frame.data["type"] != "content"] == ["start", "done"]


@given(TEXTS, st.sampled_from(["completed", "failed", "interrupted"]))
def test_nothing_follows_the_end(texts: list[str], status: TurnStatus) -> None:
    dialect = RealtimeDialect("s", "t")
    records = turn(texts, status)
    encoded(dialect, records)

    assert dialect.is_over
    assert encoded(dialect, records) == []
    assert dialect.fail(NotFound()) == []


def test_what_cannot_be_followed_any_further_ends_in_an_error_with_its_code() -> None:
    frames = RealtimeDialect("s", "t").fail(NotFound("No existe."))

    assert [frame.data for frame in frames] == [
        {"type": "start", "session_id": "s"},
        {"type": "error", "error": "No existe.", "code": "not_found"},
    ]


@given(st.uuids(), st.integers(0, 10**18 - 1), st.integers(0, 10**9 - 1))
def test_a_place_is_read_as_it_was_written(turn_id: object, seq: int, sent: int) -> None:
    assert read_place(str(Place(str(turn_id), seq, sent))) == Place(str(turn_id), seq, sent)


@pytest.mark.parametrize("text", ["", "7", "t:1", "t:-1:0", "t:1:0:", "t:1:0\n", "t:٣:0", "a b:1:0"])
def test_an_id_of_another_form_is_no_place(text: str) -> None:
    assert read_place(text) is None
