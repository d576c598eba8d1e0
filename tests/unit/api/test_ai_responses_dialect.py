"""The events of a chat: one start, chunks that add up, one end; and whoever comes back gets exactly the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.dialects.ai_responses import AiResponses, Frame, Had
from app.core.errors import LogTruncated, NotFound
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    BaseEvent,
    BookingUpdate,
    Record,
    SttChunk,
    SttOutput,
    TurnEnd,
    TurnStart,
    TurnStatus,
)

pytestmark = pytest.mark.unit

TS = 1_769_077_800_007
CLOSING = {"ai-response-end", "error"}


def turn(name: str, *texts: str, status: TurnStatus = "completed", fails: bool = False) -> list[BaseEvent]:
    ids = {"ts": TS, "thread_id": "c", "turn_id": name}
    said = [AgentChunk(**ids, text=text, agent="RECEPCIONISTA") for text in texts]
    failure = [AgentError(**ids, error="No hay modelo.", code="model_error")] if fails else []
    return [
        SttChunk(**ids, text="¿Ho"),
        SttOutput(**ids, text="¿Hola?"),
        TurnStart(**ids, epoch="e"),
        *said,
        BookingUpdate(ts=TS, thread_id="c", booking_id="b", status="accepted"),
        AgentEnd(**ids, agent="RECEPCIONISTA"),
        *failure,
        TurnEnd(**ids, status=status, text="".join(texts)),
    ]


def log(*turns: Sequence[BaseEvent]) -> list[Record]:
    return [Record(seq, event) for seq, event in zip(count(1), (each for turn in turns for each in turn))]


def follow(records: Sequence[Record], had: Had | None = None, *, logged: int = 0, window: int = 1) -> list[Frame]:
    """Return what a client is sent that comes when so much was logged, and stays."""
    dialect = AiResponses("c")
    owed = None
    while owed is None:
        backlog = records[max(0, logged - window) : logged]
        owed = dialect.begin(had or Had(), backlog, is_whole=window >= logged)
        window *= 2
    return [*owed, *(frame for record in records[logged:] for frame in dialect.encode(record))]


def test_an_answer_is_a_start_its_chunks_and_an_end() -> None:
    frames = follow(log(turn("m", "¡Hola! ", "¿Dónde? 🚕")))

    named = {"chatId": "c", "messageId": "m"}
    assert frames == [
        Frame("ai-response-start", {**named, "timestamp": "2026-01-22T10:30:00.007Z"}),
        Frame("ai-response-chunk", {**named, "chunk": "¡Hola! ", "chunkIndex": 0}),
        Frame("ai-response-chunk", {**named, "chunk": "¿Dónde? 🚕", "chunkIndex": 1}),
        Frame(
            "ai-response-end",
            {
                **named,
                "message": {
                    "content": "¿Hola?",
                    "answer": "¡Hola! ¿Dónde? 🚕",
                    "timestamp": "2026-01-22T10:30:00.007Z",
                },
                "completedSuccessfully": True,
                "totalCharacters": 16,
            },
        ),
    ]


@pytest.mark.parametrize(
    ("events", "error", "code"),
    [
        (turn("m", "¡Ho", status="failed", fails=True), "No hay modelo.", "model_error"),
        (turn("m", status="failed"), "El agente tuvo un problema.", "agent_error"),
        (turn("m", "¡Ho", status="interrupted"), "Otro mensaje interrumpió la respuesta.", "interrupted"),
    ],
)
def test_what_is_not_completed_has_an_error_in_the_place_of_the_end(
    events: list[BaseEvent], error: str, code: str
) -> None:
    frames = follow(log(events))

    assert frames[0].name == "ai-response-start"
    assert [frame for frame in frames if frame.name in CLOSING] == [frames[-1]]
    assert frames[-1] == Frame("error", {"chatId": "c", "error": error, "errorCode": code, "messageId": "m"})


def test_the_end_is_made_of_the_terminal_event_alone() -> None:
    frames = follow(log(turn("m", "¡Hola!"))[:-1])

    assert [frame.name for frame in frames] == ["ai-response-start", "ai-response-chunk"]


@dataclass(frozen=True)
class Chat:
    """Messages with their answers, and where a client's connection is lost."""

    records: list[Record]
    whole: list[Frame]
    """What a client is sent that never leaves."""


texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5), max_size=6)
statuses: st.SearchStrategy[TurnStatus] = st.sampled_from(["completed", "interrupted", "failed"])
turns = st.lists(st.tuples(texts, statuses, st.booleans()), min_size=1, max_size=4)


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    said = draw(turns)
    records = log(*(turn(f"m{n}", *said, status=end, fails=fails) for n, (said, end, fails) in enumerate(said)))
    return Chat(records, follow(records))


def what_it_had(frames: list[Frame], how: str) -> Had:
    """Return what a client passes that has these, some of the answer to a message or all."""
    message_id = frames[-1].payload["messageId"]
    if frames[-1].name in CLOSING:
        return Had(message_id)
    chunks = [f.payload for f in frames if f.name == "ai-response-chunk" and f.payload["messageId"] == message_id]
    index = chunks[-1]["chunkIndex"] if chunks else -1
    position = sum(len(chunk["chunk"]) for chunk in chunks)
    return Had(message_id, None if how == "position" else index, None if how == "chunkIndex" else position)


@given(chats(), st.sampled_from(["chunkIndex", "position", "both"]), st.data())
def test_whoever_comes_back_gets_exactly_the_rest_wherever_the_connection_was_lost(
    chat: Chat, how: str, data: st.DataObject
) -> None:
    lost = data.draw(st.integers(1, len(chat.whole)))
    # Logged is at least what it was sent, and any part of what followed.
    least = next(n for n in range(len(chat.records) + 1) if len(follow(chat.records[:n])) >= lost)
    logged = data.draw(st.integers(least, len(chat.records)))
    frames = chat.whole[:lost]

    frames += follow(chat.records, what_it_had(frames, how), logged=logged)

    assert frames == chat.whole


@given(chats(), st.data())
def test_of_the_newest_message_nobody_needs_the_name(chat: Chat, data: st.DataObject) -> None:
    newest = chat.whole[-1].payload["messageId"]
    first = next(n for n, frame in enumerate(chat.whole) if frame.payload["messageId"] == newest)
    lost = data.draw(st.integers(first + 1, len(chat.whole) - 1))
    had = what_it_had(chat.whole[:lost], data.draw(st.sampled_from(["chunkIndex", "position"])))

    rest = follow(chat.records, Had(None, had.chunk_index, had.position), logged=len(chat.records))

    assert chat.whole[:lost] + rest == chat.whole


@given(texts, st.integers(0, 40))
def test_a_position_within_a_chunk_cuts_it(texts: list[str], position: int) -> None:
    records = log(turn("m", *texts))

    frames = follow(records, Had("m", position=position), logged=len(records))

    chunks = [frame.payload["chunk"] for frame in frames if frame.name == "ai-response-chunk"]
    assert "".join(chunks) == "".join(texts)[position:]
    assert all(chunks)
    assert frames[-1].payload["totalCharacters"] == len("".join(texts))


@given(chats(), st.data())
def test_a_client_that_comes_for_the_first_time_gets_the_message_under_way_and_none_that_was_over(
    chat: Chat, data: st.DataObject
) -> None:
    logged = data.draw(st.integers(0, len(chat.records)))
    over = [frame.payload["messageId"] for frame in follow(chat.records[:logged]) if frame.name in CLOSING]

    frames = follow(chat.records, logged=logged)

    assert frames == [frame for frame in chat.whole if frame.payload["messageId"] not in over]


def test_of_a_message_whose_beginning_is_not_there_nothing_is_told() -> None:
    records = log(turn("m", "Uno, ", "dos."), turn("n", "Tres."))
    first_chunk = next(n for n, record in enumerate(records) if isinstance(record.event, AgentChunk))

    frames = follow(records[first_chunk:])

    assert {frame.payload["messageId"] for frame in frames} == {"n"}


def test_a_message_of_which_the_log_is_lost_ends_once_with_an_error() -> None:
    records = log(turn("m", "Uno, ", "dos."))
    dialect = AiResponses("c")
    frames = [frame for record in records[:4] for frame in dialect.encode(record)]

    lost = dialect.lose()

    assert [frame.name for frame in frames] == ["ai-response-start", "ai-response-chunk"]
    assert [(frame.name, frame.payload["errorCode"]) for frame in lost] == [("error", "log_truncated")]
    assert [frame for record in records[4:] for frame in dialect.encode(record)] == []
    assert dialect.lose() == []


def test_a_message_that_is_not_in_the_chat_is_not_found() -> None:
    records = log(turn("m", "Uno."))

    with pytest.raises(NotFound):
        follow(records, Had("other", 0), logged=len(records))
    with pytest.raises(NotFound):
        follow([], Had(None, 0))


def test_a_message_whose_beginning_the_log_has_lost_cannot_be_taken_up() -> None:
    records = log(turn("m", "Uno."))[3:]

    with pytest.raises(LogTruncated):
        follow(records, Had("m", 0), logged=len(records))
