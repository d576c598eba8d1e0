"""What the end of a turn promises, wherever its log and its conversation are kept."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from app.core.errors import StoreError
from app.models.conversation import TurnEnding
from app.models.events import AgentChunk, TurnEnd, TurnStatus
from app.stores.base import ConversationStore, Endings, EventLog
from app.stores.endings import StepwiseEndings
from app.stores.memory import MemoryConversationStore
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.endings import SqlEndings
from tests.contract.conftest import NOW, Commits, Limits, MemoryLogs, RedisLogs, SqlLogs, sql_url
from tests.contract.test_stores import conversation, message, turn

pytestmark = pytest.mark.contract

T = "thread"


@dataclass(frozen=True)
class Ends:
    """Endings, and the stores that they are over."""

    endings: Endings
    conversations: ConversationStore
    log: EventLog

    async def begin(self, number: int = 1, *, thread_id: str = T) -> None:
        await self.conversations.begin_turn(
            turn(number, thread_id=thread_id), message(number, thread_id=thread_id), conversation(thread_id=thread_id)
        )

    async def told(self, thread_id: str = T) -> list[str]:
        """Return the texts that the log has."""
        async with self.log.open(thread_id, after_seq=0) as reader:
            texts: list[str] = []
            while len(texts) < reader.position.seq:
                for record in await reader.read():
                    assert isinstance(record.event, AgentChunk | TurnEnd)
                    texts.append(record.event.text)
            return texts

    async def statuses(self) -> dict[str, str]:
        """Return how the turns that are not closed ended."""
        return {each.turn_id: each.status for each in await self.conversations.unclosed_turns()}

    async def all_closed(self) -> None:
        """Wait for the moment that closing may take."""
        while await self.statuses():  # noqa: ASYNC110 - it happens in the store
            await anyio.sleep(0.01)


@pytest.fixture(params=["memory", "sqlite", "postgres", "sqlite and redis"])
async def ends(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ends]:
    """Every implementation."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            conversations = MemoryConversationStore()
            log = await stack.enter_async_context(MemoryLogs().open())
            stepwise = await stack.enter_async_context(StepwiseEndings(conversations, log, step_seconds=5))
            yield Ends(stepwise, conversations, log)
            return
        kind = request.param.partition(" ")[0]
        url = sql_url(kind, request, tmp_path)
        database = await stack.enter_async_context(Database(url, auto_migrate=True))
        stored = SqlConversationStore(database)
        if kind != request.param:
            log = await stack.enter_async_context(RedisLogs(request.getfixturevalue("redis_url")).open())
            stepwise = await stack.enter_async_context(StepwiseEndings(stored, log, step_seconds=5))
            yield Ends(stepwise, stored, log)
            return
        own_log = await stack.enter_async_context(SqlLogs(url).on(database, Limits()))
        yield Ends(SqlEndings(own_log, seconds=5), stored, own_log)


def ending(number: int = 1, *, thread_id: str = T, status: TurnStatus = "completed") -> TurnEnding:
    return TurnEnding(thread_id, f"turn-{number}", status, 9, [message(100 + number, thread_id=thread_id)])


def end(text: str = "the end", *, number: int = 1, thread_id: str = T) -> TurnEnd:
    return TurnEnd(ts=NOW, thread_id=thread_id, turn_id=f"turn-{number}", status="completed", text=text)


async def test_a_turn_is_saved_told_and_closed(ends: Ends) -> None:
    await ends.begin()
    await ends.log.append(T, [AgentChunk(ts=NOW, thread_id=T, turn_id="turn-1", text="before", agent="NAVEGANTE")])
    await ends.endings.end(ending(), [end()])
    assert await ends.told() == ["before", "the end"]
    assert list(await ends.conversations.messages(T)) == [message(1), message(101)]
    known = await ends.conversations.turn("turn-1")
    assert known is not None
    assert (known.status, known.ended_at) == ("completed", 9)
    await ends.all_closed()


async def test_who_reads_the_end_finds_the_turn_saved(ends: Ends) -> None:
    await ends.begin()
    saved: list[str] = []

    async def look() -> None:
        async with ends.log.open(T) as reader:
            listening.set()
            await reader.read()
            known = await ends.conversations.turn("turn-1")
            assert known is not None
            saved.append(known.status)

    listening = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        await listening.wait()
        await ends.endings.end(ending(), [end()])
    assert saved == ["completed"]


async def test_a_turn_that_was_told_before_is_saved_and_closed_without_a_second_end(ends: Ends) -> None:
    await ends.begin()
    await ends.log.append(T, [end()], durable=True)
    await ends.endings.end(ending(), [])
    assert await ends.told() == ["the end"]
    assert list(await ends.conversations.messages(T)) == [message(1), message(101)]
    await ends.all_closed()


async def test_a_turn_that_was_saved_before_is_told_and_closed_as_it_was_saved(ends: Ends) -> None:
    await ends.begin()
    await ends.conversations.end_turn("turn-1", "interrupted", 5, [message(50)])
    await ends.endings.end(ending(status="failed"), [end()])
    assert await ends.told() == ["the end"]
    assert list(await ends.conversations.messages(T)) == [message(1), message(50)]
    known = await ends.conversations.turn("turn-1")
    assert known is not None
    assert known.status == "interrupted"
    await ends.all_closed()


async def test_ending_again_without_the_events_changes_nothing(ends: Ends) -> None:
    await ends.begin()
    await ends.endings.end(ending(), [end()])
    await ends.endings.end(ending(status="failed"), [])
    assert await ends.told() == ["the end"]
    assert list(await ends.conversations.messages(T)) == [message(1), message(101)]
    await ends.all_closed()


async def test_many_turns_end_at_once_each_in_its_own_thread(ends: Ends) -> None:
    threads = [f"thread-{number}" for number in range(20)]
    for number, thread in enumerate(threads):
        await ends.begin(number, thread_id=thread)
    async with anyio.create_task_group() as tasks:
        for number, thread in enumerate(threads):
            tasks.start_soon(
                ends.endings.end, ending(number, thread_id=thread), [end(thread, number=number, thread_id=thread)]
            )
    assert [await ends.told(thread) for thread in threads] == [[thread] for thread in threads]
    await ends.all_closed()


class Closings(MemoryConversationStore):
    """Conversations that note how turns were closed, and fail to where they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[list[str]] = []
        self.fails = False

    async def close_turns(self, turn_ids: Sequence[str]) -> None:
        self.closed.append(list(turn_ids))
        if self.fails:
            raise StoreError
        await super().close_turns(turn_ids)


async def test_turns_that_end_together_are_closed_together_and_the_last_ones_on_leaving() -> None:
    conversations = Closings()
    async with MemoryLogs().open() as log:
        async with StepwiseEndings(conversations, log, step_seconds=5) as endings:
            ends = Ends(endings, conversations, log)
            for number in range(3):
                await ends.begin(number, thread_id=f"thread-{number}")
                await endings.end(ending(number, thread_id=f"thread-{number}"), [])
            assert conversations.closed == []
            await ends.all_closed()
            await ends.begin(3)
            await endings.end(ending(3), [])
        assert conversations.closed == [["turn-0", "turn-1", "turn-2"], ["turn-3"]]
        assert await ends.statuses() == {}


async def test_turns_that_cannot_be_closed_hold_up_no_others() -> None:
    conversations = Closings()
    async with MemoryLogs().open() as log, StepwiseEndings(conversations, log, step_seconds=5) as endings:
        ends = Ends(endings, conversations, log)
        await ends.begin(1)
        conversations.fails = True
        await endings.end(ending(1), [])
        while not conversations.closed:  # noqa: ASYNC110 - it happens in the store
            await anyio.sleep(0.01)
        conversations.fails = False
        await ends.begin(2)
        await endings.end(ending(2), [])
        while len(conversations.closed) < 2:  # noqa: ASYNC110 - it happens in the store
            await anyio.sleep(0.01)
        assert conversations.closed == [["turn-1"], ["turn-2"]]
        assert await ends.statuses() == {"turn-1": "completed"}  # found by whoever looks for turns of dead processes


@pytest.mark.parametrize("failure", ["before", "after"])
async def test_on_one_database_nothing_is_told_or_saved_where_the_commit_fails(
    database: Database, database_url: str, commits: Commits, failure: str
) -> None:
    async with SqlLogs(database_url).on(database) as log:
        stored = SqlConversationStore(database)
        ends = Ends(SqlEndings(log, seconds=5), stored, log)
        await ends.begin()
        async with log.open(T) as reader:
            commits.fail = failure
            with pytest.raises(StoreError):
                await ends.endings.end(ending(), [end("not told")])
            commits.fail = ""
            await ends.endings.end(ending(), [end()])
            assert [record.event.text for record in await reader.read()] == ["the end"]  # type: ignore[attr-defined]
        assert list(await stored.messages(T)) == [message(1), message(101)]
        await ends.all_closed()
    async with SqlLogs(database_url).on(database) as log:
        assert await Ends(SqlEndings(log, seconds=5), stored, log).told() == ["the end"]


async def test_on_one_database_a_turn_that_cannot_be_saved_takes_no_other_with_it(
    database: Database, database_url: str
) -> None:
    async with SqlLogs(database_url).on(database) as log:
        ends = Ends(SqlEndings(log, seconds=5), SqlConversationStore(database), log)
        threads = [f"thread-{number}" for number in range(6)]
        for number, thread in enumerate(threads):
            await ends.begin(number, thread_id=thread)
        failed: list[int] = []

        async def finish(number: int, thread: str) -> None:
            at = 2**63 if number % 2 else 9  # no database has such a number
            known = ending(number, thread_id=thread)
            try:
                await ends.endings.end(
                    TurnEnding(thread, known.turn_id, "completed", at, known.messages),
                    [end(thread, number=number, thread_id=thread)],
                )
            except StoreError:
                failed.append(number)

        async with anyio.create_task_group() as tasks:
            for number, thread in enumerate(threads):
                tasks.start_soon(finish, number, thread)
        assert sorted(failed) == [1, 3, 5]
        assert [await ends.told(thread) for thread in threads] == [
            [] if number % 2 else [thread] for number, thread in enumerate(threads)
        ]
        assert await ends.statuses() == {f"turn-{number}": "running" for number in failed}
