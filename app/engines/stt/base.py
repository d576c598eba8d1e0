"""What a speech-to-text engine must do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was understood so far."""

    text: str
    final: bool
    """Nothing more comes; the agent may answer."""


class SttEngine(Protocol):
    """Turns what a rider sends into transcripts."""

    def transcribe(self, typed: str) -> AsyncIterator[Transcript]:
        """Yield growing partial transcripts of an utterance, then the final one.

        Args:
            typed: The utterance as text.
        """
        ...
