"""From a microphone to utterances: codec, voice activity, endpointing, speech-to-text. As long as a session."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from app.core.errors import AppError
from app.models.audio import AudioFormat


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks: voice activity has decided so."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What was understood so far of the utterance. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance is over. One for every ``SpeechBegan``."""

    text: str
    """Empty where it came to nothing: noise, or nobody understood it."""
    speech_ms: float
    """How long the speech was, pauses within it included."""
    ended_at: float
    """When the last sound of it came; seconds, monotonic."""
    failure: AppError | None = None
    """Why it was not understood, where an engine failed."""


Signal = SpeechBegan | PartialTranscript | Utterance


class Ear(Protocol):
    def push(self, frame: bytes) -> None: ...
    def finish(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[Signal]: ...


class Hearing(Protocol):
    def open(self, audio: AudioFormat, language: str) -> AbstractAsyncContextManager[Ear]: ...
