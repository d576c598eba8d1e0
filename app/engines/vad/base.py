"""What a voice activity engine must do."""

from typing import Protocol

FRAME_SAMPLES = 512
"""Samples of a frame at ``HEARING_RATE``: 32 milliseconds."""
FRAME_BYTES = FRAME_SAMPLES * 2


class VoiceActivity(Protocol):
    """Follows one microphone."""

    def probability(self, frame: bytes) -> float:
        """Return how likely the frame holds speech, from 0 to 1. Takes well under a millisecond.

        Args:
            frame: ``FRAME_BYTES`` of mono ``pcm_s16le`` at ``HEARING_RATE``.
        """
        ...

    def reset(self) -> None:
        """Forget what was heard."""
        ...


class VadEngine(Protocol):
    """Makes followers; what they share is loaded once."""

    name: str

    def open(self) -> VoiceActivity:
        """Return a follower for one microphone."""
        ...
