"""Conversations, their messages and their turns, as they are stored."""

from dataclasses import dataclass
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
    created_at: int
    updated_at: int


class TurnRecord(BaseModel):
    """A turn as it is stored: what must be closed if its process dies."""

    model_config = ConfigDict(frozen=True)

    turn_id: str
    thread_id: str
    text: str
    status: TurnStatus | Literal["running"]
    started_at: int
    ended_at: int | None = None


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
    traceparent: str | None = None
    """The trace of the request that brought it, as the request gave it (W3C Trace Context)."""
