"""Sliding windows: what is let in, and when there is room again."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.rate import Rate, Verdict, Window
from app.stores.rates import MemoryRateCounter

pytestmark = pytest.mark.unit

RATE = Rate(10, 60)


@pytest.mark.parametrize(
    ("window", "allowed", "remaining", "reset"),
    [
        (Window(0, 1, 60), True, 9, 60),
        (Window(0, 10, 59.5), True, 0, 60),
        (Window(10, 1, 30), True, 4, 30),
        (Window(0, 10, 20), False, 0, 21),  # full: the window has to end
        (Window(10, 5, 30), False, 0, 1),  # what weighs of the last one makes room at once
        (Window(10, 8, 30), False, 0, 19),  # 12 seconds before the end, two of the last one weigh
    ],
)
def test_a_verdict_says_what_is_left_and_when_there_is_more(
    window: Window, allowed: bool, remaining: int, reset: int
) -> None:
    assert window.verdict(RATE, allowed=allowed) == Verdict(RATE, allowed, remaining, reset)


class Hits:
    """A counter on a clock of the test's own."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.ms = 1_800_000_000_000
        self.counter = MemoryRateCounter(now_ms=lambda: self.ms)
        self.let_in: list[int] = []

    async def hit(self) -> Verdict:
        verdict = await self.counter.hit(self.rate, "key")
        if verdict.allowed:
            self.let_in.append(self.ms)
        return verdict


def test_nobody_has_twice_the_amount_at_the_edge_of_a_window() -> None:
    async def play() -> list[int]:
        hits = Hits(RATE)
        let_in = []
        for seconds in (0, 59, 1, 1, 29, 60):  # the edge is at 60
            hits.ms += seconds * 1000
            before = len(hits.let_in)
            await hits.hit()
            while seconds and (await hits.hit()).allowed:
                pass
            let_in.append(len(hits.let_in) - before)
        return let_in

    assert anyio.run(play) == [1, 9, 0, 1, 4, 8]


rates = st.builds(Rate, amount=st.integers(1, 20), seconds=st.integers(1, 100))
pauses = st.lists(st.integers(0, 30_000) | st.just(0), min_size=1, max_size=80)


@given(rate=rates, pauses=pauses)
def test_who_is_refused_and_comes_when_they_are_told_is_let_in(rate: Rate, pauses: list[int]) -> None:
    async def play() -> None:
        hits = Hits(rate)
        for pause in pauses:
            hits.ms += pause
            verdict = await hits.hit()
            if not verdict.allowed:
                assert 1 <= verdict.reset_seconds <= rate.seconds + 1
                hits.ms += verdict.reset_seconds * 1000
                assert (await hits.hit()).allowed

    anyio.run(play)


@given(rate=rates, pauses=pauses)
def test_no_window_holds_more_than_its_amount_and_none_more_than_it_says(rate: Rate, pauses: list[int]) -> None:
    async def play() -> None:
        hits = Hits(rate)
        for pause in pauses:
            hits.ms += pause
            before = await hits.hit()
            for _ in range(before.remaining):
                assert (await hits.hit()).allowed
            assert not (await hits.hit()).allowed
        for at in hits.let_in:
            within = [each for each in hits.let_in if at <= each < at + rate.seconds * 1000]
            assert len(within) <= 2 * rate.amount  # any window; the counted ones have the amount
        span = (hits.let_in[-1] - hits.let_in[0]) / 1000 / rate.seconds
        assert len(hits.let_in) <= rate.amount * (span + 2)

    anyio.run(play)
