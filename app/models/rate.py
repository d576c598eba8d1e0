"""How often something may be done, and how it is counted.

A *sliding window* is two counters: of the window that runs, and of the one before it, which weighs the less the
further the present one has run. So nobody has twice the amount by coming at the edge of a window, as they would
with one counter, and nothing is kept of each single hit.
"""

from dataclasses import dataclass
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class Rate:
    """So much in so much time."""

    amount: int
    """At least 1."""
    seconds: int
    """At least 1."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a hit was let in, and what is left."""

    rate: Rate
    allowed: bool
    remaining: int
    """How many more would be let in now."""
    reset_seconds: int
    """Until there is more: of one that was refused, when to come again."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted of one rate and one key."""

    previous: int
    """Hits that were let in during the window before."""
    current: int
    """Hits that were let in during the window that runs."""
    left: float
    """Seconds until the window that runs ends."""

    def used(self, rate: Rate) -> int:
        """Return how much of the amount is used."""
        return floor(self.previous * self.left / rate.seconds) + self.current

    def outlook(self, rate: Rate) -> Verdict:
        """Return what would be said of a hit that was not made."""
        return self.verdict(rate, allowed=self.used(rate) < rate.amount)

    def verdict(self, rate: Rate, *, allowed: bool) -> Verdict:
        """Return what is said of a hit, when it has been counted or refused."""
        if not allowed:
            return Verdict(rate, allowed, 0, floor(self._wait(rate)) + 1)
        return Verdict(rate, allowed, max(0, rate.amount - self.used(rate)), ceil(self.left))

    def _wait(self, rate: Rate) -> float:
        """Return the seconds after which what weighs of the window before leaves room for one more."""
        if self.current >= rate.amount or self.previous == 0:
            return self.left
        return max(0.0, self.left - (rate.amount - self.current) * rate.seconds / self.previous)
