"""Holds callers to the rules of ``rate_rules``."""

from collections.abc import Sequence

from app.core.errors import NoCredits, RateLimited
from app.models.account import Caller
from app.models.rate import Verdict
from app.services.rate_rules import Charge, RateRules
from app.stores.base import RateCounter


class RateLimits:
    """Counts what callers do and refuses what is too much.

    A method that returns a verdict returns the narrowest, or None where nothing is limited, and raises
    ``RateLimited`` with the verdict that refuses.

    Args:
        counter: Counts.
        rules: What is counted.
    """

    def __init__(self, counter: RateCounter, rules: RateRules) -> None:
        self._counter = counter
        self._rules = rules

    async def request(self, address: str) -> Verdict | None:
        """Take a request, or a WebSocket that is opened, from an address."""
        return await self._take(self._rules.of_request(address))

    async def account(self, caller: Caller) -> Verdict | None:
        """Take the same from an account, once it is known."""
        return await self._take(self._rules.of_account(caller))

    async def turn(self, caller: Caller) -> Verdict | None:
        """Take a turn."""
        return await self._take(self._rules.of_turn(caller))

    async def login(self, name_key: str, address: str) -> Verdict | None:
        """Take an attempt to log in."""
        return await self._take(self._rules.of_login(name_key, address))

    async def question(self, caller: Caller) -> Verdict | None:
        """Take a question that is to be explained."""
        return await self._take(self._rules.of_question(caller))

    async def check_credit(self, caller: Caller, *, pending: int) -> None:
        """See to it that an answer may be generated for a caller. Nothing is counted.

        Args:
            caller: Who asks.
            pending: Answers that are being generated for the same account, and are not counted yet.

        Raises:
            NoCredits: As many were generated as may be.
        """
        for charge in self._rules.of_answer(caller):
            if (await self._counter.look(charge.rate, charge.key)).remaining <= pending:
                raise NoCredits

    async def spend_credit(self, caller: Caller) -> None:
        """Count an answer that was generated."""
        for charge in self._rules.of_answer(caller):
            await self._counter.hit(charge.rate, charge.key)

    async def _take(self, charges: Sequence[Charge]) -> Verdict | None:
        narrowest: Verdict | None = None
        for charge in charges:
            verdict = await self._counter.hit(charge.rate, charge.key)
            if not verdict.allowed:
                raise RateLimited(verdict=verdict)
            narrowest = narrower(narrowest, verdict)
        return narrowest


def narrower(one: Verdict | None, other: Verdict | None) -> Verdict | None:
    """Return the verdict that leaves less."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda verdict: verdict.remaining)
