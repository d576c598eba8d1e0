"""How busy this process keeps a processor."""

import time
from collections.abc import Callable

_APART_SECONDS = 0.1
"""Between two looks: the clock of a process is a call of the system, and counts in steps on some of them."""
_MEMORY_SECONDS = 0.5
"""What is older counts for little."""


class ProcessorLoad:
    """Processor time of this process in a second, all threads, of late.

    Looked at when somebody asks, so there is no timer: what was used since the last look counts as spread evenly.

    Args:
        now: A clock, in seconds.
        used: Processor time so far, in seconds.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.process_time
    ) -> None:
        self._now, self._used = now, used
        self._looked_at, self._had_used = now(), used()
        self._share = 0.0

    def __call__(self) -> float:
        """Return the share of one processor: 0 for idle, 1 for one that has no time left, more on several."""
        now = self._now()
        passed = now - self._looked_at
        if passed >= _APART_SECONDS:
            used = self._used()
            latest = (used - self._had_used) / passed
            self._share += (latest - self._share) * min(1.0, passed / _MEMORY_SECONDS)
            self._looked_at, self._had_used = now, used
        return self._share
