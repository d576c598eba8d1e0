"""What is remembered of a checkpoint is what was stored of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

from app.bootstrap import open_checkpointer
from app.core.config import Settings
from app.core.errors import StoreError
from app.stores.checkpoints.remembering import KnowsNewest, RememberingSaver
from tests.desk import make_stores, open_desk

pytestmark = pytest.mark.contract

BOOKING = (
    "Necesito un taxi en la Calle 72 #43-25, El Prado, ya",
    "en efectivo",
    "sí, confirmo",
    "mejor cancélalo",
    "¿qué zonas cubren?",
)


class CountingSaver(InMemorySaver):
    """A saver in memory that counts what is read and asked, and can fail after it has written."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.questions = 0
        self.fails = False

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        self.reads += 1
        return await super().aget_tuple(config)

    async def is_newest(self, config: RunnableConfig) -> bool:
        self.questions += 1
        place = {key: value for key, value in config["configurable"].items() if key != "checkpoint_id"}
        newest = await super().aget_tuple({"configurable": place})
        return (
            newest is not None
            and newest.checkpoint["id"] == config["configurable"]["checkpoint_id"]
            and not newest.pending_writes
        )

    async def aput(self, *given: Any) -> RunnableConfig:
        saved = await super().aput(*given)
        if self.fails:
            raise StoreError
        return saved

    async def adelete_thread(self, thread_id: str) -> None:
        await super().adelete_thread(thread_id)
        if self.fails:
            raise StoreError


def config(thread_id: str, **more: Any) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


async def put(saver: Any, thread_id: str, number: int, *, parent: str | None = None) -> None:
    """Store a checkpoint whose id and words are ``number``; larger ones are newer."""
    checkpoint = empty_checkpoint() | {
        "id": f"{number:06}",
        "channel_values": {"said": [number]},
        "channel_versions": {"said": str(number)},
    }
    where = config(thread_id) if parent is None else config(thread_id, checkpoint_id=parent)
    await saver.aput(where, checkpoint, {"source": "loop", "step": number}, {"said": str(number)})


async def said(saver: Any, thread_id: str) -> int | None:
    found = await saver.aget_tuple(config(thread_id))
    return None if found is None else found.checkpoint["channel_values"]["said"][0]


async def test_what_was_just_written_is_not_read() -> None:
    kept = CountingSaver()
    saver = RememberingSaver(kept)
    await put(saver, "t", 1)
    await put(saver, "t", 2)

    assert (await said(saver, "t"), kept.reads) == (2, 0)


async def test_what_may_have_failed_is_read_again() -> None:
    kept = CountingSaver()
    saver = RememberingSaver(kept)
    await put(saver, "t", 1)
    kept.fails = True
    with pytest.raises(StoreError):
        await put(saver, "t", 2)

    assert (await said(saver, "t"), kept.reads) == (2, 1)


async def test_a_thread_is_forgotten_also_where_that_is_said_to_have_failed() -> None:
    kept = CountingSaver()
    saver = RememberingSaver(kept)
    await put(saver, "t", 1)
    kept.fails = True
    with pytest.raises(StoreError):
        await saver.adelete_thread("t")

    assert await said(saver, "t") is None


async def test_the_threads_that_were_used_last_are_remembered() -> None:
    kept = CountingSaver()
    saver = RememberingSaver(kept, threads=2)
    for thread_id in ("a", "b"):
        await put(saver, thread_id, 1)
    await said(saver, "a")
    await put(saver, "c", 1)

    assert [await said(saver, each) for each in ("a", "c")] == [1, 1]
    assert kept.reads == 0
    assert await said(saver, "b") == 1
    assert kept.reads == 1


async def test_whoever_changes_what_it_was_given_changes_nothing_here() -> None:
    saver = RememberingSaver(InMemorySaver())
    await put(saver, "t", 1)
    found = await saver.aget_tuple(config("t"))
    assert found is not None
    found.checkpoint["channel_values"]["said"] = ["else"]
    found.checkpoint["channel_versions"].clear()
    found.metadata["step"] = 7
    again = await saver.aget_tuple(config("t"))

    assert again is not None
    assert again.checkpoint["channel_values"] == {"said": [1]}
    assert again.checkpoint["channel_versions"] == {"said": "1"}
    assert again.metadata["step"] == 1


THREADS = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("put"), THREADS, st.integers(0, 9)),
    st.tuples(st.just("branch"), THREADS, st.integers(0, 9)),
    st.tuples(st.just("writes"), THREADS, st.just(0)),
    st.tuples(st.just("delete"), THREADS, st.just(0)),
)


async def test_what_others_wrote_meanwhile_is_read() -> None:
    kept = CountingSaver()
    here, there = (RememberingSaver(kept, is_newest=kept.is_newest) for _ in range(2))
    await put(here, "t", 1)
    assert (await said(here, "t"), kept.questions, kept.reads) == (1, 1, 0)
    await put(there, "t", 2)

    assert (await said(here, "t"), kept.questions, kept.reads) == (2, 2, 1)
    await there.adelete_thread("t")
    assert await said(there, "t") is None
    assert await said(here, "t") is None


async def test_postgres_says_what_is_still_the_newest(postgres_url: str) -> None:
    settings: Any = {"database_url": postgres_url, "checkpointer_type": "postgres", "auto_migrate": True}
    async with open_checkpointer(Settings(**settings)) as kept:
        assert isinstance(kept, KnowsNewest)
        first, second = config("t", checkpoint_id="000001"), config("t", checkpoint_id="000002")
        assert not await kept.is_newest(first)
        await put(kept, "t", 1)
        await put(kept, "another", 5)
        assert await kept.is_newest(first)
        await put(kept, "t", 2)
        assert (await kept.is_newest(first), await kept.is_newest(second)) == (False, True)
        await kept.aput_writes(second, [("said", 3)], "task")
        assert not await kept.is_newest(second)


@given(st.lists(st.tuples(st.booleans(), STEPS), max_size=20))
def test_of_two_that_share_a_store_each_answers_what_the_store_answers(
    steps: Sequence[tuple[bool, tuple[str, str, int]]],
) -> None:
    async def run() -> None:
        kept = CountingSaver()
        savers = [RememberingSaver(kept, threads=2, is_newest=kept.is_newest) for _ in range(2)]
        for place, (is_second, step) in enumerate(steps):
            await take(step, place, savers[is_second], kept)
            for saver in savers:
                for each in ("a", "b", "c"):
                    assert await saver.aget_tuple(config(each)) == await kept.aget_tuple(config(each))

    asyncio.run(run())


@given(st.lists(STEPS, max_size=20))
def test_it_answers_what_the_store_answers(steps: Sequence[tuple[str, str, int]]) -> None:
    async def run() -> None:
        kept = InMemorySaver()
        saver = RememberingSaver(kept, threads=2)
        for place, step in enumerate(steps):
            await take(step, place, saver, kept)
            for each in ("a", "b", "c"):
                assert await saver.aget_tuple(config(each)) == await kept.aget_tuple(config(each))

    asyncio.run(run())


async def take(step: tuple[str, str, int], place: int, saver: RememberingSaver, kept: InMemorySaver) -> None:
    """Do to a saver what a step says."""
    what, thread_id, number = step
    newest = await kept.aget_tuple(config(thread_id))
    newest_id = None if newest is None else newest.checkpoint["id"]
    if what == "put":  # the newest, as a turn writes it
        await put(saver, thread_id, 10 * (place + 1) + number, parent=newest_id)
    elif what == "branch" and newest_id is not None:  # older than it, as nobody should
        await put(saver, thread_id, number, parent=newest_id)
    elif what == "writes" and newest_id is not None:
        await saver.aput_writes(config(thread_id, checkpoint_id=newest_id), [("said", number)], f"task {place}")
    elif what == "delete":
        await saver.adelete_thread(thread_id)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
async def test_a_conversation_leaves_the_same_in_memory_and_in_the_store(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings: Any = {"database_url": f"sqlite+aiosqlite:///{tmp_path}/stores.db", "checkpointer_type": kind}
    if kind == "postgres":
        settings |= {"database_url": request.getfixturevalue("postgres_url"), "auto_migrate": True}
    async with open_checkpointer(Settings(**settings)) as kept:
        saver = RememberingSaver(kept, is_newest=kept.is_newest if isinstance(kept, KnowsNewest) else None)
        async with open_desk(stores=make_stores(checkpointer=saver)) as desk:
            for words in BOOKING:
                await desk.say(words)
                remembered = await saver.aget_tuple(config("t"))
                stored = await kept.aget_tuple(config("t"))
                assert remembered is not None
                assert remembered == stored
