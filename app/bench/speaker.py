"""What a caller's loudspeaker does with the sound of a turn: a jitter buffer, and a clock that says what was played.

Pure: whoever plays hands in the time. A client that does what docs/protocol.md says behaves like this.
"""

from dataclasses import dataclass, field

import numpy as np

JITTER_MS = 50.0
"""What is gathered before playing begins, and begins anew after it ran dry."""

_AUDIBLE = 0.005
"""Of full scale."""


@dataclass(slots=True)
class Stop:
    """An ``interrupted``, and how the sound went on after it."""

    at: float
    offset_ms: float
    """How much was heard, as the server says."""
    played_ms: float
    """How much was played, as the loudspeaker knows."""
    resumed_at: float | None = None
    missing_ms: float = 0.0
    """Of the speech, what was neither played nor sent again."""
    repeated_ms: float = 0.0
    """Of the speech, what was played before and comes again."""


@dataclass(slots=True)
class Speaker:
    """Plays one turn's speech.

    Args:
        sample_rate: Of what comes; mono ``pcm_s16le``.
        jitter_ms: What is gathered before playing.
    """

    sample_rate: int
    jitter_ms: float = JITTER_MS
    chunks: int = 0
    late: int = 0
    """Chunks that came after the loudspeaker had run dry for want of them."""
    starved_ms: float = 0.0
    """Silence where there should have been speech."""
    gap_ms: float = 0.0
    """Speech that was left out between two chunks."""
    overlap_ms: float = 0.0
    """Speech that was sent twice without an ``interrupted`` between."""
    changed: int = 0
    """Chunks sent again whose sound was not that of the first time."""
    stops: list[Stop] = field(default_factory=list)
    first_at: float | None = None
    last_at: float | None = None
    first_audible_at: float | None = None
    """When the first chunk came in which there is anything to hear."""
    sound: bytearray = field(default_factory=bytearray)
    """The speech by its place, whatever of it was sent."""
    _from_ms: float = 0.0
    """Where the playing began that goes on now, in the speech."""
    _from_at: float | None = None
    """When; None while it is stopped or has run dry."""
    _end_ms: float = 0.0
    """Up to where sound is there, without a gap."""
    _is_stopped: bool = False
    _began_ms: float = 0.0
    """Where the speech was taken up last."""
    _played: list[tuple[float, float]] = field(default_factory=list)
    """Stretches of the speech that were played before that."""

    def take(self, now: float, offset_ms: float, pcm: bytes) -> None:
        """Take a chunk.

        Args:
            now: Seconds, monotonic.
            offset_ms: Where it lies in the turn's speech.
            pcm: Its sound.
        """
        length_ms = len(pcm) * 500 / self.sample_rate
        self.chunks += 1
        self.first_at = now if self.first_at is None else self.first_at
        self.last_at = now
        if self.first_audible_at is None and _is_audible(pcm):
            self.first_audible_at = now
        if self._is_stopped:
            self._go_on(now, offset_ms)
        else:
            self._compare(now, offset_ms)
        if self._from_at is None:
            self._from_at = now + self.jitter_ms / 1000
            self._from_ms = self._end_ms
        self._end_ms = max(self._end_ms, offset_ms + length_ms)
        self._keep(offset_ms, pcm)

    def interrupt(self, now: float, offset_ms: float) -> None:
        """Stop, and drop what is not played.

        Args:
            now: Seconds, monotonic.
            offset_ms: How much was heard, as the server says.
        """
        played = self.played_ms(now)
        self.stops.append(Stop(now, offset_ms, played))
        self._from_ms, self._from_at = played, None
        # What was sent up to there is kept: it is played when the speech goes on.
        self._end_ms = max(played, min(self._end_ms, offset_ms))
        self._is_stopped = True

    def played_ms(self, now: float) -> float:
        """Return how much of the speech was played."""
        if self._from_at is None:
            return self._from_ms
        return min(self._end_ms, self._from_ms + max(0.0, now - self._from_at) * 1000)

    def left_ms(self, now: float) -> float:
        """Return how much sound is there that was not played."""
        return self._end_ms - self.played_ms(now)

    def heard(self, now: float) -> bytes:
        """Return what the ear heard, in the order in which it was played."""
        pieces = [*self._played, (self._began_ms, self.played_ms(now))]
        return b"".join(bytes(self.sound[self._place(start) : self._place(end)]) for start, end in pieces)

    def _place(self, milliseconds: float) -> int:
        return 2 * round(milliseconds * self.sample_rate / 1000)

    @property
    def is_whole(self) -> bool:
        """Whether all that came was played once: nothing missing, nothing twice, as an ear can tell."""
        lost = max((stop.missing_ms for stop in self.stops), default=0.0)
        again = max((stop.repeated_ms for stop in self.stops), default=0.0)
        return self.gap_ms < 5 and self.overlap_ms < 5 and not self.changed and lost < 20 and again < 300

    def _compare(self, now: float, offset_ms: float) -> None:
        """Take note of what is wrong with a chunk that should follow the one before."""
        step = offset_ms - self._end_ms
        if step > 1.5:  # offsets are whole milliseconds
            self.gap_ms += step
        elif step < -1.5:
            self.overlap_ms -= step
        if self._from_at is not None:
            dry_at = self._from_at + (self._end_ms - self._from_ms) / 1000
            if now > dry_at:
                self.late += 1
                self.starved_ms += (now - dry_at) * 1000
                self._from_at = None

    def _go_on(self, now: float, offset_ms: float) -> None:
        """Play on after a stop: first what was kept, up to where the server takes as heard."""
        stop = self.stops[-1]
        stop.resumed_at = now
        stop.missing_ms = max(0.0, offset_ms - self._end_ms)
        stop.repeated_ms = max(0.0, stop.played_ms - offset_ms)
        if stop.repeated_ms:
            self._played.append((self._began_ms, stop.played_ms))
            self._began_ms = offset_ms
        elif stop.missing_ms:
            self._played.append((self._began_ms, self._end_ms))
            self._began_ms = offset_ms
        self._from_ms = min(stop.played_ms, offset_ms)
        self._from_at = now + self.jitter_ms / 1000
        self._end_ms = offset_ms
        self._is_stopped = False

    def _keep(self, offset_ms: float, pcm: bytes) -> None:
        """Keep sound by its place; compare it where it was there before."""
        start = 2 * round(offset_ms * self.sample_rate / 1000)
        if start > len(self.sound):
            # Within the milliseconds that an offset is rounded by, a chunk follows the one before.
            near = 2 * (2 * self.sample_rate // 1000)
            if start - len(self.sound) <= near:
                start = len(self.sound)
            else:
                self.sound += bytes(start - len(self.sound))
        again = min(len(self.sound) - start, len(pcm))
        if again > 4 * self.sample_rate // 100 and not _alike(self.sound[start : start + again], pcm, self.sample_rate):
            self.changed += 1
        self.sound[start : start + len(pcm)] = pcm


def _is_audible(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, dtype="<i2")
    return bool(samples.size) and bool(np.abs(samples.astype(np.int32)).max() > _AUDIBLE * 32768)


def _alike(first: bytes | bytearray, second: bytes, sample_rate: int) -> bool:
    """Return whether a stretch of the second lies in the first, give or take what offsets are rounded by."""
    room = 2 * (2 * sample_rate // 1000)
    if len(second) < 4 * room or not any(second):
        return True
    return bytes(second[room : 3 * room]) in bytes(first[: 4 * room])
