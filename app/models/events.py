"""The typed facts of a turn, one class each, closed in one discriminated union.

Grammar of a turn (``app/turns/lifecycle.py`` is its table)::

    SttChunk* SttOutput TurnStart
    (AgentChunk | ToolCall | ToolResult | TtsChunk | Interrupted | AgentEnd)*
    AgentError? TtsEnd? TurnEnd

Every ``ToolCall`` is followed by one ``ToolResult`` with its id, every agent that spoke or acted by
one ``AgentEnd``, and nothing follows ``TurnEnd``. ``BookingUpdate`` may come at any time.
``ModelUsage`` stays inside: observers see it, the event log and clients do not.
Events never read a clock: whoever makes one passes ``ts``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from app.models.sharing import sharing_given

AgentName = Literal["RECEPCIONISTA", "NAVEGANTE", "OPERADOR", "CONFIRMADOR"]
TurnStatus = Literal["completed", "interrupted", "failed"]
Level = Literal["info", "warning", "error"]


class BaseEvent(BaseModel):
    """What all events share. ``seq`` is not here: the event log gives it (see ``Record``)."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    terminal: ClassVar[bool] = False
    """The last event of a turn."""
    replayable: ClassVar[bool] = True
    """Kept in the event log under a ``seq``."""

    type: str
    """What kind of event it is, by its name on the wire."""
    ts: int
    """Milliseconds since the epoch."""


class ThreadEvent(BaseEvent):
    """A fact about a thread."""

    thread_id: str

    @property
    def once(self) -> str | None:
        """A name, where a thread may have the event only once, whoever logs it and however often."""
        return None


class TurnEvent(ThreadEvent):
    """A fact about one turn of a thread."""

    turn_id: str


class SttChunk(TurnEvent):
    """A partial transcript: all that was understood so far."""

    type: Literal["stt_chunk"] = "stt_chunk"
    text: str = Field(min_length=1)


class SttOutput(TurnEvent):
    """The final transcript. The agent starts on it."""

    type: Literal["stt_output"] = "stt_output"
    text: str


class TurnStart(TurnEvent):
    """The turn has begun. ``epoch`` names the life of the thread's event log."""

    type: Literal["turn_start"] = "turn_start"
    epoch: str


class AgentChunk(TurnEvent):
    """Words for the rider, in the order in which they are spoken. Never empty."""

    type: Literal["agent_chunk"] = "agent_chunk"
    text: str = Field(min_length=1)
    agent: AgentName


class ToolCall(TurnEvent):
    """An agent calls a tool. Once per call, complete."""

    type: Literal["tool_call"] = "tool_call"
    tool_call_id: str = Field(alias="toolCallId")
    name: str
    args: dict[str, Any]
    agent: AgentName


class ToolResult(TurnEvent):
    """What came of a ``ToolCall``: exactly one for each, also after an interruption."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str = Field(alias="toolCallId")
    name: str
    result: str | dict[str, Any]


class AgentEnd(TurnEvent):
    """An agent has finished. Once per agent and turn."""

    type: Literal["agent_end"] = "agent_end"
    agent: AgentName


class AgentError(TurnEvent):
    """Why the turn fails. A ``TurnEnd`` with status ``failed`` follows."""

    type: Literal["agent_error"] = "agent_error"
    error: str
    code: str


class TtsChunk(TurnEvent):
    """A piece of the spoken answer: base64 ``pcm_s16le``, mono."""

    replayable: ClassVar[bool] = False

    type: Literal["tts_chunk"] = "tts_chunk"
    audio: str
    sample_rate: int
    """Samples per second."""
    offset_ms: int
    """Where the piece lies in the turn's speech."""


class Interrupted(TurnEvent):
    """The rider speaks: what was sent after ``offset_ms`` and is not yet played is to be dropped.

    Either the turn then ends as ``interrupted``, or it was a false alarm and the audio comes again from there.
    """

    replayable: ClassVar[bool] = False

    type: Literal["interrupted"] = "interrupted"
    offset_ms: int
    """How much of the turn's speech was heard."""


class TtsEnd(TurnEvent):
    """No more audio of the turn follows."""

    type: Literal["tts_end"] = "tts_end"
    code: str | None = None
    """Why part of the answer was not spoken: ``tts_failed``."""


class TurnEnd(TurnEvent):
    """The one terminal event of a turn, made only after the answer was saved."""

    terminal: ClassVar[bool] = True

    type: Literal["turn_end"] = "turn_end"
    status: TurnStatus
    text: str
    """The whole answer; on an interruption or a failure what the rider got of it."""
    booking_id: str | None = None

    @property
    def once(self) -> str:
        """A turn has one end."""
        return f"end:{self.turn_id}"


class BookingUpdate(ThreadEvent):
    """A booking changed. May come outside a turn."""

    type: Literal["booking_update"] = "booking_update"
    booking_id: str
    status: str
    driver: str | None = None
    plate: str | None = None
    eta_minutes: int | None = None
    code: str | None = None
    """Why, where the status alone does not say it: ``dispatch_delayed``, ``dispatch_refused``."""
    revision: int | None = None
    """Grows with each change of the booking: one that is not larger than the last one seen says nothing new."""

    @property
    def once(self) -> str | None:
        """A change is told once."""
        return None if self.revision is None else f"booking:{self.booking_id}:{self.revision}"


class ModelUsage(ThreadEvent):
    """What an answer of the chat model took, as its server counted. For observers alone."""

    replayable: ClassVar[bool] = False

    type: Literal["model_usage"] = "model_usage"
    agent: AgentName
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class ReplayStart(ThreadEvent):
    """Begins a replay and says whether the log reaches back to where the client was."""

    replayable: ClassVar[bool] = False

    type: Literal["replay_start"] = "replay_start"
    recovered: bool
    epoch: str
    last_seq: int
    messages: list[dict[str, Any]] | None = None
    """The saved conversation, where ``recovered`` is false."""


class SystemMessage(BaseEvent):
    """A word from the server to one connection: state, warnings, bad input."""

    replayable: ClassVar[bool] = False

    type: Literal["system_message"] = "system_message"
    message: str
    level: Level
    code: str | None = None
    thread_id: str | None = None
    turn_id: str | None = None


class Pong(BaseEvent):
    """Answers ``ping``."""

    replayable: ClassVar[bool] = False

    type: Literal["pong"] = "pong"


Event = Annotated[
    SttChunk
    | SttOutput
    | TurnStart
    | AgentChunk
    | ToolCall
    | ToolResult
    | AgentEnd
    | AgentError
    | TtsChunk
    | Interrupted
    | TtsEnd
    | TurnEnd
    | BookingUpdate
    | ReplayStart
    | SystemMessage
    | Pong,
    Field(discriminator="type"),
]
"""Everything that can be said to a client."""

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads an event back from what ``model_dump`` wrote."""

TurnEventT = TypeVar("TurnEventT", bound=TurnEvent)


@dataclass(frozen=True, slots=True)
class EventSource:
    """Makes the events of one turn: binds the ids and the clock once."""

    thread_id: str
    turn_id: str
    now_ms: Callable[[], int]

    def make(self, kind: type[TurnEventT], /, **fields: Any) -> TurnEventT:
        """Return an event of ``kind``, stamped with this turn's ids and the time."""
        return sharing_given(kind(ts=self.now_ms(), thread_id=self.thread_id, turn_id=self.turn_id, **fields))


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a thread's event log. ``seq`` alone would lie after the log was begun anew."""

    seq: int
    epoch: str


NOWHERE = 2**63 - 1
"""A ``seq`` that no log reaches: who asks for what follows it is told to start over."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event with its place in the log of its thread."""

    seq: int
    event: BaseEvent
