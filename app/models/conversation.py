"""Conversations, their messages and their turns, as they are stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.models.events import TurnStatus

Role = Literal["user", "assistant", "tool"]


class Message(BaseModel):
    """A persisted line of a conversation."""

    model_config = ConfigDict(frozen=True)

    id: str
    thread_id: str
    turn_id: str
    role: Role
    content: str
    agent: str | None = None
    partial: bool = False
    """The turn ended before the line was finished."""
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    created_at: int
    """Milliseconds since the epoch."""


class Conversation(BaseModel):
    """A thread as a whole."""

    model_config = ConfigDict(frozen=True)

    thread_id: str
    owner: str | None = None
    """The account that opened it: nobody else gets in. None where nobody was logged in."""
    user_id: str | None = None
    """Whose thread it is as the front end says; None until it does."""
    client_id: str | None = None
    title: str | None = None
    """What its owner calls it."""
    created_at: int
    updated_at: int

    def admits(self, owner: str | None, user_id: str | None) -> bool:
        """Return whether a caller may use it.

        What an account opened is that account's. What somebody opened who was not logged in is open to
        whoever knows its id: without accounts the id is the key. But who says who they are, and is not
        who the front end named, is refused.

        Args:
            owner: The account of the caller.
            user_id: Who the caller says they are.
        """
        return self.owner in (None, owner) and (user_id is None or self.user_id in (None, user_id))


@dataclass(frozen=True, slots=True)
class Replaced:
    """The turn that another one takes the place of: it and all that came after it are cut from the conversation."""

    message_id: str
    """Of the rider's line, which keeps its id."""
    turn_id: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line as its reader sees it: what the rider said, or the whole answer of a turn, whoever of the agents spoke."""

    id: str
    turn_id: str
    role: Literal["user", "assistant"]
    content: str
    partial: bool
    """The turn ended before the answer was finished."""
    created_at: int
    """Milliseconds since the epoch."""


def answer_id(turn_id: str) -> str:
    """Return the id of a turn's answer."""
    return f"{turn_id}:answer"


def lines_of(messages: Iterable[Message]) -> list[Line]:
    """Return the lines that saved messages are to a reader, in order. Tools are not shown."""
    spoken = [each for each in messages if each.role == "user" or (each.role == "assistant" and each.content)]
    lines = []
    for (turn_id, role), pieces in groupby(spoken, key=lambda each: (each.turn_id, each.role)):
        said = list(pieces)
        lines.append(
            Line(
                id=said[0].id if role == "user" else answer_id(turn_id),
                turn_id=turn_id,
                role="user" if role == "user" else "assistant",
                content="".join(each.content for each in said),
                partial=any(each.partial for each in said),
                created_at=said[0].created_at,
            )
        )
    return lines


class TurnRecord(BaseModel):
    """A turn as it is stored: what must be closed if its process dies."""

    model_config = ConfigDict(frozen=True)

    turn_id: str
    thread_id: str
    text: str
    status: TurnStatus | Literal["running"]
    started_at: int
    ended_at: int | None = None
    replaced_message: str | None = None
    replaced_turn: str | None = None

    @property
    def replaces(self) -> Replaced | None:
        """What the turn takes the place of."""
        if self.replaced_message is None or self.replaced_turn is None:
            return None
        return Replaced(self.replaced_message, self.replaced_turn)


@dataclass(frozen=True, slots=True)
class TurnEnding:
    """How a turn ended, and the lines that it made."""

    thread_id: str
    turn_id: str
    status: TurnStatus
    ended_at: int
    """Milliseconds since the epoch."""
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class TurnInput:
    """What a rider sent, and who is speaking."""

    thread_id: str
    turn_id: str
    text: str
    received_at: int
    """Milliseconds since the epoch."""
    owner: str | None = None
    """The account that is logged in."""
    user_id: str | None = None
    client_id: str | None = None
    language: str | None = None
    is_heard: bool = False
    """It was spoken: its partial transcripts were told while it was."""
    history_lines: int | None = None
    """Newest lines that the model is given, whoever said them; None leaves it to the graph."""
    replaces: Replaced | None = None
    traceparent: str | None = None
    """The trace of the request that brought it, as the request gave it (W3C Trace Context)."""
