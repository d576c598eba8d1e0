"""What a client may send on the WebSocket, one class each, closed in one discriminated union."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from app.models.audio import Encoding

ThreadId = Annotated[
    str,
    Field(
        pattern=r"^[^\p{C}\p{Z}]{1,128}$",
        description="1 to 128 printable characters without spaces.",
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=256)]
"""A user's or a client's id."""
MessageId = Annotated[str, Field(min_length=1, max_length=128)]
"""A client's own name for a message, by which sending it again is known."""
MultitaskStrategy = Literal["interrupt", "enqueue", "reject"]
"""What new input does to a running turn."""


class ClientMessage(BaseModel):
    """What all client messages share. Unknown fields are ignored, wrong types are not coerced."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Auth(ClientMessage):
    """Logs in, or stays logged in with a newer token. Needs to be the first message only where that is required."""

    type: Literal["auth"]
    token: Annotated[str, Field(min_length=1, max_length=8192, repr=False)]


class UserInput(ClientMessage):
    """Runs a turn. Without ``thread_id``: on the connection's current thread, else on a new one."""

    type: Literal["user_input"]
    text: str
    thread_id: ThreadId | None = None
    user_id: Name | None = None
    client_id: Name | None = None
    language: Annotated[str, Field(max_length=35)] | None = None
    multitask_strategy: MultitaskStrategy = "interrupt"
    speak: bool = False
    """Answer aloud too. While the microphone is open every answer is."""
    message_id: MessageId | None = None
    """Sent again, on whatever connection, the message runs no second turn."""


class AudioStart(ClientMessage):
    """Opens the microphone; binary frames follow."""

    type: Literal["audio_start"]
    thread_id: ThreadId | None = None
    encoding: Encoding = "pcm_s16le"
    sample_rate: Annotated[int, Field(ge=8000, le=96000)] = 16000
    """Samples per second."""
    language: Annotated[str, Field(max_length=35)] | None = None
    speak: bool = True
    """Answer aloud; off for captions alone."""
    record: bool = False
    """The rider consents to being recorded, where the server records."""


class AudioStop(ClientMessage):
    """Closes the microphone; what was heard is finalised."""

    type: Literal["audio_stop"]


class Cancel(ClientMessage):
    """Ends the running turn as ``interrupted``."""

    type: Literal["cancel"]
    thread_id: ThreadId | None = None


class Pause(ClientMessage):
    """Holds the delivery of the running turn."""

    type: Literal["pause"]
    thread_id: ThreadId | None = None


class Resume(ClientMessage):
    """Continues the delivery of the running turn."""

    type: Literal["resume"]
    thread_id: ThreadId | None = None


class Replay(ClientMessage):
    """Asks for the thread's events after ``after_seq``, then live."""

    type: Literal["replay"]
    thread_id: ThreadId
    after_seq: Annotated[int, Field(ge=0)]
    epoch: Annotated[str, Field(max_length=128)] | None = None
    audio_from_ms: Annotated[int, Field(ge=0)] | None = None


class Playback(ClientMessage):
    """How much of the spoken answer was heard."""

    type: Literal["playback"]
    turn_id: Name
    played_ms: Annotated[int, Field(ge=0)]


class Ping(ClientMessage):
    """Answered by ``pong``."""

    type: Literal["ping"]


ClientInput = Annotated[
    Auth | UserInput | AudioStart | AudioStop | Cancel | Pause | Resume | Replay | Playback | Ping,
    Field(discriminator="type"),
]
"""Everything that a client can say."""

CLIENT_INPUT: TypeAdapter[ClientInput] = TypeAdapter(ClientInput)
