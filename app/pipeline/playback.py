"""What of a turn's answer was spoken, sent and heard. No I/O: whoever waits, waits on its bell."""

from collections.abc import Callable
from dataclasses import dataclass

from app.core.bell import Bell
from app.models.audio import SPEAKING_RATE, bytes_of

CHUNK_MS = 100
"""How much sound is sent at once."""
_JITTER_MS = 50
"""What clients wait with the first sound, so that later sound comes in time."""
_SINCE_ACKNOWLEDGED_MS = 300
"""A client that says what it has played has played no more than so much since."""
_GRACE_MS = 1000
"""What a client that fell silent is given beyond the clock."""
_MOST_LATE_MS = 30_000
"""How far a client's word can set the clock back, all in all."""
_MS_PER_CHARACTER = 70
"""How long a sentence will be whose sound is still being made."""


def _nothing() -> None:
    """Nobody listens."""


@dataclass(slots=True)
class _Span:
    """Where a sentence of the answer lies in the sound."""

    start: int
    """Its first character."""
    end: int
    """The character after its last one."""
    start_ms: int
    end_ms: int | None = None
    """None while its sound is being made."""


class Playback:
    """One turn's speech, seen from both ends: the stage that makes it and the rider who hears it.

    The track is all sound of the turn at ``SPEAKING_RATE``, in whole milliseconds. A cursor says what of it
    was sent. Where the rider is in it is what the client last said and the time since, else what the clock
    says since sound flows.

    Args:
        now: Seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.text = ""
        """The answer as far as it has come."""
        self.has_failed = False
        """Part of the answer could not be spoken."""
        self._pcm = bytearray()
        self._made_ms = 0
        self._spans: list[_Span] = []
        self._is_making = False
        self._has_sound = False
        self._begun_ms = 0
        """Where the newest sound begins."""
        self._is_finished = False
        self._is_complete = False
        self._cursor_ms = 0
        """What is sent next."""
        self._sent_ms = 0
        """What was sent at most."""
        self._clock_ms = 0.0
        """Where the rider was at ``_clock_at``."""
        self._clock_at = 0.0
        self._late_ms = 0.0
        self._acknowledged_ms: int | None = None
        self._heard_ms = 0
        self._heard_characters = 0
        self._held_at: float | None = None
        self._notice: int | None = None
        self._is_concluded = False
        self._is_cut = False
        self.bell = Bell()
        """Rings whenever something changes that whoever makes the sound, or sends it, should know of."""
        self.on_complete: Callable[[], None] = _nothing
        """Called once, when the answer's last word has come."""

    # The rider's side.

    def acknowledge(self, played_ms: int) -> None:
        """Take note of how much the client says it has played. Anything may come; less than before is ignored."""
        played_ms = min(played_ms, self._sent_ms)
        if self._is_still or played_ms <= (self._acknowledged_ms or 0):
            return
        if self.is_held:
            # It played on until it was told: that need not come again.
            self._acknowledged_ms = played_ms
            self._heard_ms = max(self._heard_ms, played_ms)
            self._cursor_ms = max(self._cursor_ms, played_ms)
            return
        now = self._now()
        self.heard_ms  # noqa: B018 - what was heard by then stays heard
        late = max(0.0, self._position(now) - played_ms)
        if self._late_ms + late <= _MOST_LATE_MS:
            self._late_ms += late
            self._clock_ms, self._clock_at = float(min(played_ms, self._cursor_ms)), now
        self._acknowledged_ms = played_ms
        self.bell.ring()

    def hold(self) -> bool:
        """Stop the sound now. Returns whether there was any to stop: something unheard was sent or is to be sent."""
        if self.is_held:
            return True
        if self.remaining_ms == 0:
            return False
        self._heard_ms = self._cursor_ms = self.heard_ms
        self._held_at = self._now()
        if self._sent_ms:
            self._notice = self._heard_ms
        self.bell.ring()
        return True

    def resume(self, from_ms: int | None = None) -> None:
        """Send on from where the rider stopped hearing, or from ``from_ms`` where a client asks for it."""
        if self._is_still or (from_ms is None and not self.is_held):
            return
        heard = self.heard_ms
        self._held_at = None
        self._cursor_ms = heard if from_ms is None else max(0, min(from_ms, self._sent_ms))
        self._clock_ms, self._clock_at = float(min(heard, self._cursor_ms)), self._now()
        self.bell.ring()

    def conclude(self) -> None:
        """Count what was not heard as heard: the rider answers before the last word is out. Nothing more is sent."""
        if not self._is_still:
            self._is_concluded = True
            self._held_at = None
            self.bell.ring()

    @property
    def is_held(self) -> bool:
        """Whether the sound was stopped and may go on."""
        return self._held_at is not None

    @property
    def is_audible(self) -> bool:
        """Whether the rider hears it now, or is about to: sound was sent that is not yet played."""
        return not self._is_still and not self.is_held and self._position(self._now()) < self._cursor_ms

    @property
    def heard_ms(self) -> int:
        """How much of the speech was heard: as the client last said and the time since, else as the clock has it."""
        if self._is_concluded:
            self._heard_ms = self._sent_ms
        elif not self._is_cut and not self.is_held:
            heard = self._position(self._now())
            if self._acknowledged_ms is not None:
                heard = min(heard, self._acknowledged_ms + _SINCE_ACKNOWLEDGED_MS)
            self._heard_ms = max(self._heard_ms, int(heard))
        return self._heard_ms

    @property
    def remaining_ms(self) -> int | None:
        """How much speech is not yet heard; None while more may be made."""
        if self._is_still:
            return 0
        return self._made_ms - self.heard_ms if self._is_finished else None

    def heard(self, text: str) -> str:
        """Return what of ``text``, the whole answer so far, was heard: whole words, a prefix of it.

        What was never to be spoken, because sound failed or would have been too long, is read: it counts with
        the last of the sound.
        """
        heard_ms = self.heard_ms
        if self._is_concluded or (self._is_finished and heard_ms >= self._made_ms):
            return text
        end = 0
        for span in self._spans:
            if span.end_ms is not None and heard_ms >= span.end_ms and heard_ms > span.start_ms:
                end = span.end
            elif heard_ms > span.start_ms:
                end = max(end, _whole_words(text, self._reached(span, heard_ms)))
        self._heard_characters = max(self._heard_characters, end)
        return text[: self._heard_characters]

    # The stage's side.

    def begin(self, start: int, end: int) -> None:
        """Begin the sound of a sentence, by its characters in the answer; a filler has none: both are the same."""
        self._is_making, self._has_sound = True, False
        if start < end:
            self._spans.append(_Span(start, end, self._made_ms))

    def add(self, pcm: bytes) -> None:
        """Add sound: ``pcm_s16le`` at ``SPEAKING_RATE``, whole samples."""
        if not self._has_sound:
            self._has_sound, self._begun_ms = True, self._made_ms
        self._pcm += pcm
        self._made_ms = len(self._pcm) // _BYTES_PER_MS
        self.bell.ring()

    def end(self) -> None:
        """End the sound of a sentence."""
        self._pcm.extend(bytes(-len(self._pcm) % _BYTES_PER_MS))
        self._made_ms = len(self._pcm) // _BYTES_PER_MS
        if self._spans and self._spans[-1].end_ms is None:
            self._spans[-1].end_ms = self._made_ms
        self._is_making = False
        self.bell.ring()

    def finish(self) -> None:
        """Say that no more sound is made, whatever text may come."""
        if self._is_cut:
            return
        if self._is_making:
            self.end()
        self._is_finished = True
        self.bell.ring()

    def complete(self) -> None:
        """Say that the answer's last word has come; its sound may take longer."""
        if not self._is_complete:
            self._is_complete = True
            self.on_complete()

    @property
    def is_complete(self) -> bool:
        """Whether the answer's last word has come."""
        return self._is_complete

    def notice(self) -> int | None:
        """Return, once for each time the sound was stopped, how much had been heard. The client is to be told."""
        offset_ms, self._notice = self._notice, None
        return offset_ms

    def send(self, lead_ms: int) -> tuple[int, bytes] | None:
        """Return the next piece of sound, and where it lies, if one is to be sent now. It counts as sent.

        Args:
            lead_ms: How far ahead of what is heard may be sent.
        """
        size = self._sendable_ms()
        now = self._now()
        position = self._position(now)
        if not size or self._cursor_ms + size - position > max(lead_ms, CHUNK_MS):
            return None
        offset_ms = self._cursor_ms
        if position >= offset_ms:
            self._clock_ms, self._clock_at = float(offset_ms), now + _JITTER_MS / 1000
        self._cursor_ms += size
        self._sent_ms = max(self._sent_ms, self._cursor_ms)
        return offset_ms, bytes(self._pcm[offset_ms * _BYTES_PER_MS : self._cursor_ms * _BYTES_PER_MS])

    def due_seconds(self, lead_ms: int) -> float | None:
        """Return when to look again if no bell rings: sound is due, or the last of it was heard. None is never."""
        if self._is_still or self.is_held:
            return None
        size = self._sendable_ms()
        if size:
            until = float(self._cursor_ms + size - max(lead_ms, CHUNK_MS))
        elif self._is_finished and self._cursor_ms >= self._made_ms:
            by_word = self._acknowledged_ms is None or self._acknowledged_ms + _SINCE_ACKNOWLEDGED_MS >= self._made_ms
            until = self._made_ms + (0 if by_word else _GRACE_MS)
        else:
            return None
        return max(0.001, (until - self._clock_ms) / 1000 + self._clock_at - self._now())

    @property
    def held_seconds(self) -> float:
        """For how long the sound is held; 0 where it is not."""
        return 0.0 if self._held_at is None else self._now() - self._held_at

    @property
    def made_ms(self) -> int:
        """How much sound was made."""
        return self._made_ms

    @property
    def unheard_ms(self) -> float:
        """How much of the sound that was made is still to be played, by the clock."""
        return 0.0 if self._is_still else self._made_ms - self._position(self._now())

    @property
    def sends_last_sentence(self) -> bool:
        """Whether all but the last sentence was sent: it is time to make another."""
        return self._is_still or self._cursor_ms >= self._begun_ms

    @property
    def is_concluded(self) -> bool:
        """Whether nothing more is to be sent, or made."""
        return self._is_still

    @property
    def is_over(self) -> bool:
        """Whether no more sound is made, and what was made was heard, or must have been by now."""
        if self._is_still:
            return True
        if self.is_held or not self._is_finished or self._cursor_ms < self._made_ms:
            return False
        return self.heard_ms >= self._made_ms or self._free_position(self._now()) >= self._made_ms + _GRACE_MS

    def cut(self) -> int | None:
        """Stop for good: the turn ends here. What was heard by now is what was heard.

        Returns:
            That, where the client has sound that it must be told to drop.
        """
        if self._is_still:
            return None
        is_audible = self.is_audible
        heard_ms, notice = self.heard_ms, self.notice()
        self._is_cut = True
        self._held_at = None
        self.bell.ring()
        return heard_ms if is_audible or notice is not None else None

    @property
    def _is_still(self) -> bool:
        return self._is_concluded or self._is_cut

    def _sendable_ms(self) -> int:
        """Return the length of the next piece; a short one only where its sentence is over."""
        if self._is_still or self.is_held:
            return 0
        size = min(CHUNK_MS, self._made_ms - self._cursor_ms)
        return 0 if size < CHUNK_MS and self._is_making else size

    def _position(self, now: float) -> float:
        """Return where the rider is by the clock, which stands while there is nothing to play."""
        return min(float(self._cursor_ms), self._free_position(now))

    def _free_position(self, now: float) -> float:
        return self._clock_ms + max(0.0, now - self._clock_at) * 1000

    def _reached(self, span: _Span, heard_ms: int) -> int:
        """Return how far into a sentence the rider came, by the time; of one in the making it is a guess."""
        characters = span.end - span.start
        end_ms = span.end_ms or max(self._made_ms, span.start_ms + characters * _MS_PER_CHARACTER)
        part = (heard_ms - span.start_ms) / max(1, end_ms - span.start_ms)
        return span.start + int(min(1.0, part) * characters)


_BYTES_PER_MS = bytes_of(1, SPEAKING_RATE)


def _whole_words(text: str, end: int) -> int:
    """Return the end of the last word of ``text`` that lies before ``end``."""
    if end < len(text):
        while end > 0 and not text[end].isspace() and not text[end - 1].isspace():
            end -= 1
    return len(text[:end].rstrip())
