"""What every rate counter does, in this process and over Redis."""

from collections.abc import AsyncIterator

import anyio
import pytest
from pydantic import SecretStr

from app.core.errors import StoreError
from app.models.rate import Rate, Verdict
from app.stores.base import RateCounter
from app.stores.rates import FallbackRateCounter, MemoryRateCounter
from app.stores.redis.client import RedisClient
from app.stores.redis.rates import RedisRateCounter

pytestmark = pytest.mark.contract

MINUTE = Rate(5, 60)


@pytest.fixture(params=["memory", "redis", "fallback"])
async def counter(request: pytest.FixtureRequest) -> AsyncIterator[RateCounter]:
    """Every counter."""
    if request.param == "memory":
        yield MemoryRateCounter()
        return
    async with RedisClient(SecretStr(request.getfixturevalue("redis_url"))) as redis:
        shared = RedisRateCounter(redis)
        yield shared if request.param == "redis" else FallbackRateCounter(shared, Unused())


class Unused:
    """A counter that nobody asks."""

    async def hit(self, rate: Rate, key: str) -> Verdict:
        raise AssertionError

    async def look(self, rate: Rate, key: str) -> Verdict:
        raise AssertionError


async def test_the_amount_is_let_in_and_no_more(counter: RateCounter) -> None:
    verdicts = [await counter.hit(MINUTE, "key") for _ in range(7)]

    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 2
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0, 0]
    assert all(verdict.rate == MINUTE for verdict in verdicts)
    assert all(55 <= verdict.reset_seconds <= 61 for verdict in verdicts)


async def test_many_at_once_are_not_let_in_more_often(counter: RateCounter) -> None:
    allowed: list[bool] = []

    async def hit() -> None:
        allowed.append((await counter.hit(MINUTE, "key")).allowed)

    async with anyio.create_task_group() as tasks:
        for _ in range(40):
            tasks.start_soon(hit)

    assert sum(allowed) == 5


async def test_who_looks_counts_nothing_and_sees_what_is_left(counter: RateCounter) -> None:
    for left in (5, 4, 3, 2, 1):
        for _ in range(3):
            seen = await counter.look(MINUTE, "key")
            assert (seen.allowed, seen.remaining) == (True, left)
        await counter.hit(MINUTE, "key")

    seen = await counter.look(MINUTE, "key")
    assert (seen.allowed, seen.remaining) == (False, 0)


async def test_keys_and_rates_are_counted_each_for_itself(counter: RateCounter) -> None:
    for _ in range(5):
        await counter.hit(MINUTE, "key")

    assert (await counter.hit(MINUTE, "other")).remaining == 4
    assert (await counter.hit(Rate(5, 3600), "key")).remaining == 4
    assert not (await counter.hit(MINUTE, "key")).allowed


async def test_who_comes_when_they_are_told_is_let_in(counter: RateCounter) -> None:
    rate = Rate(2, 1)
    while (verdict := await counter.hit(rate, "key")).allowed:
        pass
    await anyio.sleep(verdict.reset_seconds)

    assert (await counter.hit(rate, "key")).allowed


async def test_redis_forgets_a_key_after_two_windows(redis_url: str) -> None:
    async with RedisClient(SecretStr(redis_url)) as redis:
        counter = RedisRateCounter(redis)
        for number in range(3):
            await counter.hit(MINUTE, f"key-{number}")
        keys = await redis.call(lambda client: client.keys("*"))
        ttls = [await redis.call(lambda client, key=key: client.ttl(key)) for key in keys]

    assert len(keys) == 3
    assert all(key.startswith("voztaxi:rate:") for key in keys)
    assert all(0 < ttl <= 120 for ttl in ttls)


async def test_processes_count_together_in_redis(redis_url: str) -> None:
    async with RedisClient(SecretStr(redis_url)) as here, RedisClient(SecretStr(redis_url)) as there:
        counters = [RedisRateCounter(here), RedisRateCounter(there)]
        verdicts = [await counters[number % 2].hit(MINUTE, "key") for number in range(6)]

    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0]
    assert not verdicts[-1].allowed


async def test_a_redis_that_has_forgotten_its_scripts_is_given_them_again(redis_url: str) -> None:
    async with RedisClient(SecretStr(redis_url)) as redis:
        counter = RedisRateCounter(redis)
        await counter.hit(MINUTE, "key")
        await redis.call(lambda client: client.script_flush())

        assert (await counter.hit(MINUTE, "key")).remaining == 3


# What only the one in memory promises.


async def test_memory_holds_so_many_keys_and_forgets_those_that_were_longest_not_used() -> None:
    counter = MemoryRateCounter(max_keys=100)
    for _ in range(3):
        await counter.hit(MINUTE, "in use")
    for number in range(10_000):
        await counter.hit(MINUTE, f"hostile-{number}")
        if number % 50 == 0:
            await counter.hit(MINUTE, "in use")

    assert len(counter) == 100
    assert not (await counter.hit(MINUTE, "in use")).allowed


async def test_memory_forgets_what_ran_out() -> None:
    now = 0
    counter = MemoryRateCounter(now_ms=lambda: now)
    for number in range(1000):
        await counter.hit(MINUTE, f"key-{number}")
    now = 121_000
    for _ in range(600):
        await counter.hit(MINUTE, "another")

    assert len(counter) == 1


# What is done without the others.


class Shared(MemoryRateCounter):
    """A counter that others share, until it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.away: Exception | None = None
        self.hangs = False
        self.asked = 0

    async def hit(self, rate: Rate, key: str) -> Verdict:
        self.asked += 1
        if self.hangs:
            await anyio.sleep_forever()
        if self.away is not None:
            raise self.away
        return await super().hit(rate, key)


async def test_where_nobody_can_be_asked_a_process_lets_in_and_limits_by_itself() -> None:
    shared = Shared()
    counter = FallbackRateCounter(shared, MemoryRateCounter())
    for _ in range(5):
        await counter.hit(MINUTE, "key")
    shared.away = StoreError()

    verdicts = [await counter.hit(MINUTE, "key") for _ in range(6)]

    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False]
    assert shared.asked == 6, "one that does not answer is not asked each time"


async def test_one_that_hangs_holds_nobody_up_for_long() -> None:
    shared = Shared()
    shared.hangs = True
    counter = FallbackRateCounter(shared, MemoryRateCounter(), timeout=0.01)

    assert (await counter.hit(MINUTE, "key")).allowed
    assert (await counter.hit(MINUTE, "key")).remaining == 3
    assert shared.asked == 1


async def test_while_it_is_away_one_asks_for_all() -> None:
    shared = Shared()
    shared.hangs = True
    counter = FallbackRateCounter(shared, MemoryRateCounter(), timeout=0.01, pause=0.02)
    await counter.hit(MINUTE, "key")
    await anyio.sleep(0.02)
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(counter.hit, MINUTE, f"key-{number}")

    assert shared.asked == 2


async def test_it_is_asked_again_after_a_pause() -> None:
    shared = Shared()
    shared.away = StoreError()
    counter = FallbackRateCounter(shared, MemoryRateCounter(), pause=0)
    await counter.hit(MINUTE, "key")
    shared.away = None
    await counter.hit(MINUTE, "key")

    assert (await counter.hit(MINUTE, "key")).remaining == 3
    assert shared.asked == 3
