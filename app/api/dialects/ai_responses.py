"""The guaranteed answers of Socket.IO clients: one start, chunks, and one end or error for each message. Pure.

What a client is sent of a message is a function of what the log holds of its turn. So a connection that was lost
is taken up by making the same events again, and leaving out what the client has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.core.errors import AgentError as AgentFailure
from app.core.errors import AppError, LogTruncated, NotFound
from app.models.events import AgentChunk, AgentError, Record, SttOutput, TurnEnd, TurnEvent, TurnStart

_INTERRUPTED = "Otro mensaje interrumpió la respuesta."


@dataclass(frozen=True, slots=True)
class Had:
    """What a client has already. Nothing is one that comes for the first time."""

    message_id: str | None = None
    """The message that ``chunk_index`` and ``position`` are of, else the newest; alone, one that it has whole."""
    chunk_index: int | None = None
    """The last chunk that it has."""
    position: int | None = None
    """Characters that it has; goes before ``chunk_index``."""

    @property
    def is_part(self) -> bool:
        """Whether the client is in the middle of a message."""
        return self.chunk_index is not None or self.position is not None

    def rest_of(self, text: str, index: int, position: int) -> str:
        """Return what the client does not have of the chunk ``text``."""
        if self.position is not None:
            return text[max(0, self.position - position) :]
        return "" if self.chunk_index is not None and index <= self.chunk_index else text


@dataclass(frozen=True, slots=True)
class Frame:
    """An event on its way to the client."""

    name: str
    payload: dict[str, Any]


@dataclass(slots=True)
class _Message:
    """A message that is being answered."""

    message_id: str
    had: Had
    is_started: bool = False
    """The client has its start."""
    content: str = ""
    chunks: list[str] = field(default_factory=list)
    characters: int = 0
    failure: AgentError | None = None


class AiResponses:
    """One client's view of a chat: the records of its log in, events out.

    Args:
        chat_id: The chat.
    """

    def __init__(self, chat_id: str) -> None:
        self._chat_id = chat_id
        self._message: _Message | None = None
        self._over: str | None = None
        """The message that the client was told the end of, or is told nothing of."""

    def begin(self, had: Had, backlog: Sequence[Record], *, is_whole: bool) -> list[Frame] | None:
        """Return what a client is owed of what was logged before it came.

        Args:
            had: What it has.
            backlog: The newest records of the log.
            is_whole: Nothing was logged before that.

        Returns:
            None where it begins further back.

        Raises:
            NotFound: The chat has no such message.
            LogTruncated: The log does not have the beginning of the message.
        """
        events = [(number, record.event) for number, record in enumerate(backlog)]
        turns = [(number, event) for number, event in events if isinstance(event, TurnEvent)]
        newest = turns[-1][1] if turns else None
        wanted = had.message_id or (newest.turn_id if newest is not None else None)
        if newest is not None and had == Had() and isinstance(newest, TurnEnd):
            return []  # nothing is under way
        first = next((at for at, event in turns if event.turn_id == wanted and isinstance(event, SttOutput)), None)
        if first is not None and wanted is not None:
            if had.message_id is not None and not had.is_part:
                self._over = wanted
            else:
                self._message = _Message(wanted, had, is_started=had.is_part)
            return [frame for record in backlog[first:] for frame in self.encode(record)]
        if not is_whole:
            return None
        if had == Had():
            return []
        if wanted is None or not any(event.turn_id == wanted for _, event in turns):
            raise NotFound("El chat no tiene ese mensaje.")
        raise LogTruncated

    def encode(self, record: Record) -> list[Frame]:
        """Return the events of a logged event."""
        event = record.event
        if not isinstance(event, TurnEvent) or event.turn_id == self._over:
            return []
        message = self._message
        if message is None or message.message_id != event.turn_id:
            if not isinstance(event, SttOutput):
                return []  # without its beginning, what would be told is not the answer
            message = self._message = _Message(event.turn_id, Had())
        match event:
            case SttOutput(text=text):
                message.content = text
            case TurnStart():
                return self._start(message, event.ts)
            case AgentChunk(text=text):
                return [*self._start(message, event.ts), *self._chunk(message, text)]
            case AgentError():
                message.failure = event
            case TurnEnd():
                return [*self._start(message, event.ts), self._end(message, event)]
            case _:
                pass
        return []

    def lose(self) -> list[Frame]:
        """Return what ends a message of which the log was lost: whatever comes of it now, it cannot be told whole."""
        message = self._message
        if message is None:
            return []
        return [self._fail(message, LogTruncated.default, LogTruncated.code)]

    def _start(self, message: _Message, ts: int) -> list[Frame]:
        if message.is_started:
            return []
        message.is_started = True
        return [self._frame("ai-response-start", message, timestamp=_iso(ts))]

    def _chunk(self, message: _Message, text: str) -> list[Frame]:
        index, position = len(message.chunks), message.characters
        message.chunks.append(text)
        message.characters += len(text)
        rest = message.had.rest_of(text, index, position)
        return [self._frame("ai-response-chunk", message, chunk=rest, chunkIndex=index)] if rest else []

    def _end(self, message: _Message, end: TurnEnd) -> Frame:
        if end.status == "interrupted":
            return self._fail(message, _INTERRUPTED, "interrupted")
        if end.status == "failed":
            why = message.failure
            return self._fail(
                message,
                AgentFailure.default if why is None else why.error,
                AgentFailure.code if why is None else why.code,
            )
        self._close(message)
        return self._frame(
            "ai-response-end",
            message,
            message={"content": message.content, "answer": "".join(message.chunks), "timestamp": _iso(end.ts)},
            completedSuccessfully=True,
            totalCharacters=message.characters,
        )

    def _fail(self, message: _Message, error: str, code: str) -> Frame:
        self._close(message)
        return self._frame("error", message, error=error, errorCode=code)

    def _close(self, message: _Message) -> None:
        self._message, self._over = None, message.message_id

    def _frame(self, name: str, of: _Message, **fields: Any) -> Frame:
        return Frame(name, {"chatId": self._chat_id, **fields, "messageId": of.message_id})


def refusal(chat_id: str | None, error: AppError) -> dict[str, Any]:
    """Return the ``error`` about what a client asked; it is about no message."""
    return {"chatId": chat_id, "error": error.message, "errorCode": error.error_code}


def _iso(ms: int) -> str:
    """Return milliseconds since the epoch as JavaScript writes them, such as ``2026-01-23T10:30:00.000Z``."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"
