"""What a codec must do."""

from typing import Protocol


class AudioDecoder(Protocol):
    """Turns what one microphone sends into mono ``pcm_s16le`` at ``HEARING_RATE``. Keeps what it needs of the past."""

    def decode(self, frame: bytes) -> bytes:
        """Return the sound of a frame, perhaps none yet. Takes well under a millisecond.

        Raises:
            BadInput: With the code ``invalid_audio``: the frame cannot be read. The next one may be.
        """
        ...

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        ...
