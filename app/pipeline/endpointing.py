"""From probabilities of speech to where utterances begin and end. Pure."""

from dataclasses import dataclass

from app.engines.vad.base import FRAME_SAMPLES
from app.models.audio import HEARING_RATE

FRAME_MS = FRAME_SAMPLES * 1000 // HEARING_RATE
"""How long the sound of one probability lasts."""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """When somebody speaks, and when they are done. All times in milliseconds."""

    threshold: float = 0.5
    """Probability from which silence becomes speech."""
    release: float = 0.35
    """Probability below which speech becomes silence."""
    start_ms: int = 128
    """Speech without a gap that begins an utterance."""
    resume_ms: int = 64
    """Speech without a gap that ends a pause: less is a click."""
    pause_ms: int = 160
    """Silence that is a pause: the utterance may be over."""
    min_silence_ms: int = 400
    """Silence that ends an utterance which is surely complete."""
    max_silence_ms: int = 1400
    """Silence that ends any utterance."""
    max_utterance_ms: int = 60_000
    """An utterance is cut where it is longer."""
    stall_ms: int = 3000
    """Where no sound comes at all for so long, that is silence."""
    presumed_completeness: float = 0.65
    """What is taken for an utterance of which nobody knows whether it is complete."""


@dataclass(frozen=True, slots=True)
class Began:
    """An utterance began."""

    at_ms: int
    """When its first sound came, counted from the first frame."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The speaker fell silent, perhaps for good."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The speaker goes on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An utterance is over."""

    at_ms: int
    """When its last sound came, counted from the first frame."""
    may_go_on: bool
    """Whether the silence was shorter than ``max_silence_ms``: a ``Settled`` follows unless somebody speaks before."""


@dataclass(frozen=True, slots=True)
class Settled:
    """``max_silence_ms`` have passed since an utterance ended."""


Change = Began | Paused | Resumed | Ended | Settled


class Endpointer:
    """Follows one microphone, a frame at a time.

    Between a pause and the end lies a wait, which is longest where the words so far want more, and else the shorter
    the more complete the utterance sounds.
    """

    def __init__(self, rules: EndpointRules) -> None:
        self._rules = rules
        # Frames since the first.
        self._frames = 0
        self._is_voiced = False
        # Voiced frames without a gap, up to now.
        self._run = 0
        # Where the first and the last sound of the utterance lie; None outside of one.
        self._began: int | None = None
        self._last_voice = 0
        self._is_paused = False
        self._awaits_settling = False
        # What is known of whether the speaker is done.
        self._completeness: float | None = None
        self._is_unfinished = False

    @property
    def is_voiced(self) -> bool:
        """Whether the last frame held speech."""
        return self._is_voiced

    @property
    def is_speaking(self) -> bool:
        """Whether an utterance has begun and not ended, pauses included."""
        return self._began is not None

    @property
    def is_paused(self) -> bool:
        """Whether an utterance is in a pause."""
        return self._is_paused

    @property
    def is_undecided(self) -> bool:
        """Whether more is to be said of an utterance: it has not ended, or not settled."""
        return self._began is not None or self._awaits_settling

    @property
    def wait_ms(self) -> float:
        """Silence that ends the utterance, by what is known now."""
        rules = self._rules
        longest = max(rules.min_silence_ms, rules.max_silence_ms)
        if self._is_unfinished:
            return longest
        completeness = rules.presumed_completeness if self._completeness is None else self._completeness
        return longest - (longest - rules.min_silence_ms) * min(max(completeness, 0.0), 1.0)

    def push(self, probability: float) -> Change | None:
        """Take the next frame, and return what it changed.

        Args:
            probability: How likely the frame holds speech, from 0 to 1.
        """
        self._frames += 1
        self._is_voiced = probability >= (self._rules.release if self._is_voiced else self._rules.threshold)
        self._run = self._run + 1 if self._is_voiced else 0
        return self._outside() if self._began is None else self._inside(self._began)

    def hint_completeness(self, completeness: float) -> None:
        """Take note of how complete the utterance sounds at this pause, from 0 to 1. Forgotten when it goes on."""
        if self._is_paused:
            self._completeness = completeness

    def hint_unfinished(self, *, is_unfinished: bool) -> None:
        """Take note of whether the words of this utterance so far want more."""
        self._is_unfinished = self._began is not None and is_unfinished

    def finish(self) -> Change | None:
        """Take note that nothing more comes, and return what that changed."""
        self._is_voiced, self._run = False, 0
        if self._began is not None:
            return self._end(may_go_on=False)
        return self._settle()

    def _outside(self) -> Change | None:
        if self._run * FRAME_MS >= self._rules.start_ms:
            self._began, self._last_voice = self._frames - self._run, self._frames
            self._awaits_settling = False
            return Began(self._began * FRAME_MS)
        if self._silence_ms >= self._rules.max_silence_ms and not self._is_voiced:
            return self._settle()
        return None

    def _inside(self, began: int) -> Change | None:
        resumes = self._run * FRAME_MS >= self._rules.resume_ms
        if self._is_voiced and (resumes or not self._is_paused):
            self._last_voice = self._frames
        if (self._frames - began) * FRAME_MS >= self._rules.max_utterance_ms:
            return self._end(may_go_on=False)
        if self._is_paused and self._last_voice == self._frames:
            self._is_paused, self._completeness = False, None
            return Resumed()
        if not self._is_paused and self._silence_ms >= self._rules.pause_ms:
            self._is_paused = True
            return Paused()
        if self._is_paused and not self._is_voiced and self._silence_ms >= self.wait_ms:
            return self._end(may_go_on=self._silence_ms < self._rules.max_silence_ms)
        return None

    @property
    def _silence_ms(self) -> int:
        return (self._frames - self._last_voice) * FRAME_MS

    def _end(self, *, may_go_on: bool) -> Ended:
        self._began = None
        # Speech that was cut begins anew, after the cut.
        self._run = 0
        self._is_paused, self._completeness, self._is_unfinished = False, None, False
        self._awaits_settling = may_go_on
        return Ended(self._last_voice * FRAME_MS, may_go_on)

    def _settle(self) -> Settled | None:
        was_awaited, self._awaits_settling = self._awaits_settling, False
        return Settled() if was_awaited else None
