"""The Server-Sent Events of ``POST /stream/chat``: one turn's answer, in numbered events. Pure.

The events of a stream are a function of what the log holds of its turn, however that is cut into reads.
So each event has a number, and a stream is resumed by making the same events again and leaving out those
that the client has.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote

from pydantic import BaseModel, TypeAdapter

from app.core.errors import AgentError as AgentFailure
from app.core.errors import AppError, BadInput, LogTruncated
from app.models.events import (
    NOWHERE,
    AgentChunk,
    AgentError,
    Record,
    ToolCall,
    ToolResult,
    TurnEnd,
    TurnEvent,
    TurnStart,
)
from app.models.inputs import MessageId, ThreadId

EventName = Literal["start", "chunk", "end", "error"]


class StreamStart(BaseModel):
    """The message was taken: its turn will run."""

    conversation_id: str
    status: Literal["processing"] = "processing"


class StreamChunk(BaseModel):
    """Words of the answer. Never empty."""

    type: Literal["content"] = "content"
    content: str
    chunk_index: int
    """From 0, without a gap."""
    is_final: bool
    """The answer is complete with this one."""


class StreamEnd(BaseModel):
    """The whole answer was said and saved."""

    conversation_id: str
    status: Literal["completed"] = "completed"
    message_count: int
    """Messages of the conversation that the answer is: a new one for each agent, and after each tool."""


class StreamError(BaseModel):
    """The stream ends without the whole answer."""

    error: str
    conversation_id: str
    status: Literal["error"] = "error"
    code: str


EVENTS: dict[EventName, type[BaseModel]] = {
    "start": StreamStart,
    "chunk": StreamChunk,
    "end": StreamEnd,
    "error": StreamError,
}
"""What the ``data`` of each event is."""

_PLACE = re.compile(r"([^/]+)/([^/]+)/([0-9]{1,19})/([0-9]{1,9})")
_CONVERSATION_ID: TypeAdapter[str] = TypeAdapter(ThreadId)
_MESSAGE_ID: TypeAdapter[str] = TypeAdapter(MessageId)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a stream, as an ``id:`` names it: enough to go on from there in any process."""

    conversation_id: str
    message_id: str
    after_seq: int
    """The turn lies behind this in the conversation's log."""
    number: int = 0
    """Of the event in its stream; ``start`` is 0."""

    def __str__(self) -> str:
        """Return the ``id:``; names are percent-encoded, so that a slash separates and a line stays one."""
        names = "/".join(quote(name, safe="") for name in (self.conversation_id, self.message_id))
        return f"{names}/{self.after_seq}/{self.number}"

    @classmethod
    def read(cls, value: str) -> "Place":
        """Return the place that an ``id:`` names.

        Raises:
            BadInput: It is no ``id:`` of a stream.
        """
        refusal = BadInput("«Last-Event-ID» no es de este servicio.")
        found = _PLACE.fullmatch(value)
        if found is None:
            raise refusal
        try:
            conversation_id = _CONVERSATION_ID.validate_python(unquote(found[1], errors="strict"))
            message_id = _MESSAGE_ID.validate_python(unquote(found[2], errors="strict"))
        except ValueError as error:
            raise refusal from error
        place = cls(conversation_id, message_id, int(found[3]), int(found[4]))
        if place.after_seq >= NOWHERE or str(place) != value:
            raise refusal
        return place


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event on its way to the client."""

    name: EventName
    data: str
    id: str


@dataclass(slots=True)
class StreamChatDialect:
    """One stream: the records of a turn in, events out.

    Of the words that were said the last character is held back until it is known whether more follows;
    so the last chunk can say that it is the last, and all others go out at once.

    Args:
        turn_id: The turn.
        place: Where the client is; number -1 where it has nothing yet.
    """

    turn_id: str
    place: Place
    outcome: Literal["completed", "error"] | None = None
    """How the stream ended, once it has."""
    has_begun: bool = False
    """The turn's own start was read."""
    _number: int = -1
    _chunks: int = 0
    _held: str = ""
    _messages: int = 0
    _speaker: str | None = None
    _failure: AgentError | None = None
    _made: list[StreamEvent] = field(default_factory=list)

    def start(self) -> list[StreamEvent]:
        """Return what begins the stream."""
        self._add("start", StreamStart(conversation_id=self.place.conversation_id))
        return self._take()

    def encode(self, record: Record) -> list[StreamEvent]:
        """Return the events of a logged event that the client does not have yet; none for other turns.

        Raises:
            LogTruncated: The log no longer has the turn from its start on.
        """
        event = record.event
        if not isinstance(event, TurnEvent) or event.turn_id != self.turn_id or self.outcome is not None:
            return []
        self.has_begun = self.has_begun or isinstance(event, TurnStart)
        match event:
            case AgentChunk() | TurnEnd() if not self.has_begun:
                raise LogTruncated
            case AgentChunk():
                self._say(event)
            case ToolCall() | ToolResult():
                self._speaker = None
            case AgentError():
                self._failure = event
            case TurnEnd():
                self._end(event)
            case _:
                pass
        return self._take()

    def fail(self, error: AppError) -> list[StreamEvent]:
        """Return what ends a stream that was cut short while its turn may go on: it can be resumed from here."""
        self.outcome = "error"
        data = StreamError(error=error.message, conversation_id=self.place.conversation_id, code=error.error_code)
        return [StreamEvent("error", data.model_dump_json(), self._id(max(self._number, self.place.number, 0)))]

    def _say(self, event: AgentChunk) -> None:
        if event.agent != self._speaker:
            self._speaker = event.agent
            self._messages += 1
        words = self._held + event.text
        self._held = words[-1]
        self._chunk(words[:-1])

    def _end(self, end: TurnEnd) -> None:
        held, self._held = self._held, ""
        conversation_id = self.place.conversation_id
        if end.status == "completed":
            self._chunk(held, is_final=True)
            self.outcome = "completed"
            self._add("end", StreamEnd(conversation_id=conversation_id, message_count=self._messages))
            return
        self._chunk(held)
        if end.status == "interrupted":
            why: dict[str, Any] = {"error": "La respuesta se interrumpió.", "code": "interrupted"}
        elif self._failure is not None:
            why = {"error": self._failure.error, "code": self._failure.code}
        else:
            why = {"error": AgentFailure.default, "code": AgentFailure.code}
        self.outcome = "error"
        self._add("error", StreamError(conversation_id=conversation_id, **why))

    def _chunk(self, words: str, *, is_final: bool = False) -> None:
        if words:
            self._add("chunk", StreamChunk(content=words, chunk_index=self._chunks, is_final=is_final))
            self._chunks += 1

    def _add(self, name: EventName, data: BaseModel) -> None:
        """Number an event. The one that ends the stream is sent whatever the client has."""
        self._number += 1
        if self._number > self.place.number or self.outcome is not None:
            self._made.append(StreamEvent(name, data.model_dump_json(), self._id(self._number)))

    def _take(self) -> list[StreamEvent]:
        made, self._made = self._made, []
        return made

    def _id(self, number: int) -> str:
        place = self.place
        return str(Place(place.conversation_id, place.message_id, place.after_seq, number))
