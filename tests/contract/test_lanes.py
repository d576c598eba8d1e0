"""What says who runs the turns of a thread, and what it promises between processes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr

from app.core.clock import new_id
from app.stores.base import Command, Lanes, lane_name
from app.stores.memory import MemoryLanes
from app.stores.redis.channels import Channels
from app.stores.redis.client import RedisClient
from app.stores.redis.keys import process_channel, thread_key
from app.stores.redis.lanes import RedisLanes

pytestmark = pytest.mark.contract

T = "thread"
Processes = Callable[[], AbstractAsyncContextManager[RedisLanes]]


@asynccontextmanager
async def redis_lanes(url: str, *, lease_seconds: float = 30) -> AsyncIterator[RedisLanes]:
    async with (
        RedisClient(SecretStr(url)) as redis,
        Channels(redis) as channels,
        RedisLanes(redis, channels, new_id=new_id, lease_seconds=lease_seconds) as lanes,
    ):
        yield lanes


@pytest.fixture(params=["memory", "redis"])
async def lanes(request: pytest.FixtureRequest) -> AsyncIterator[Lanes]:
    if request.param == "memory":
        yield MemoryLanes()
        return
    async with redis_lanes(request.getfixturevalue("redis_url")) as lanes:
        yield lanes


@pytest.fixture
def process(redis_url: str) -> Processes:
    """Makes processes that share a server. Their leases do not run out by themselves."""
    return lambda: redis_lanes(redis_url)


class Orders:
    """What a process was told."""

    def __init__(self, lanes: Lanes, *, kind: str = "") -> None:
        self.came = anyio.Event()
        self.all: list[tuple[str, Command]] = []
        lanes.on_command(self._take, kind=kind)

    def _take(self, thread_id: str, command: Command, on_behalf_of: str) -> None:
        self.all.append((thread_id, command))
        self.on_behalf_of = on_behalf_of
        self.came.set()


class TestEveryLanes:
    async def test_a_lane_has_one_holder_at_a_time(self, lanes: Lanes) -> None:
        holders = most = 0

        async def hold() -> None:
            nonlocal holders, most
            async with lanes.take(T):
                holders += 1
                most = max(most, holders)
                await anyio.lowlevel.checkpoint()
                holders -= 1

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(hold)
        assert most == 1

    async def test_lanes_of_different_threads_are_apart(self, lanes: Lanes) -> None:
        async with lanes.take("one"), lanes.take("two"):
            assert list(await lanes.free(["one", "two", "three"])) == ["three"]
        assert list(await lanes.free(["one", "two"])) == ["one", "two"]

    async def test_a_lane_that_somebody_has_is_not_taken_as_free(self, lanes: Lanes) -> None:
        async with lanes.take(T), lanes.take_free(T) as lease:
            assert lease is None
        async with lanes.take_free(T) as lease:
            assert lease is not None
            assert lanes.holds(T)
            assert list(await lanes.free([T])) == []

    async def test_a_lane_that_was_given_back_was_not_abandoned(self, lanes: Lanes) -> None:
        for _ in range(2):
            async with lanes.take(T) as lease:
                assert not lease.was_abandoned
                assert not lease.is_lost

    async def test_a_lane_is_given_back_when_its_holder_fails(self, lanes: Lanes) -> None:
        with pytest.raises(ZeroDivisionError):
            async with lanes.take(T):
                raise ZeroDivisionError
        assert list(await lanes.free([T])) == [T]

    async def test_who_stops_waiting_leaves_nothing_behind(self, lanes: Lanes) -> None:
        async with lanes.take(T):
            with anyio.move_on_after(0.01) as scope:
                async with lanes.take(T):
                    pytest.fail("somebody has it")
            assert scope.cancelled_caught
        assert list(await lanes.free([T])) == [T]

    async def test_there_is_nobody_to_command_where_nobody_has_the_lane(self, lanes: Lanes) -> None:
        assert not await lanes.command(T, "cancel")
        assert not lanes.holds(T)


async def leave_a_turn_open(lanes: Lanes) -> None:
    async with lanes.take(T) as lease:
        lease.leaves_open = True
    async with lanes.take(T) as lease:
        assert lease.was_abandoned
    async with lanes.take(T) as lease:
        assert not lease.was_abandoned


async def test_who_leaves_a_turn_open_is_said_to_have_abandoned_the_lane(redis_url: str) -> None:
    await leave_a_turn_open(MemoryLanes())
    async with redis_lanes(redis_url, lease_seconds=0.2) as lanes:
        await leave_a_turn_open(lanes)


class TestBetweenProcesses:
    async def test_a_lane_is_one_for_all_processes_and_passes_on_at_once(self, process: Processes) -> None:
        async with process() as a, process() as b, anyio.create_task_group() as tasks:
            taken = anyio.Event()

            async def take() -> None:
                async with b.take(T):
                    taken.set()

            async with a.take(T):
                tasks.start_soon(take)
                async with b.take_free(T) as lease:
                    assert lease is None
                assert not taken.is_set()
            await taken.wait()

    async def test_commands_reach_the_process_that_has_the_lane(self, process: Processes) -> None:
        async with process() as a, process() as b:
            orders, others = Orders(a), Orders(b)
            async with a.take(T):
                assert await b.command(T, "pause")
                await orders.came.wait()
            assert orders.all == [(T, "pause")]
            assert not others.all
            assert not await b.command(T, "resume")

    async def test_what_is_said_of_a_kind_of_lanes_reaches_who_asked_for_that_kind(self, process: Processes) -> None:
        async with process() as a, process() as b:
            orders, others = Orders(a, kind="explanation"), Orders(a)
            async with a.take(lane_name("explanation", "ana")), a.take("explanation:ana"):
                assert await b.command("explanation:ana", "pause")
                await others.came.wait()
                assert await b.command(lane_name("explanation", "ana"), "cancel")
                await orders.came.wait()
                assert await b.command(lane_name("unknown", "ana"), "cancel") is False
            assert orders.all == [(lane_name("explanation", "ana"), "cancel")]
            assert others.all == [("explanation:ana", "pause")]

    async def test_a_command_that_comes_when_its_lease_is_over_does_not_hit_the_next(
        self, process: Processes, redis_url: str
    ) -> None:
        async with process() as a, RedisClient(SecretStr(redis_url)) as redis:
            orders = Orders(a)
            async with a.take(T) as lease:
                old = a.token(T)
            async with a.take(T):
                assert a.token(T) != old
                for message in (f"cancel {old} {T}", f"pause {a.token(T)} {T}"):
                    channel = process_channel(a._process_id)
                    await redis.call(lambda each, to=channel, text=message: each.publish(to, text))
                await orders.came.wait()
                assert orders.all == [(T, "pause")]
            assert not lease.is_lost

    async def test_who_waits_urges_the_holder_once(self, process: Processes) -> None:
        async with process() as a, process() as b, anyio.create_task_group() as tasks:
            orders = Orders(a)

            async def take() -> None:
                async with b.take(T, urge="cancel", on_behalf_of="turn-2"):
                    pass

            async with a.take(T):
                tasks.start_soon(take)
                await orders.came.wait()
            assert orders.all == [(T, "cancel")]
            assert orders.on_behalf_of == "turn-2"

    async def test_the_lane_of_a_process_that_died_is_free_after_a_while_and_was_abandoned(
        self, process: Processes, redis_url: str
    ) -> None:
        async with process() as a, process() as b, RedisClient(SecretStr(redis_url)) as redis:
            async with a.take(T):
                # As time would do it.
                await redis.call(lambda each: each.delete(thread_key(T, "lane")))
                async with b.take(T) as lease:
                    assert lease.was_abandoned
                    a._leases[T].was_taken = True
            async with a.take(T) as lease:
                assert not lease.was_abandoned

    async def test_a_holder_that_stood_still_too_long_is_told_that_its_lane_is_lost(self, redis_url: str) -> None:
        async with (
            redis_lanes(redis_url, lease_seconds=0.3) as a,
            redis_lanes(redis_url) as b,
            RedisClient(SecretStr(redis_url)) as redis,
        ):
            orders = Orders(a)
            async with a.take(T) as lease:
                await redis.call(lambda each: each.delete(thread_key(T, "lane")))
                async with b.take(T):
                    await orders.came.wait()
                    assert lease.is_lost
                    assert orders.all == [(T, "cancel")]
                    assert a.token(T) == "none"

    async def test_a_lane_that_ran_out_while_nobody_took_it_is_kept(self, redis_url: str) -> None:
        async with (
            redis_lanes(redis_url, lease_seconds=0.3) as a,
            RedisClient(SecretStr(redis_url)) as redis,
            a.take(T) as lease,
        ):
            await redis.call(lambda each: each.delete(thread_key(T, "lane")))
            while await a.free([T]):
                await anyio.lowlevel.checkpoint()
            assert not lease.is_lost

    async def test_a_process_that_closes_gives_back_what_it_has(self, process: Processes) -> None:
        async with process() as b:
            async with process() as a, a.take(T):
                pass
            assert list(await b.free([T])) == [T]
