"""When was which sound heard: two voices on one clock. No I/O."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE, SPEAKING_RATE
from app.models.recordings import Speaker, TurnMark

SETTLE_MS = 2_000
"""Sound is final so long after it was heard: until then a barge-in, or a late frame, may still move it."""
GAP_MS = 250
"""A microphone that is silent for longer was closed, or its line hangs."""
EARLY_MS = 1_000
"""A microphone's sound may run so far ahead of the clock: its own clock is not ours."""
HELD_MS = 30_000
"""No more than this is held of either voice."""
MAX_MARKS = 10_000


@dataclass(slots=True)
class _Run:
    """Sound without a gap."""

    start: int
    """In samples from the beginning, as all places here."""
    pcm: bytearray
    turn_id: str = ""
    offset: int = 0
    """Where in its turn's speech it begins."""

    @property
    def end(self) -> int:
        return self.start + len(self.pcm) // BYTES_PER_SAMPLE


class _Track:
    """One voice: runs of sound that never overlap, silence between them."""

    def __init__(self, rate: int) -> None:
        self.per_ms = rate // 1000
        self.runs: deque[_Run] = deque()
        self.taken = 0
        """What lies before this was handed out."""

    @property
    def end(self) -> int:
        return self.runs[-1].end if self.runs else self.taken

    def take(self, until: int) -> bytes:
        """Hand out what lies before a place."""
        sound = bytearray()
        at = self.taken
        while self.runs and self.runs[0].start < until:
            run = self.runs[0]
            sound += bytes((run.start - at) * BYTES_PER_SAMPLE)
            cut = min(until, run.end) - run.start
            sound += run.pcm[: cut * BYTES_PER_SAMPLE]
            at = run.start + cut
            if at < run.end:
                del run.pcm[: cut * BYTES_PER_SAMPLE]
                run.start, run.offset = at, run.offset + cut
                break
            self.runs.popleft()
        sound += bytes((until - at) * BYTES_PER_SAMPLE)
        self.taken = until
        return bytes(sound)


class RecordingMix:
    """Places what the rider says when it was said, and what the agent says when it was played.

    Args:
        now_ms: Milliseconds since the recording began; never goes back.
    """

    def __init__(self, now_ms: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self._rider = _Track(HEARING_RATE)
        self._agent = _Track(SPEAKING_RATE)
        self._taken_ms = 0
        self._marks: dict[tuple[str, Speaker], int] = {}
        self._sounding: set[str] = set()

    @property
    def taken_ms(self) -> int:
        """How much was handed out."""
        return self._taken_ms

    @property
    def held_bytes(self) -> int:
        """How much sound waits to be taken."""
        return sum(len(run.pcm) for track in (self._rider, self._agent) for run in track.runs)

    @property
    def marks(self) -> tuple[TurnMark, ...]:
        """Who begins to speak where, in order of time."""
        found = sorted(self._marks.items(), key=lambda mark: mark[1])
        return tuple(TurnMark(at_ms=at, turn_id=turn_id, who=who) for (turn_id, who), at in found)

    def rider(self, pcm: bytes) -> bool:
        """Place sound of the microphone: it ends now, or follows what came just before.

        What was held up on the way comes in a rush: it is put back to where it would have been. What would
        be from the future for all that is left out.

        Returns:
            Whether there was room.
        """
        now, track = self._now_ms(), self._rider
        if now - self._taken_ms > HELD_MS:
            return False
        sound = pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
        here, length = int(now * track.per_ms), len(sound) // BYTES_PER_SAMPLE
        end = track.end
        if here - length - end > GAP_MS * track.per_ms or not track.runs:
            track.runs.append(_Run(max(end, here - length), bytearray()))
        run = track.runs[-1]
        before = track.runs[-2].end if len(track.runs) > 1 else track.taken
        run.start -= min(max(0, run.end + length - here), run.start - before)
        if run.end + length <= here + EARLY_MS * track.per_ms:
            run.pcm += sound
        if not run.pcm:
            track.runs.pop()
        return True

    def agent(self, pcm: bytes, offset_ms: int, turn_id: str) -> bool:
        """Place sound of the agent: it is played after what was sent before, at once where that is over.

        Returns:
            Whether there was room.
        """
        now, track = self._now_ms(), self._agent
        start = max(int(now * track.per_ms), track.end)
        sound = pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
        if start + len(sound) // BYTES_PER_SAMPLE > (self._taken_ms + HELD_MS) * track.per_ms:
            return False
        if not sound:
            return True
        if turn_id not in self._sounding and len(self._sounding) < MAX_MARKS:
            self._sounding.add(turn_id)
            self._marks[turn_id, "agent"] = start // track.per_ms
        offset = max(0, offset_ms) * track.per_ms
        last = track.runs[-1] if track.runs else None
        if last is not None and (last.end, last.turn_id) == (start, turn_id) and _follows(last, offset, track.per_ms):
            last.pcm += sound
        else:
            track.runs.append(_Run(start, bytearray(sound), turn_id, offset))
        return True

    def dropped(self, turn_id: str, offset_ms: int) -> None:
        """Leave out what lies after ``offset_ms`` of a turn's speech, as far as it is not final: nobody heard it."""
        track = self._agent
        kept: deque[_Run] = deque()
        for run in track.runs:
            if run.turn_id == turn_id:
                del run.pcm[max(0, offset_ms * track.per_ms - run.offset) * BYTES_PER_SAMPLE :]
            if run.pcm:
                kept.append(run)
        track.runs = kept

    def mark(self, turn_id: str, who: Speaker, *, ago_ms: float = 0) -> None:
        """Note that somebody began to speak so long ago. The first word on it holds, but sound knows better."""
        if len(self._marks) < 2 * MAX_MARKS:
            self._marks.setdefault((turn_id, who), max(0, int(self._now_ms() - ago_ms)))

    def take(self) -> tuple[bytes, bytes]:
        """Hand out what is final and was not handed out before: rider and agent, equally long."""
        return self._take(int(self._now_ms()) - SETTLE_MS)

    def finish(self) -> tuple[bytes, bytes]:
        """Hand out all that was heard by now: the end."""
        return self._take(int(self._now_ms()))

    def _take(self, until_ms: int) -> tuple[bytes, bytes]:
        until_ms = max(until_ms, self._taken_ms)
        self._taken_ms = until_ms
        return self._rider.take(until_ms * self._rider.per_ms), self._agent.take(until_ms * self._agent.per_ms)


def _follows(run: _Run, offset: int, per_ms: int) -> bool:
    """Whether sound at ``offset`` of a turn's speech goes on where a run ends; offsets are in whole milliseconds."""
    return abs(run.offset + len(run.pcm) // BYTES_PER_SAMPLE - offset) <= per_ms
