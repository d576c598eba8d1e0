"""What the SQL stores promise where several processes use one database: two ``Database`` objects share nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import cycle
from typing import TypeVar

import anyio
import pytest
from sqlalchemy import text

from app.chaos.services import Postgres, run_postgres
from app.core.errors import StoreError
from app.models.delivery import cancelled_by_rider
from app.stores.sql.bookings import SqlBookingStore
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from tests.contract.conftest import transaction
from tests.contract.test_stores import booking, conversation, message, turn

pytestmark = pytest.mark.contract

T = TypeVar("T")


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[Database]]:
    """The same database, opened twice at the same time and empty at the start."""
    one, two = Database(database_url, auto_migrate=True), Database(database_url, auto_migrate=True)
    await asyncio.gather(one.__aenter__(), two.__aenter__())
    yield [one, two]
    for each in (one, two):
        await each.__aexit__(None, None, None)


async def everywhere(processes: list[Database], count: int, act: Callable[[Database, int], Awaitable[T]]) -> list[T]:
    """Run ``act`` ``count`` times in each process, all at once."""
    return await asyncio.gather(*(act(process, number) for number in range(count) for process in processes))


async def test_one_request_made_everywhere_at_once_is_one_booking(processes: list[Database]) -> None:
    ids = iter(range(1000))
    made = await everywhere(
        processes, 20, lambda process, _: SqlBookingStore(process).create(booking(next(ids), key="same"))
    )

    assert len({each.booking_id for each in made}) == 1
    assert list(await SqlBookingStore(processes[0]).list("thread")) == [made[0]]


async def test_of_many_cancellations_everywhere_at_once_one_happens(processes: list[Database]) -> None:
    await SqlBookingStore(processes[0]).create(booking())
    changes = await everywhere(
        processes,
        20,
        lambda process, _: SqlBookingStore(process).revise("booking-1", partial(cancelled_by_rider, now=1)),
    )

    assert sum(change is not None for change in changes) == 1


async def test_a_turn_that_is_begun_and_ended_everywhere_at_once_happened_once(processes: list[Database]) -> None:
    async def play(process: Database, number: int) -> None:
        store = SqlConversationStore(process)
        await store.begin_turn(turn(), message(1), conversation())
        await store.end_turn("turn-1", "completed", 9, [message(2), message(3)])
        await store.close_turns(["turn-1"])

    await everywhere(processes, 20, play)

    store = SqlConversationStore(processes[0])
    assert list(await store.messages("thread")) == [message(1), message(2), message(3)]
    assert list(await store.unclosed_turns()) == []


async def test_the_messages_that_one_step_stores_stay_together_whatever_else_is_stored(
    processes: list[Database],
) -> None:
    store = SqlConversationStore(processes[0])
    for number in range(20):
        await store.begin_turn(turn(number), message(number), conversation())

    async def end(process: Database, number: int) -> None:
        first = 100 + 10 * number
        await SqlConversationStore(process).end_turn(
            f"turn-{number}", "completed", 9, [message(first + each) for each in range(5)]
        )

    await everywhere(processes, 20, end)

    stored = [each.created_at for each in await store.messages("thread")][20:]
    groups = [stored[start : start + 5] for start in range(0, len(stored), 5)]
    assert len(groups) == 20
    assert all(group == list(range(group[0], group[0] + 5)) for group in groups)


async def test_turns_that_begin_and_end_while_their_thread_is_forgotten_leave_a_whole_or_nothing(
    processes: list[Database],
) -> None:
    async def play(process: Database, number: int) -> None:
        store, name = SqlConversationStore(process), f"turn-{number}"
        await store.begin_turn(turn(number), message(number), conversation())
        await store.forget("thread")
        await store.end_turn(name, "completed", 9, [message(100 + number)])
        await store.close_turns([name])

    await everywhere(processes, 20, play)

    store = SqlConversationStore(processes[0])
    if await store.get("thread") is None:
        assert list(await store.messages("thread")) == []
        assert list(await store.unclosed_turns()) == []


async def test_text_that_postgres_cannot_hold_is_stored_all_the_same(processes: list[Database]) -> None:
    store = SqlConversationStore(processes[0])
    said = turn().model_copy(update={"text": "un\0taxi"})
    await store.begin_turn(said, message(content="un\0taxi"), conversation(client_id="a\0na"))

    assert [each.text for each in await store.unclosed_turns()] == ["un\N{REPLACEMENT CHARACTER}taxi"]
    assert list(await store.messages("thread")) == [message(content="un\0taxi")]
    assert await SqlBookingStore(processes[0]).get("\0") is None


class TestPostgres:
    """What only a database across a network has to promise."""

    async def test_writers_of_one_process_do_not_wait_for_each_other(self, postgres_url: str) -> None:
        async with Database(postgres_url, auto_migrate=True) as database:
            store = SqlBookingStore(database)
            async with transaction(database, text("SELECT 1")), transaction(database, text("SELECT 1")):
                await store.create(booking())
            assert await store.get("booking-1") == booking()

    async def test_more_writers_than_connections_take_turns(self, postgres_url: str) -> None:
        async with Database(postgres_url, pool_size=2, auto_migrate=True) as database:
            stores = cycle([SqlBookingStore(database)])
            await asyncio.gather(*(next(stores).create(booking(number)) for number in range(40)))
            assert len(await next(stores).list("thread")) == 40

    async def test_a_lock_that_is_held_for_too_long_is_a_store_error(self, postgres_url: str) -> None:
        async with Database(postgres_url, auto_migrate=True) as patient, Database(postgres_url, timeout=3) as other:
            await SqlBookingStore(patient).create(booking())
            async with transaction(patient, text("SELECT 1 FROM bookings FOR UPDATE")):
                with pytest.raises(StoreError):
                    await SqlBookingStore(other).revise("booking-1", partial(cancelled_by_rider, now=1))
            changed = await SqlBookingStore(other).revise("booking-1", partial(cancelled_by_rider, now=1))
            assert changed is not None

    async def test_a_server_that_was_restarted_is_found_again(self) -> None:
        with run_postgres() as server:
            async with Database(server.url, auto_migrate=True) as database:
                store = SqlBookingStore(database)
                await asyncio.gather(*(store.create(booking(number)) for number in range(8)))
                for end in (server.stop, server.kill):
                    await anyio.to_thread.run_sync(end)
                    with pytest.raises(StoreError):
                        await store.get("booking-1")
                    await anyio.to_thread.run_sync(server.start)
                    assert len(await store.list("thread")) == 8

    async def test_a_server_that_answers_nothing_is_a_store_error_in_time(self) -> None:
        with run_postgres() as server:
            async with Database(server.url, auto_migrate=True) as made:
                await SqlBookingStore(made).create(booking())
            async with Database(server.url, timeout=3) as database:
                store = SqlBookingStore(database)
                await store.get("booking-1")
                await pausing(server, store)
                assert await store.get("booking-1") == booking()

    async def test_a_server_that_refuses_is_a_store_error(self, postgres_url: str) -> None:
        with pytest.raises(StoreError):
            async with Database(postgres_url.rpartition("/")[0] + "/nowhere"):
                pass


async def pausing(server: Postgres, store: SqlBookingStore) -> None:
    """Ask a store whose server stands still."""
    server.pause()
    try:
        with pytest.raises(StoreError):
            await store.get("booking-1")
        with pytest.raises(StoreError):
            await store.create(booking(2))
    finally:
        server.resume()
