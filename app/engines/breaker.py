"""Leaves an engine alone that failed, a little longer each time. No I/O."""

from collections.abc import Callable

_FIRST_REST_SECONDS = 5.0
_LONGEST_REST_SECONDS = 300.0


class Breaker:
    """What is known of one engine.

    Args:
        now: Seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._rests_until = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether it worked when it was last used, or was not used yet."""
        return self._failures == 0

    def worked(self) -> None:
        """Trust it again."""
        self._failures = 0

    def failed(self) -> None:
        """Leave it alone for a while: twice as long as the last time."""
        self._failures += 1
        self._rest()

    def claim_trial(self) -> bool:
        """Return whether it may be tried out now; whoever is told so does it, and nobody else for a while."""
        if self.is_trusted or self._now() < self._rests_until:
            return False
        self._rest()
        return True

    def _rest(self) -> None:
        rest = min(_FIRST_REST_SECONDS * 2.0 ** min(self._failures - 1, 30), _LONGEST_REST_SECONDS)
        self._rests_until = self._now() + rest
