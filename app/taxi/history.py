"""The messages that a model is given. Pure.

A model server refuses a history in which a tool call has no answer or an answer no call. Turns can
be cut off anywhere, so whatever is handed to a model goes through here first.
"""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

NOT_DONE = "La acción no se completó."
"""The answer to a tool call that has none."""


def model_history(messages: Sequence[AnyMessage], limit: int) -> list[AnyMessage]:
    """Return the newest ``limit`` messages or so, beginning with the rider, without orphans."""
    return _without_orphans(messages[_window(messages, limit) :])


def newest_lines(messages: Sequence[AnyMessage], lines: int | None) -> Sequence[AnyMessage]:
    """Return the newest ``lines`` that somebody said, and the tools that were used from the first of them on.

    The rider's last words are always there. None is everything.
    """
    if lines is None:
        return messages
    spoken = [index for index, message in enumerate(messages) if _is_spoken(message)]
    last = max((index for index in spoken if isinstance(messages[index], HumanMessage)), default=len(messages))
    return messages[min(last, spoken[-lines]) :] if len(spoken) > lines else messages


def _is_spoken(message: AnyMessage) -> bool:
    return isinstance(message, HumanMessage | AIMessage) and bool(message.text)


def forgettable(messages: Sequence[AnyMessage], limit: int) -> list[AnyMessage]:
    """Return the messages that no model will be given again, once there are a quarter more than are given.

    All that is kept is read back with each turn, and each time that some go is work too.
    """
    return list(messages[: _window(messages, limit)]) if len(messages) > limit * 5 // 4 else []


def last_words(messages: Sequence[AnyMessage]) -> str:
    """Return what the rider said last."""
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            return str(message.text)
    return ""


def call_ids(message: AIMessage) -> list[str]:
    """Return the ids of all calls in a message, readable or not."""
    return [call["id"] or "" for call in (*message.tool_calls, *message.invalid_tool_calls)]


def _window(messages: Sequence[AnyMessage], limit: int) -> int:
    start = max(0, len(messages) - limit)
    while start > 0 and not isinstance(messages[start], HumanMessage):
        start -= 1
    return start


def _without_orphans(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    answers = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    clean: list[AnyMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        clean.append(message)
        if isinstance(message, AIMessage):
            clean.extend(
                answers.get(call_id) or ToolMessage(NOT_DONE, tool_call_id=call_id, status="error")
                for call_id in call_ids(message)
            )
    return clean
