"""How often something was done: in this process, and what is done when others cannot be asked."""

from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice

import anyio
import structlog

from app.core.clock import NowMs, now_ms
from app.core.errors import StoreError
from app.models.rate import Rate, Verdict, Window
from app.stores.base import RateCounter

log = structlog.stdlib.get_logger("voztaxi.rates")

_FORGOTTEN_AT_ONCE = 2
"""More than the one that a hit may add, so that what ran out is gone in time."""


@dataclass(slots=True)
class _Counts:
    started: float
    previous: int = 0
    current: int = 0

    def move_to(self, now: float, seconds: int) -> Window:
        """Begin the windows that have come since, and return what is counted."""
        passed = max(0.0, now - self.started)  # a clock may be set back
        if passed >= 2 * seconds:
            self.started, self.previous, self.current = now, 0, 0
            passed = 0.0
        elif passed >= seconds:
            self.started, self.previous, self.current = self.started + seconds, self.current, 0
            passed -= seconds
        return Window(self.previous, self.current, seconds - passed)


class MemoryRateCounter:
    """Counts in this process.

    The library's own counter in memory has no bound, and looks at all its keys with every hit; this one looks at
    three and forgets those that were longest not used.

    Args:
        now_ms: The clock.
        max_keys: How many keys are counted of each rate.
    """

    def __init__(self, *, now_ms: NowMs = now_ms, max_keys: int = 50_000) -> None:
        self._now_ms = now_ms
        self._max_keys = max_keys
        self._counts: defaultdict[Rate, OrderedDict[str, _Counts]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        """How many keys are counted."""
        return sum(map(len, self._counts.values()))

    async def hit(self, rate: Rate, key: str) -> Verdict:
        """See ``RateCounter``."""
        now = self._now_ms() / 1000
        known = self._counts[rate]
        counts = known.setdefault(key, _Counts(now))
        known.move_to_end(key)
        window = counts.move_to(now, rate.seconds)
        allowed = window.used(rate) < rate.amount
        if allowed:
            counts.current += 1
            window = counts.move_to(now, rate.seconds)
        self._forget(known, now - 2 * rate.seconds)
        return window.verdict(rate, allowed=allowed)

    async def look(self, rate: Rate, key: str) -> Verdict:
        """See ``RateCounter``."""
        now = self._now_ms() / 1000
        counts = self._counts[rate].get(key) or _Counts(now)
        return counts.move_to(now, rate.seconds).outlook(rate)

    def _forget(self, known: OrderedDict[str, _Counts], before: float) -> None:
        for key in list(islice(known, _FORGOTTEN_AT_ONCE)):
            if known[key].started < before or len(known) > self._max_keys:
                del known[key]


class FallbackRateCounter:
    """Counts together with other processes, and alone while they cannot be asked.

    So nobody is locked out because a store is away, and nobody can try passwords without end meanwhile: each
    process still holds callers to the limits.

    Args:
        shared: Counts for all processes.
        alone: Counts for this one.
        timeout: Seconds that a question may wait for ``shared``.
        pause: Seconds for which ``shared`` is not asked after it did not answer.
    """

    def __init__(self, shared: RateCounter, alone: RateCounter, *, timeout: float = 0.5, pause: float = 5.0) -> None:
        self._shared = shared
        self._alone = alone
        self._timeout = timeout
        self._pause = pause
        self._is_alone = False
        self._asks_again_at = 0.0

    async def hit(self, rate: Rate, key: str) -> Verdict:
        """See ``RateCounter``. It never raises ``StoreError``."""
        return await self._ask(lambda counter: counter.hit(rate, key))

    async def look(self, rate: Rate, key: str) -> Verdict:
        """See ``RateCounter``. It never raises ``StoreError``."""
        return await self._ask(lambda counter: counter.look(rate, key))

    async def _ask(self, question: Callable[[RateCounter], Awaitable[Verdict]]) -> Verdict:
        now = anyio.current_time()
        if now < self._asks_again_at:
            return await question(self._alone)
        if self._is_alone:
            self._asks_again_at = now + self._pause  # one asks for all
        try:
            with anyio.fail_after(self._timeout):
                verdict = await question(self._shared)
        except (StoreError, TimeoutError) as error:
            self._asks_again_at = anyio.current_time() + self._pause
            if not self._is_alone:
                self._is_alone = True
                log.warning("rates are counted by this process alone", reason=repr(error.__cause__ or error))
            return await question(self._alone)
        if self._is_alone:
            self._is_alone, self._asks_again_at = False, 0.0
            log.warning("rates are counted by all processes again")
        return verdict
