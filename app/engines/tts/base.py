"""What a text-to-speech engine must do."""

from collections.abc import AsyncGenerator
from typing import Protocol


class TtsEngine(Protocol):
    """Turns words for the rider into sound."""

    name: str
    sample_rate: int
    """Samples per second of what it makes; the stage brings it to ``SPEAKING_RATE``."""

    def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """Yield the sound of a sentence as it is made: mono ``pcm_s16le``, whole samples, any size, at ``sample_rate``.

        Closing the generator stops the work. Several may run at once; an engine lets them wait where it must.

        Args:
            text: Words as they are to be read: no Markdown, numbers in words.
            language: ISO 639-1.

        Raises:
            TtsError: The engine failed, or said nothing for too long.
        """
        ...
