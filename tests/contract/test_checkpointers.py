"""Every place for checkpoints is held to LangGraph's own conformance suite, and to what this application needs."""

import asyncio
import contextlib
import inspect
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import BASE_CAPABILITIES
from pydantic import SecretStr

from app.bootstrap import open_checkpointer, open_stores
from app.chaos.services import Postgres, Service, run_postgres, run_redis
from app.core.clock import new_id, now_ms
from app.core.config import Settings
from app.core.errors import LaneLost, Misconfigured, StoreError
from app.stores.checkpoints.fenced import FencedSaver
from app.stores.checkpoints.postgres import libpq_url, migrate, open_postgres
from app.stores.checkpoints.redis import open_redis
from app.stores.checkpoints.sqlite import open_sqlite
from tests.contract.checkpointers import KINDS, Saver, open_kind

pytestmark = pytest.mark.contract

EXTENDED = {"postgres": {"prune"}}
"""What a saver claims beyond the basics."""

Open = Callable[[], AbstractAsyncContextManager[Saver]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A place for checkpoints."""
    return str(request.param)


@pytest.fixture
def open_saver(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the checkpointer as the server does."""
    return lambda: open_kind(kind, request, tmp_path)


def config(thread_id: str, **more: Any) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


async def remember(saver: Saver, thread_id: str, said: str) -> None:
    """Store a checkpoint with one channel."""
    checkpoint = empty_checkpoint() | {"channel_values": {"said": [said]}, "channel_versions": {"said": "1"}}
    await saver.aput(config(thread_id), checkpoint, {"source": "loop", "step": 1}, {"said": "1"})  # type: ignore[arg-type]


async def recall(saver: Saver, thread_id: str) -> str | None:
    found = await saver.aget_tuple(config(thread_id))
    return None if found is None else found.checkpoint["channel_values"]["said"][0]


async def recall_in_time(saver: Saver, thread_id: str) -> str | None:
    """Recall from a server that was away: the first attempts may still find that out."""
    for _ in range(5):
        with contextlib.suppress(StoreError):
            return await recall(saver, thread_id)
    return await recall(saver, thread_id)


async def test_it_passes_langgraphs_own_conformance_suite(kind: str, open_saver: Open) -> None:
    @checkpointer_test(name=kind)
    async def saver() -> AsyncIterator[Saver]:
        async with open_saver() as opened:
            yield opened

    report = await validate(saver)

    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert not failures
    tested = {name for name, result in report.results.items() if result.passed}
    assert tested == {each.value for each in BASE_CAPABILITIES} | EXTENDED.get(kind, set())


@pytest.mark.parametrize("stranger", ["*", "?", "[a-z]", "a", "a}:", "{a", "a%2A", "\\", "ñ:*"])
async def test_forgetting_a_thread_forgets_no_other_whatever_it_is_called(open_saver: Open, stranger: str) -> None:
    others = ["b", "a}:b", "a:b", "{a}", "a%", "*b"]
    async with open_saver() as saver:
        for thread_id in (stranger, *others):
            await remember(saver, thread_id, thread_id)
            await saver.aput_writes(config(thread_id, checkpoint_id="1"), [("said", "x")], "task")
        await saver.adelete_thread(stranger)

        assert await recall(saver, stranger) is None
        assert [await recall(saver, thread_id) for thread_id in others] == others


async def test_what_riders_say_is_kept_as_they_said_it(open_saver: Open) -> None:
    async with open_saver() as saver:
        await remember(saver, "t", "un\0taxi «¡ya!» 🐕")
        assert await recall(saver, "t") == "un\0taxi «¡ya!» 🐕"


async def test_it_is_told_where_in_the_graph_a_task_stands(open_saver: Open) -> None:
    """LangGraph looks for the parameter, and says nothing to a saver that does not name it."""
    async with open_saver() as saver:
        assert "task_path" in inspect.signature(saver.aput_writes).parameters


async def test_threads_are_remembered_at_the_same_time(open_saver: Open) -> None:
    async with open_saver() as saver:
        names = [f"thread-{number}" for number in range(40)]
        await asyncio.gather(*(remember(saver, name, name) for name in names))
        assert await asyncio.gather(*(recall(saver, name) for name in names)) == names


async def test_one_that_cannot_be_stored_takes_no_other_along(open_saver: Open) -> None:
    async with open_saver() as saver:
        names = [f"thread-{number}" for number in range(20)]
        said = [object() if number % 5 == 0 else f"{number}" for number in range(20)]
        outcomes = await asyncio.gather(
            *(remember(saver, name, each) for name, each in zip(names, said, strict=True)),  # type: ignore[arg-type]
            return_exceptions=True,
        )
        kept = [name for name, outcome in zip(names, outcomes, strict=True) if outcome is None]
        assert len(kept) >= 16
        assert [await recall(saver, name) for name in kept] == [
            each for each, outcome in zip(said, outcomes, strict=True) if outcome is None
        ]


async def test_a_file_that_another_process_holds_is_a_failure_of_the_store(tmp_path: Path) -> None:
    async with open_sqlite(f"{tmp_path}/checkpoints.db", timeout=0.2) as saver:
        await remember(saver, "t", "before")
        with contextlib.closing(sqlite3.connect(f"{tmp_path}/checkpoints.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError):
                await remember(saver, "t", "meanwhile")
            other.execute("ROLLBACK")
        await remember(saver, "t", "after")
        assert await recall(saver, "t") == "after"


async def test_who_has_lost_a_thread_cannot_change_what_is_remembered_of_it(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/stores.db")
    async with open_checkpointer(settings) as saver:
        fenced = FencedSaver(saver, lambda thread_id: thread_id == "ours")
        await remember(fenced, "ours", "new")
        await remember(saver, "theirs", "new")
        with pytest.raises(LaneLost):
            await remember(fenced, "theirs", "old")
        with pytest.raises(LaneLost):
            await fenced.aput_writes(config("theirs", checkpoint_id="1"), [("said", "old")], "task")
        assert [await recall(fenced, name) for name in ("ours", "theirs")] == ["new", "new"]


@asynccontextmanager
async def on_postgres(server: Service) -> AsyncIterator[Saver]:
    async with open_postgres(server.url, timeout=1, auto_migrate=True) as saver:
        yield saver


@asynccontextmanager
async def on_redis(server: Service) -> AsyncIterator[Saver]:
    async with open_redis(SecretStr(server.url), timeout=1) as saver:
        yield saver


@pytest.mark.parametrize(
    ("run", "open_on"), [(run_postgres, on_postgres), (run_redis, on_redis)], ids=["postgres", "redis"]
)
class TestOverANetwork:
    async def test_a_server_that_is_away_is_an_error_and_never_an_empty_memory(self, run: Any, open_on: Any) -> None:
        with run() as server:
            async with open_on(server) as saver:
                await remember(saver, "t", "hola")
                await anyio.to_thread.run_sync(server.kill)
                for act in (recall(saver, "t"), remember(saver, "t", "x"), saver.adelete_thread("t"), listed(saver)):
                    with pytest.raises(StoreError):
                        await act
                await anyio.to_thread.run_sync(server.start)
                assert await recall_in_time(saver, "t") == "hola"

    async def test_a_server_that_answers_nothing_is_an_error_in_time(self, run: Any, open_on: Any) -> None:
        with run() as server:
            async with open_on(server) as saver:
                await remember(saver, "t", "hola")
                server.pause()
                try:
                    for act in (recall(saver, "t"), remember(saver, "t", "x")):
                        with pytest.raises(StoreError):
                            await act
                finally:
                    server.resume()
                assert await recall_in_time(saver, "t") in {"hola", "x"}  # what was sent may have been done


async def listed(saver: Saver) -> list[Any]:
    return [each async for each in saver.alist(config("t"))]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+asyncpg://me:a%40b@h:5/d", "postgresql://me:a%40b@h:5/d?application_name=voztaxi"),
        ("postgresql+asyncpg://h/d?ssl=require", "postgresql://h/d?application_name=voztaxi&sslmode=require"),
    ],
)
def test_one_address_serves_both_drivers(url: str, expected: str) -> None:
    assert libpq_url(url) == expected


async def test_postgres_serves_one_thread_while_another_one_waits(postgres_url: str) -> None:
    async with open_postgres(postgres_url, timeout=10, auto_migrate=True) as saver:
        await remember(saver, "t", "hola")
        async with saver._cursor() as busy:
            await busy.execute("SELECT 1")
            assert await recall(saver, "t") == "hola"


async def test_postgres_without_langgraphs_tables_is_refused_with_the_command_that_helps(postgres_url: str) -> None:
    with pytest.raises(Misconfigured, match="voztaxi migrate"):
        async with open_postgres(postgres_url):
            pass


async def test_processes_that_set_postgres_up_at_once_take_turns(postgres: Postgres) -> None:
    with postgres.new_database() as url:
        await asyncio.gather(*(migrate(url) for _ in range(6)))
        async with open_postgres(url) as saver:
            await remember(saver, "t", "hola")


@pytest.mark.parametrize(
    ("package", "extra", "given"),
    [
        ("asyncpg", "postgres", {"database_url": "postgresql+asyncpg://h/d", "checkpointer_type": "memory"}),
        ("psycopg", "postgres", {"database_url": "postgresql+asyncpg://h/d"}),
        ("valkey", "redis", {"database_url": "memory://", "redis_url": "redis://h", "checkpointer_type": "redis"}),
        ("redis", "redis", {"database_url": "memory://", "redis_url": "redis://h"}),
    ],
)
async def test_a_package_that_is_missing_is_named_with_what_installs_it(
    package: str, extra: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith(("app.stores.checkpoints.", "app.stores.redis."))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(Misconfigured, match=rf"pip install 'voztaxi\[{extra}\]'"):
        async with open_stores(Settings(**given), now_ms=now_ms, new_id=new_id):
            pass
