"""When sound is sent to a client that plays all it is given, and cannot be told to drop any. Pure."""

from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable

from app.models.audio import bytes_of, duration_ms
from app.models.events import TtsChunk

LEAD_SECONDS = 0.15
"""How far ahead of its loudspeaker a client may be. So long it is heard after it was interrupted, and so long it
bears a network that stalls."""
PIECE_MS = 50
"""The longest piece of sound that is sent at once."""


class Pacer:
    """Holds a thread's sound back until it is nearly to be heard.

    Args:
        now: Seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: deque[TtsChunk] = deque()
        self._plays_until = 0.0
        self._sent: tuple[str, float] = ("", 0.0)
        """A turn, and how many milliseconds of its speech the client has been sent."""

    def put(self, chunk: TtsChunk) -> None:
        """Take sound, in order. What the client has of it is left out: after a false alarm it comes again."""
        turn_id, sent_ms = self._sent
        known_ms = max(0.0, sent_ms - chunk.offset_ms) if turn_id == chunk.turn_id else 0.0
        rate = chunk.sample_rate
        pcm, at, size = b64decode(chunk.audio), bytes_of(known_ms, rate), bytes_of(PIECE_MS, rate)
        while at < len(pcm):
            piece, offset_ms = pcm[at : at + size], chunk.offset_ms + round(duration_ms(at, rate))
            audio = b64encode(piece).decode()
            self._waiting.append(chunk.model_copy(update={"audio": audio, "offset_ms": offset_ms}))
            at += size

    def take(self) -> TtsChunk | None:
        """Return the next piece if it is time to send it."""
        if self.due_in() != 0:
            return None
        piece = self._waiting.popleft()
        lasts_ms = _lasts_ms(piece)
        self._sent = (piece.turn_id, piece.offset_ms + lasts_ms)
        self._plays_until = max(self._plays_until, self._now()) + lasts_ms / 1000
        return piece

    def due_in(self) -> float | None:
        """Return in how many seconds the next piece is to be sent; None where nothing waits."""
        if not self._waiting:
            return None
        ahead_after = self._plays_until + _lasts_ms(self._waiting[0]) / 1000 - self._now()
        return max(0.0, ahead_after - LEAD_SECONDS)

    def drop(self) -> None:
        """Forget what was not sent."""
        self._waiting.clear()


def _lasts_ms(chunk: TtsChunk) -> float:
    padding = chunk.audio.count("=", -2)
    return duration_ms(len(chunk.audio) * 3 // 4 - padding, chunk.sample_rate)
