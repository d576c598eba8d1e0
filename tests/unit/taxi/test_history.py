"""What a model is given never has an orphan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, InvalidToolCall, ToolMessage

from app.taxi.history import call_ids, forgettable, last_words, model_history, newest_lines

pytestmark = pytest.mark.unit

IDS = st.sampled_from(["a", "b", "c", "d"])


def called(*ids: str) -> AIMessage:
    return AIMessage(
        "", tool_calls=[{"name": "EstimateFare", "args": {}, "id": each, "type": "tool_call"} for each in ids]
    )


histories = st.lists(
    st.one_of(
        st.just(HumanMessage("Hola")),
        st.just(AIMessage("¡Hola!")),
        st.lists(IDS, unique=True, min_size=1, max_size=3).map(lambda ids: called(*ids)),
        IDS.map(lambda each: ToolMessage("ok", tool_call_id=each)),
    ),
    max_size=30,
)


@given(histories, st.integers(1, 20))
def test_every_call_is_answered_right_after_it_and_every_answer_has_its_call(
    messages: list[AnyMessage], limit: int
) -> None:
    given_to_model = model_history(messages, limit)

    open_calls: list[str] = []
    for message in given_to_model:
        if isinstance(message, ToolMessage):
            assert open_calls
            assert open_calls.pop(0) == message.tool_call_id
        else:
            assert not open_calls
            open_calls = call_ids(message) if isinstance(message, AIMessage) else []
    assert not open_calls


def test_a_call_with_unreadable_arguments_is_answered_too() -> None:
    broken = AIMessage(
        "", invalid_tool_calls=[InvalidToolCall(name="x", args="{", id="z", error=None, type="invalid_tool_call")]
    )

    assert [type(message) for message in model_history([HumanMessage("a"), broken], 10)] == [
        HumanMessage,
        AIMessage,
        ToolMessage,
    ]


def test_the_window_begins_with_the_rider() -> None:
    messages: list[AnyMessage] = [HumanMessage("1"), AIMessage("2"), HumanMessage("3"), AIMessage("4"), AIMessage("5")]

    assert model_history(messages, 2) == messages[2:]
    assert model_history(messages, 10) == messages


def test_old_messages_are_let_go_once_there_are_a_quarter_more() -> None:
    messages: list[AnyMessage] = [HumanMessage(str(number)) for number in range(13)]

    assert forgettable(messages[:12], 10) == []
    assert forgettable(messages, 10) == messages[:3]


def test_the_last_words_are_the_riders() -> None:
    assert last_words([HumanMessage("a"), HumanMessage("b"), AIMessage("c")]) == "b"
    assert last_words([]) == ""


@given(histories, st.integers(1, 12))
def test_the_newest_lines_are_those_that_somebody_said_and_the_riders_last_words(
    messages: list[AnyMessage], lines: int
) -> None:
    kept = newest_lines(messages, lines)
    said = [message for message in kept if message.text and not isinstance(message, ToolMessage)]
    all_said = [message for message in messages if message.text and not isinstance(message, ToolMessage)]

    assert list(kept) == list(messages)[len(messages) - len(kept) :]
    assert last_words(kept) == last_words(messages)
    if len(said) > lines:
        assert isinstance(said[0], HumanMessage)
        assert not any(isinstance(message, HumanMessage) for message in said[1:])
    else:
        assert len(said) == min(lines, len(all_said))


def test_without_a_number_all_lines_are_there() -> None:
    messages: list[AnyMessage] = [HumanMessage("a"), AIMessage("b"), HumanMessage("c")]

    assert newest_lines(messages, None) == messages
    assert newest_lines(messages, 2) == messages[1:]
