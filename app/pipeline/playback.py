"""What of a turn's answer was spoken, sent and heard. No I/O: whoever waits, waits on its bell."""

from collections.abc import Callable


class Playback:
    """One turn's speech, seen from both ends: the stage that makes it and the rider who hears it.

    Args:
        now: Seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    @property
    def text(self) -> str:
        """The answer as far as it has come."""
        raise NotImplementedError

    # The rider's side.

    def acknowledge(self, played_ms: int) -> None:
        """Take note of how much the client says it has played. Anything may come; less than before is ignored."""
        raise NotImplementedError

    def hold(self) -> bool:
        """Stop the sound now. Returns whether there was any to stop: something unheard was sent or is to be sent."""
        raise NotImplementedError

    def resume(self, from_ms: int | None = None) -> None:
        """Send on from where the rider stopped hearing, or from ``from_ms`` where a client asks for it."""
        raise NotImplementedError

    def conclude(self) -> None:
        """Count what was not heard as heard: the rider answers before the last word is out. Nothing more is sent."""
        raise NotImplementedError

    @property
    def is_held(self) -> bool:
        """Whether the sound was stopped and may go on."""
        raise NotImplementedError

    @property
    def is_audible(self) -> bool:
        """Whether the rider hears it now, or is about to: sound was sent that is not yet played."""
        raise NotImplementedError

    @property
    def heard_ms(self) -> int:
        """How much of the speech was heard: as the client last said and the time since, else as the clock has it."""
        raise NotImplementedError

    @property
    def remaining_ms(self) -> int | None:
        """How much speech is not yet heard; None while more may be made."""
        raise NotImplementedError

    def heard(self, text: str) -> str:
        """Return what of ``text``, the whole answer so far, was heard: whole words, a prefix of it."""
        raise NotImplementedError
