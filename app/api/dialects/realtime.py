"""The chat of existing web clients: a start, content, and one ``done`` or ``error``. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from app.core.errors import AppError
from app.models.conversation import answer_id
from app.models.events import AgentChunk, AgentError, Record, TurnEnd, TurnEvent, TurnStart, TurnStatus

_PLACE = re.compile(r"([A-Za-z0-9-]{1,64}):([0-9]{1,18}):([0-9]{1,9})")
_ENDS = {
    "interrupted": ("interrupted", "Otro mensaje interrumpió la respuesta."),
    "failed": ("agent_error", "El agente tuvo un problema."),
}
"""The code and the words of an end that says no more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the stream of a turn a client is: what ``Last-Event-ID`` says."""

    turn_id: str
    seq: int
    sent: int
    """Characters of the answer that it has."""

    def __str__(self) -> str:
        return f"{self.turn_id}:{self.seq}:{self.sent}"


def read_place(text: str) -> Place | None:
    """Return the place that a ``Last-Event-ID`` names; None where it names none."""
    found = _PLACE.fullmatch(text)
    return None if found is None else Place(found[1], int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True)
class Frame:
    """A ``data:`` line, and the ``id:`` from which the stream can be taken up again."""

    data: dict[str, Any]
    id: str | None = None


class RealtimeDialect:
    """One turn as frames: ``start``, then ``content`` that adds up to ``full_content``, then ``done`` or ``error``.

    Args:
        session_id: The session.
        turn_id: The turn; events of others are passed over.
        sent: Characters of the answer that the client has already.
        has_started: Whether it has the ``start``.
    """

    def __init__(self, session_id: str, turn_id: str, *, sent: int = 0, has_started: bool = False) -> None:
        self._session_id = session_id
        self._turn_id = turn_id
        self._sent = sent
        self._has_started = has_started
        self._has_gap = False
        self._error: AgentError | None = None
        self.is_over = False
        """The last frame was made; nothing follows it."""

    def encode(self, record: Record) -> list[Frame]:
        """Return the frames of a logged event."""
        event = record.event
        if self.is_over or not isinstance(event, TurnEvent) or event.turn_id != self._turn_id:
            return []
        match event:
            case TurnStart():
                return self._start(record.seq)
            case AgentChunk() if not self._has_gap:
                return [*self._start(record.seq), self._content(event.text, record.seq)]
            case AgentError():
                self._error = event
            case TurnEnd():
                return self.end(event.status, event.text)
            case _:
                pass
        return []

    def lose(self) -> None:
        """Take note that events may be missing: the rest of the answer comes in one piece, at the end."""
        self._has_gap = True

    def end(self, status: TurnStatus, text: str) -> list[Frame]:
        """Return the last frames of a turn that ended with the whole answer ``text``."""
        rest = text[self._sent :]
        frames = self._start(None)
        if status == "completed" and rest:
            frames.append(self._content(rest, None))
        self.is_over = True
        if status == "completed":
            done = {"type": "done", "message_id": answer_id(self._turn_id), "full_content": text}
            return [*frames, Frame(done)]
        code, message = _ENDS[status]
        if status == "failed" and self._error is not None:
            code, message = self._error.code, self._error.error
        return [*frames, _error(code, message)]

    def fail(self, error: AppError) -> list[Frame]:
        """Return the last frames where the turn cannot be followed any further."""
        if self.is_over:
            return []
        frames = self._start(None)
        self.is_over = True
        return [*frames, _error(error.error_code, error.message)]

    def _start(self, seq: int | None) -> list[Frame]:
        if self._has_started:
            return []
        self._has_started = True
        return [Frame({"type": "start", "session_id": self._session_id}, self._id(seq))]

    def _content(self, text: str, seq: int | None) -> Frame:
        self._sent += len(text)
        return Frame({"type": "content", "content": text}, self._id(seq))

    def _id(self, seq: int | None) -> str | None:
        return None if seq is None else str(Place(self._turn_id, seq, self._sent))


def _error(code: str, message: str) -> Frame:
    return Frame({"type": "error", "error": message, "code": code})
