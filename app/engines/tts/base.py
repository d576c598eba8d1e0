"""What a text-to-speech engine must do."""

from typing import Protocol


class TtsEngine(Protocol):
    """Turns words for the rider into sound."""

    speaks: bool
    """Whether there is sound at all; a text client needs none."""
