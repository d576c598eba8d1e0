"""What the event log on Redis promises between processes, and when the server fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
import redis
from pydantic import SecretStr

from app.chaos.services import Redis, run_redis
from app.core.clock import new_id, now_ms
from app.core.errors import LaneLost, LogTruncated, StoreError
from app.models.events import BookingUpdate, Position, Record, TurnEnd
from app.stores.base import LogReader
from app.stores.redis.channels import Channels
from app.stores.redis.client import Call, RedisClient
from app.stores.redis.event_log import RedisEventLog
from app.stores.redis.keys import thread_key
from app.stores.redis.lanes import RedisLanes
from app.stores.redis.log_writer import LogWriter, Retention
from tests.contract.test_event_log import T, chunk, chunks, end, numbers, read_after, read_until, texts

pytestmark = pytest.mark.contract


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """A server to stop."""
    with run_redis() as server:
        yield server


@dataclass
class Process:
    """A process that shares a server."""

    log: RedisEventLog
    lanes: RedisLanes


@asynccontextmanager
async def open_process(url: str, *, timeout: float = 5, is_fenced: bool = False) -> AsyncIterator[Process]:
    async with (
        RedisClient(SecretStr(url), timeout=timeout) as redis,
        Channels(redis) as channels,
        RedisLanes(redis, channels, new_id=new_id, lease_seconds=30) as lanes,
        RedisEventLog(
            redis,
            channels,
            token=lanes.token if is_fenced else lambda _: "",
            new_id=new_id,
            now_ms=now_ms,
            max_events=10_000,
            max_age_ms=3_600_000,
        ) as log,
    ):
        yield Process(log, lanes)


def calls(server: Redis, command: str) -> int:
    """Return how often a command was sent to a server."""
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def follow(reader: LogReader, until: str) -> list[Record]:
    """Read up to and including the event with a text."""
    seen: list[Record] = []
    while until not in texts(seen):
        seen.extend(await reader.read())
    return seen


async def append_end(log: RedisEventLog, text: str) -> None:
    """Append the end of a turn until it is known to be stored; it may have been before that."""
    while True:
        with suppress(StoreError):
            return await log.append(T, [end(text, turn_id=text)], durable=True)


def update(revision: int) -> BookingUpdate:
    return BookingUpdate(ts=1, thread_id=T, booking_id="b", status="assigned", revision=revision)


async def hear_all(elsewhere: RedisEventLog, writers: Sequence[RedisEventLog], count: int) -> list[Record]:
    """Have every writer append ``count`` events while somebody reads."""

    async def write(number: int, log: RedisEventLog) -> None:
        for index in range(count):
            text = f"{number}.{index}"
            if index % 7:
                await log.append(T, chunks(text))
            else:
                await append_end(log, text)

    async with elsewhere.open(T, after_seq=0) as reader:
        await asyncio.gather(*(write(number, log) for number, log in enumerate(writers)))
        return await read_until(reader, count * len(writers))


class TestBetweenProcesses:
    async def test_events_of_all_processes_are_numbered_together_and_heard_by_all(self, redis_url: str) -> None:
        async with open_process(redis_url) as a, open_process(redis_url) as b, open_process(redis_url) as c:
            seen = await hear_all(c.log, [a.log, b.log], 50)
            assert numbers(seen) == list(range(1, 101))
            for number in range(2):
                mine = [text for text in texts(seen) if text.startswith(f"{number}.")]
                assert mine == [f"{number}.{index}" for index in range(50)]
            assert await read_after(a.log, 0) == seen

    async def test_a_position_means_the_same_to_every_process(self, redis_url: str) -> None:
        async with open_process(redis_url) as a, open_process(redis_url) as b:
            await a.log.append(T, chunks(1, 2, 3), durable=True)
            position = await a.log.position(T)
            assert await b.log.position(T) == position
            assert texts(await read_after(b.log, 1, epoch=position.epoch)) == ["2", "3"]

    async def test_forgetting_is_heard_in_every_process(self, redis_url: str) -> None:
        async with open_process(redis_url) as a, open_process(redis_url) as b:
            await a.log.append(T, chunks(1), durable=True)
            async with b.log.open(T) as reader:
                await a.log.forget(T)
                with pytest.raises(LogTruncated):
                    await reader.read()
            assert (await b.log.position(T)).seq == 0

    async def test_a_thread_is_read_wherever_its_reader_is(self, redis_url: str) -> None:
        async with open_process(redis_url) as a, open_process(redis_url) as b:
            assert not await a.log.is_read(T)
            async with b.log.open(T):
                assert await a.log.is_read(T)
            while await a.log.is_read(T):  # the server hears of it a moment later
                await anyio.lowlevel.checkpoint()

    async def test_a_turn_has_one_end_whoever_logs_it(self, redis_url: str) -> None:
        async with open_process(redis_url) as a, open_process(redis_url) as b:
            await a.log.append(T, [end("mine")], durable=True)
            await b.log.append(T, [end("yours")], durable=True)
            await b.log.append(T, [end("another", turn_id="another")], durable=True)
            assert texts(await read_after(a.log, 0)) == ["mine", "another"]


class TestFencing:
    async def test_only_who_has_the_lane_may_log_a_turn(self, redis_url: str) -> None:
        async with open_process(redis_url, is_fenced=True) as a, open_process(redis_url, is_fenced=True) as b:
            async with a.lanes.take(T):
                await a.log.append(T, chunks("mine"), durable=True)
                with pytest.raises(LaneLost):
                    await b.log.append(T, [end("not yours")], durable=True)
                await b.log.append(T, chunks("nor this"))
                await b.log.append(T, [BookingUpdate(ts=1, thread_id=T, booking_id="b", status="assigned")])
            seen = await read_after(b.log, 0)
            assert [record.event.type for record in seen] == ["agent_chunk", "booking_update"]

    async def test_an_old_lease_of_the_same_process_proves_nothing(self, redis_url: str) -> None:
        async with open_process(redis_url, is_fenced=True) as a:
            async with a.lanes.take(T):
                await a.log.append(T, chunks("mine"), durable=True)
            with pytest.raises(LaneLost):
                await a.log.append(T, [end("too late")], durable=True)

    async def test_a_lane_that_ran_out_still_takes_events_until_somebody_else_takes_it(self, redis_url: str) -> None:
        async with (
            open_process(redis_url, is_fenced=True) as a,
            open_process(redis_url, is_fenced=True) as b,
            RedisClient(SecretStr(redis_url)) as redis,
        ):
            async with a.lanes.take(T):
                # As time would do it, while Redis stands still.
                await redis.call(lambda each: each.delete(thread_key(T, "lane")))
                await a.log.append(T, chunks("still mine"), durable=True)
                async with b.lanes.take(T):
                    with pytest.raises(LaneLost):
                        await a.log.append(T, chunks("no longer"), durable=True)
            assert texts(await read_after(b.log, 0)) == ["still mine"]


class TestWhenTheServerFails:
    async def test_nothing_is_lost_or_doubled_while_connections_are_cut(self, redis_url: str) -> None:
        async with (
            open_process(redis_url) as a,
            open_process(redis_url) as b,
            open_process(redis_url) as c,
            RedisClient(SecretStr(redis_url)) as cut,
        ):
            is_done = anyio.Event()

            async def cut_connections() -> None:
                while not is_done.is_set():
                    for kind in ("normal", "pubsub"):
                        await cut.call(lambda redis, kind=kind: redis.client_kill_filter(_type=kind, skipme=True))
                    # Less often than a command is tried again: this is about what is lost, not about giving up.
                    await anyio.sleep(0.15)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cut_connections)
                try:
                    seen = await hear_all(c.log, [a.log, b.log], 1000)
                finally:
                    is_done.set()
            assert numbers(seen) == list(range(1, 2001))
            for number in range(2):
                mine = [text for text in texts(seen) if text.startswith(f"{number}.")]
                assert mine == [f"{number}.{index}" for index in range(1000)]

    async def test_what_is_appended_while_the_server_stands_still_comes_later(self, own_redis: Redis) -> None:
        async with open_process(own_redis.url, timeout=0.2) as a, a.log.open(T) as reader:
            await a.log.append(T, chunks("before"), durable=True)
            own_redis.pause()
            try:
                await a.log.append(T, chunks("meanwhile", "and"))
                with pytest.raises(StoreError):
                    await a.log.position("another thread")
            finally:
                own_redis.resume()
            await a.log.append(T, [end("after")])
            assert texts(await follow(reader, "after"))[:3] == ["before", "meanwhile", "and"]

    async def test_of_an_end_that_was_given_up_and_its_substitute_there_is_one(self, own_redis: Redis) -> None:
        async with open_process(own_redis.url, timeout=0.2) as a, a.log.open(T) as reader:
            await a.log.append(T, chunks("before"), durable=True)
            own_redis.pause()
            try:
                with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                    await a.log.append(T, [end("completed")], durable=True)
                await a.log.append(T, [end("failed")])
            finally:
                own_redis.resume()
            await a.log.flush()
            await a.log.append(T, [chunk("next turn")], durable=True)
            seen = texts(await follow(reader, "next turn"))
            assert seen in (["before", "completed", "next turn"], ["before", "failed", "next turn"])

    async def test_what_comes_between_an_end_that_was_given_up_and_its_substitute_changes_nothing(
        self, own_redis: Redis
    ) -> None:
        async with open_process(own_redis.url, timeout=0.2) as a, a.log.open(T) as reader:
            for number in range(5):
                turn = f"turn {number}"
                await a.log.append(T, chunks("before"), durable=True)
                own_redis.pause()
                try:
                    with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                        await a.log.append(T, [end("completed", turn_id=turn)], durable=True)
                    if number % 2:
                        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                            await a.log.append(T, [update(number)], durable=True)
                finally:
                    own_redis.resume()
                await a.log.append(T, [update(number)], durable=True)
                await a.log.append(T, [end("failed", turn_id=turn)])
            await a.log.append(T, [chunk("last")], durable=True)
            seen = [record.event for record in await follow(reader, "last")]
            told = [event.revision for event in seen if isinstance(event, BookingUpdate)]
            ended = [event.turn_id for event in seen if isinstance(event, TurnEnd)]
            assert (told, ended) == (list(range(5)), [f"turn {number}" for number in range(5)])

    async def test_an_update_that_was_given_up_hides_no_other(self, own_redis: Redis) -> None:
        async with open_process(own_redis.url, timeout=0.2) as a, a.log.open(T) as reader:
            await a.log.append(T, chunks("before"), durable=True)
            own_redis.pause()
            try:
                with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                    await a.log.append(T, [update(1)], durable=True)
            finally:
                own_redis.resume()
            await a.log.append(T, [update(2)], durable=True)
            await a.log.append(T, [update(1)], durable=True)
            await a.log.append(T, [chunk("last")], durable=True)
            seen = [record.event for record in await follow(reader, "last")]
            assert sorted(event.revision or 0 for event in seen if isinstance(event, BookingUpdate)) == [1, 2]

    async def test_a_restarted_server_begins_a_new_epoch_and_what_it_kept_stays_good(self) -> None:
        with run_redis("--appendonly", "yes", "--appendfsync", "always") as server:
            async with open_process(server.url) as a, open_process(server.url) as b:
                await a.log.append(T, chunks(1, 2), durable=True)
                before = await a.log.position(T)
                await anyio.to_thread.run_sync(server.kill)
                await anyio.to_thread.run_sync(server.start)
                await b.log.append(T, chunks(3), durable=True)
                after = await a.log.position(T)
                assert (after.seq, after.epoch != before.epoch) == (3, True)
                assert texts(await read_after(a.log, 1, epoch=before.epoch)) == ["2", "3"]
                assert texts(await read_after(b.log, 1, epoch=after.epoch)) == ["2", "3"]

    async def test_a_server_that_lost_everything_recovers_no_position(self) -> None:
        with run_redis("--save", "", "--appendonly", "no") as server:
            async with open_process(server.url) as a:
                await a.log.append(T, chunks(1, 2), durable=True)
                before = await a.log.position(T)
                await anyio.to_thread.run_sync(server.kill)
                await anyio.to_thread.run_sync(server.start)
                await a.log.append(T, chunks("new", "new", "new"), durable=True)
                for after_seq in (0, 1, 2):
                    async with a.log.open(T, after_seq=after_seq, epoch=before.epoch) as reader:
                        assert not reader.recovered


class TestWhatIsAskedOfTheServer:
    async def test_a_crowd_is_subscribed_in_a_command_or_two(self, own_redis: Redis) -> None:
        async with open_process(own_redis.url) as a, anyio.create_task_group() as tasks:
            before = calls(own_redis, "subscribe")
            threads = [f"thread {number}" for number in range(300)]

            async def listen(thread_id: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
                async with a.log.open(thread_id) as reader:
                    task_status.started()
                    assert texts(await follow(reader, thread_id)) == [thread_id]

            await asyncio.gather(*(tasks.start(listen, each) for each in threads))
            asked = calls(own_redis, "subscribe") - before
            for each in threads:
                await a.log.append(each, [chunk(each)])
        assert asked <= 2

    async def test_where_a_thread_is_after_an_append_is_not_asked_for(self, own_redis: Redis) -> None:
        async with open_process(own_redis.url) as a:
            await a.log.append(T, [chunk("first")], durable=True)
            await a.log.position(T)  # the server learns a script when it is first called
            before = calls(own_redis, "evalsha")
            await a.log.append(T, [chunk("second")])
            after_append = await a.log.position(T)
            appended = calls(own_redis, "evalsha") - before
            assert appended == 1
            assert await a.log.position(T) == after_append
            assert calls(own_redis, "evalsha") - before == 2

    async def test_what_was_under_way_before_does_not_say_where_a_thread_is(self) -> None:
        server = Answering()
        writer = server.writer()
        running = asyncio.create_task(writer.run())
        try:
            writer.add(T, ["{}"], fenced=False, once="")
            await server.asked.wait()
            early = asyncio.create_task(writer.settle(T))
            await anyio.lowlevel.checkpoint()
            server.answer.set()
            assert await early is None

            writer.add(T, ["{}"], fenced=False, once="")
            assert await writer.settle(T) == Position(7, "epoch")
            server.says = ["known"]
            writer.add(T, ["{}"], fenced=False, once="")
            assert await writer.settle(T) is None
        finally:
            running.cancel()
            await asyncio.wait([running])


class Answering(RedisClient):
    """A server that answers when it is let, always the same."""

    def __init__(self) -> None:
        super().__init__(SecretStr("redis://localhost:1"))
        self.says: list[object] = ["taken", "epoch", 7]
        self.asked, self.answer = anyio.Event(), anyio.Event()

    async def run_all(self, calls: Sequence[Call]) -> list[Any]:
        self.asked.set()
        await self.answer.wait()
        return [self.says for _ in calls]

    def writer(self) -> LogWriter:
        """Return a writer to this server."""
        return LogWriter(
            self, token=lambda _: "", now_ms=now_ms, new_id=new_id, retention=Retention(10, 1000.0), backlog=100
        )
