"""What a codec must do."""

from collections.abc import Iterable
from typing import Protocol


class AudioDecoder(Protocol):
    """Turns what one microphone sends into mono ``pcm_s16le`` at ``HEARING_RATE``. Keeps what it needs of the past."""

    def decode(self, frame: bytes) -> Iterable[bytes]:
        """Return the sound of a frame, perhaps none yet, in pieces.

        The call, and each of the pieces, takes well under a millisecond, however large the frame. Pieces are made
        as they are asked for, so they are taken to the last and in the order of the frames.

        Raises:
            BadInput: At once, with the code ``invalid_audio``: the frame cannot be read. The next one may be.
        """
        ...

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        ...
