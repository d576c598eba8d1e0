"""Recordings of conversations: what is known of one beside its sound."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RECORDING_ID = r"^[0-9a-f]{32}-[0-9a-f]{32}$"
Speaker = Literal["rider", "agent"]
RecordingState = Literal["recording", "whole", "cut"]


class TurnMark(BaseModel):
    """Where in a recording somebody begins to speak."""

    model_config = ConfigDict(frozen=True)

    at_ms: Annotated[int, Field(ge=0, description="Milliseconds from the beginning of the recording.")]
    turn_id: str
    who: Speaker


class RecordingInfo(BaseModel):
    """One microphone session of a thread, as it was recorded: the rider on the left, the agent on the right."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, Field(pattern=RECORDING_ID)]
    thread_id: str
    owner: str | None = None
    """The account of the rider; None where nobody was logged in."""
    started_at: int
    """Milliseconds since the epoch, as all times but those of marks."""
    duration_ms: int = 0
    """Milliseconds of sound, as far as they are written."""
    consent: str
    """What the rider was told before consenting to it."""
    consented_at: int
    expires_at: int
    """When it is deleted."""
    state: RecordingState = "recording"
    """``whole`` from beginning to end, or ``cut`` before the end."""
    code: str | None = None
    """Why it was cut: ``store_failed``, ``overloaded``; None where its process died."""
    marks: tuple[TurnMark, ...] = ()
    """In order of time."""
