"""When the next piece of an explanation is due, and how long it may be. Pure."""

_LARGEST = 16
"""A client that reads slowly is sent pieces so many times as long, and as seldom."""


class Pace:
    """A schedule. Each piece is due at a moment that does not depend on how long sending took, so it never drifts.

    A piece is due later the longer the one before it may have been. Somebody who reads slowly, which shows in how
    long sending takes, is sent fewer pieces that are longer; they are given no more to hold at a time.

    Args:
        characters: Longest piece, in characters, for somebody who reads at once.
        seconds: Between two of those.
        now: When it begins, in seconds of a clock that never goes back.
    """

    def __init__(self, *, characters: int, seconds: float, now: float) -> None:
        self.due = now
        """When the next piece is to be sent."""
        self._characters = characters
        self._seconds = seconds
        self._times = 1

    @property
    def size(self) -> int:
        """Longest next piece, in characters."""
        return self._characters * self._times

    def sent(self, *, began: float, now: float) -> None:
        """Note that a piece was sent.

        Args:
            began: When sending it began.
            now: When it was taken.
        """
        self.due += self._seconds * self._times
        took = now - began
        if took > self._seconds:
            self._times = min(self._times * 2, _LARGEST)
            self.due = max(self.due, now)  # what was missed is not sent in a rush
        elif took < self._seconds / 2:
            self._times = max(1, self._times // 2)
