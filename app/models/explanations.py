"""Explanations: an answer in steps, what is sent of it, and where somebody is in one.

Grammar of what a listener is sent for one question::

    WaitingPhrase* ExplanationStart
    (StepStart (ContentChunk | CanvasCommand | StreamingPaused | StreamingResumed)* StepComplete)*
    ExplanationComplete

``ExplanationError`` may come in place of anything, and ends only what cannot go on. Steps are numbered from 1.
A ``position`` is a number of characters (Unicode code points) from the beginning of a step's content.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

StepType = Literal["text", "math", "image"]
MAX_STEPS = 30
"""Steps that an explanation has at most."""


class CanvasInstruction(BaseModel):
    """Something to draw. Clients know ``command``'s own fields; the server knows only its place."""

    model_config = ConfigDict(frozen=True, extra="allow")

    at: int | None = Field(default=None, ge=0, description="Position before which it is sent; none is the step's end.")


class Step(BaseModel):
    """A part of an explanation."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=200)]
    type: StepType = "text"
    content: Annotated[str, Field(min_length=1, max_length=8000)]
    """Markdown; formulas between dollar signs."""
    canvas_commands: Annotated[tuple[CanvasInstruction, ...], Field(max_length=100)] = ()


class Explanation(BaseModel):
    """What a model makes of a question."""

    model_config = ConfigDict(frozen=True)

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]
    total_duration: Annotated[float, Field(gt=0, le=3600)]
    """How long it takes to follow, in seconds, as its author reckons."""


class SavedAnswer(BaseModel):
    """An explanation that was generated, for whoever asks the same."""

    model_config = ConfigDict(frozen=True)

    question_hash: str
    """SHA-256 of the normalised question and its context, in hexadecimal."""
    question: str
    """As it was asked first."""
    normalised: str
    explanation: Explanation
    model: str
    created_at: int
    """Milliseconds since the epoch."""
    hits: int = 0
    """How often it was asked again."""


class ExplanationSession(BaseModel):
    """Where a user is in an explanation. It lives for half an hour from the last activity."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    connection_id: str
    current_question: str | None = None
    """The ``question_hash``; None before the first answer."""
    current_step: int = 1
    pause_position: int = 0
    """The first character that was not sent."""
    is_paused: bool = False
    """Whether somebody, or a lost connection, made it stand still."""
    is_streaming: bool = False
    """Whether it was begun and is not over, paused or not."""
    created_at: int
    """Milliseconds since the epoch."""
    last_activity: int
    """Milliseconds since the epoch."""
    language: str = "es"
    """Of what is said about it."""


class AskQuestion(BaseModel):
    """``ask_question``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str = ""
    question: str
    context: dict[str, Any] | None = None


class PauseExplanation(BaseModel):
    """``pause_explanation``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str = ""


class ResumePlace(BaseModel):
    """What a client that lost its connection knows of where it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    question_hash: str | None = None
    step: Annotated[int, Field(ge=1)] | None = None
    position: Annotated[int, Field(ge=0)] | None = None
    """The first character that it does not have."""


class ResumeExplanation(BaseModel):
    """``resume_explanation``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str = ""
    answer_data: ResumePlace | None = None


class ExplanationEvent(BaseModel):
    """Something that is sent; ``type`` is its name on the wire, the other fields are its payload."""

    model_config = ConfigDict(frozen=True)

    type: str


class WaitingPhrase(ExplanationEvent):
    """The answer has to be generated first."""

    type: Literal["waiting_phrase"] = "waiting_phrase"
    message: str


class ExplanationStart(ExplanationEvent):
    """An explanation begins."""

    type: Literal["explanation_start"] = "explanation_start"
    total_steps: int
    estimated_duration: float
    question_hash: str


class StepStart(ExplanationEvent):
    """A step begins. On the wire its ``kind`` is called ``type``."""

    type: Literal["step_start"] = "step_start"
    step: int
    title: str
    kind: StepType = Field(serialization_alias="type")


class ContentChunk(ExplanationEvent):
    """Characters of a step, ``position`` being that of the first one."""

    type: Literal["content_chunk"] = "content_chunk"
    step: int
    chunk: str
    position: int
    is_final: bool


class CanvasCommand(ExplanationEvent):
    """Something to draw, at its place between the characters."""

    type: Literal["canvas_command"] = "canvas_command"
    step: int
    command: dict[str, Any]


class StepComplete(ExplanationEvent):
    """A step is over."""

    type: Literal["step_complete"] = "step_complete"
    step: int


class ExplanationComplete(ExplanationEvent):
    """The explanation is over."""

    type: Literal["explanation_complete"] = "explanation_complete"
    total_duration: float
    steps_completed: int


class StreamingPaused(ExplanationEvent):
    """Nothing is sent until it is resumed."""

    type: Literal["streaming_paused"] = "streaming_paused"
    step: int
    message: str


class StreamingResumed(ExplanationEvent):
    """It goes on with the character at ``position``."""

    type: Literal["streaming_resumed"] = "streaming_resumed"
    step: int
    position: int


class ExplanationError(ExplanationEvent):
    """Something was not done."""

    type: Literal["error"] = "error"
    code: str
    message: str


SentEvent = (
    WaitingPhrase
    | ExplanationStart
    | StepStart
    | ContentChunk
    | CanvasCommand
    | StepComplete
    | ExplanationComplete
    | StreamingPaused
    | StreamingResumed
    | ExplanationError
)
"""Whatever a listener is sent."""
