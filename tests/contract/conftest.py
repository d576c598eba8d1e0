"""Every implementation of each store, to hold against one specification."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import get_ident, main_thread
from typing import Any, Protocol, TypeVar

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Executable
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import await_only

from app.stores.base import AccountStore, BookingStore, ConversationStore, EventLog, Outbox
from app.stores.memory import (
    MemoryAccountStore,
    MemoryBookingStore,
    MemoryConversationStore,
    MemoryEventLog,
    MemoryOutbox,
)
from app.stores.redis.channels import Channels
from app.stores.redis.client import RedisClient
from app.stores.redis.event_log import RedisEventLog
from app.stores.sql.accounts import SqlAccountStore
from app.stores.sql.bookings import SqlBookingStore
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.drivers.base import Work
from app.stores.sql.drivers.postgres import PostgresDriver
from app.stores.sql.event_log import SqlEventLog
from app.stores.sql.limits import LogLimits
from app.stores.sql.outbox import SqlOutbox

T = TypeVar("T")

DAY_MS = 24 * 3600 * 1000
NOW = 1_800_000_000_000
"""Where a clock stands at first: an event that is much older is deleted as soon as its log is opened."""


@dataclass
class Clock:
    """A clock that moves only when it is told to."""

    ms: int = NOW

    def __call__(self) -> int:
        return self.ms


@dataclass
class Ids:
    """Ids that count."""

    made: "count[int]" = field(default_factory=count)

    def __call__(self) -> str:
        return f"id-{next(self.made)}"


@dataclass(frozen=True)
class Limits:
    """What a log under test keeps."""

    max_events: int = 10_000
    max_age_ms: float = 7 * DAY_MS


class Logs(Protocol):
    """One implementation of the event log."""

    clock: Clock

    def open(self, limits: Limits = Limits()) -> AbstractAsyncContextManager[EventLog]: ...

    async def tidy(self, log: EventLog) -> None:
        """Have the log drop at once what it need not keep."""
        ...


class MemoryLogs:
    def __init__(self) -> None:
        self.clock = Clock()
        self.ids = Ids()

    @asynccontextmanager
    async def open(self, limits: Limits = Limits()) -> AsyncIterator[EventLog]:
        yield MemoryEventLog(
            new_id=self.ids, now_ms=self.clock, max_events=limits.max_events, max_age_ms=limits.max_age_ms
        )

    async def tidy(self, log: EventLog) -> None:
        await log.position("the thread that comes last and makes old ones go")


class SqlLogs:
    """Logs on one SQL database.

    Args:
        url: The database.
        bounds: Small, so that records often have to come from the database.
    """

    def __init__(self, url: str, bounds: LogLimits | None = None) -> None:
        self.clock = Clock()
        self.ids = Ids()
        self.url = url
        self.bounds = bounds or LogLimits()

    @asynccontextmanager
    async def open(self, limits: Limits = Limits()) -> AsyncIterator[SqlEventLog]:
        async with Database(self.url, auto_migrate=True) as database, self.on(database, limits) as log:
            yield log

    def on(self, database: Database, limits: Limits = Limits()) -> SqlEventLog:
        """Return a log on a database that is open already."""
        return SqlEventLog(
            database,
            new_id=self.ids,
            now_ms=self.clock,
            max_events=limits.max_events,
            max_age_ms=limits.max_age_ms,
            limits=self.bounds,
        )

    async def tidy(self, log: EventLog) -> None:
        assert isinstance(log, SqlEventLog)
        await log.flush()
        await log.prune()


class RedisLogs:
    """Logs on one Redis database of their own.

    Args:
        url: The server.
        kept_for_readers: Small, so that records often have to come from the server.
    """

    def __init__(self, url: str, *, kept_for_readers: int = 256) -> None:
        self.clock = Clock()
        self.ids = Ids()
        self.url = url
        self.kept_for_readers = kept_for_readers

    @asynccontextmanager
    async def open(self, limits: Limits = Limits()) -> AsyncIterator[RedisEventLog]:
        async with (
            RedisClient(SecretStr(self.url)) as redis,
            Channels(redis) as channels,
            RedisEventLog(
                redis,
                channels,
                token=lambda _: "",
                new_id=self.ids,
                now_ms=self.clock,
                max_events=limits.max_events,
                max_age_ms=limits.max_age_ms,
                kept_for_readers=self.kept_for_readers,
            ) as log,
        ):
            yield log

    async def tidy(self, log: EventLog) -> None:
        await log.position("thread")


SMALL = LogLimits(tail_events=3, idle_threads=1, idle_after=0, batch=5, write_every=0, look_every=0)
"""Everything leaves memory as soon as it may."""


def sql_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database of the test's own."""
    if kind.startswith("postgres"):
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite+aiosqlite:///{tmp_path / 'stores.db'}"


@pytest.fixture(params=["memory", "sqlite", "sqlite-small", "postgres", "postgres-small", "redis", "redis-small"])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Logs:
    """Every event log."""
    if request.param == "memory":
        return MemoryLogs()
    if request.param.startswith("redis"):
        url = request.getfixturevalue("redis_url")
        return RedisLogs(url, kept_for_readers=3) if request.param == "redis-small" else RedisLogs(url)
    url = sql_url(request.param, request, tmp_path)
    return SqlLogs(url, SMALL if request.param.endswith("-small") else None)


@pytest.fixture
def sql_logs(database_url: str) -> SqlLogs:
    """The event log on every SQL database, for what only a log with a journal promises."""
    return SqlLogs(database_url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the test's own, of every kind."""
    return sql_url(request.param, request, tmp_path)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of the test's own, of every kind."""
    async with Database(database_url, auto_migrate=True) as opened:
        yield opened


@dataclass(frozen=True)
class Books:
    """A booking store, and the outbox that it fills."""

    bookings: BookingStore
    outbox: Outbox
    other_outbox: Outbox
    """The same one, as another process has it."""


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def books(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Books]:
    """Every booking store with its outbox."""
    if request.param == "memory":
        outbox = MemoryOutbox()
        yield Books(MemoryBookingStore(outbox), outbox, outbox)
        return
    url = sql_url(request.param, request, tmp_path)
    async with Database(url, auto_migrate=True) as here, Database(url) as elsewhere:
        yield Books(SqlBookingStore(here), SqlOutbox(here), SqlOutbox(elsewhere))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def conversations(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ConversationStore]:
    """Every conversation store."""
    if request.param == "memory":
        yield MemoryConversationStore()
        return
    async with Database(sql_url(request.param, request, tmp_path), auto_migrate=True) as opened:
        yield SqlConversationStore(opened)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountStore]:
    """Every account store."""
    if request.param == "memory":
        yield MemoryAccountStore()
        return
    async with Database(sql_url(request.param, request, tmp_path), auto_migrate=True) as opened:
        yield SqlAccountStore(opened)


@pytest.fixture
def bookings(books: Books) -> BookingStore:
    """Every booking store."""
    return books.bookings


class Loop:
    """The event loop of a test, for work that a database runs there or in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def call(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called on the loop."""
        self._loop.call_soon_threadsafe(callback)

    def wait(self, event: anyio.Event) -> None:
        """Wait for an event, in a thread or in a greenlet of SQLAlchemy's."""
        if get_ident() == main_thread().ident:
            await_only(event.wait())
        else:
            asyncio.run_coroutine_threadsafe(event.wait(), self._loop).result()


class OpenTransaction:
    """A transaction that stays open until it is let go.

    Args:
        statement: What it has run by then.
    """

    def __init__(self, statement: Executable) -> None:
        self.begun = anyio.Event()
        self.let_go = anyio.Event()
        self._statement = statement
        self._loop = Loop()

    def work(self, connection: Connection) -> None:
        """Run the statement, and wait."""
        connection.execute(self._statement)
        self._loop.call(self.begun.set)
        self._loop.wait(self.let_go)


@asynccontextmanager
async def transaction(database: Database, statement: Executable) -> AsyncIterator[None]:
    """Have a transaction that has run ``statement`` open within the block; then it is committed."""
    held = OpenTransaction(statement)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(database.write, held.work)
        await held.begun.wait()
        try:
            yield
        finally:
            held.let_go.set()


class Commits:
    """A knob on every commit: ``before`` fails instead of it, ``after`` fails although it happened."""

    def __init__(self) -> None:
        self.fail = ""
        self.failed = anyio.Event()
        self._loop = Loop()

    def run(self, commit: Callable[[], T]) -> T:
        """Commit, or fail."""
        if self.fail != "before":
            done = commit()
        if self.fail:
            self._loop.call(self.failed.set)
            raise OSError("the disk is full")
        return done


@pytest.fixture
async def commits(monkeypatch: pytest.MonkeyPatch) -> Commits:
    """The knob, in place."""
    knob = Commits()
    commit: Any = DefaultDialect.do_commit
    write = PostgresDriver.write

    def commit_or_fail(dialect: DefaultDialect, connection: Any) -> None:
        knob.run(lambda: commit(dialect, connection))

    async def write_or_fail(driver: PostgresDriver, work: Work[T], *, at_once: bool) -> T:
        # A statement at once is its own commit.
        wrapped: Work[T] = (lambda connection: knob.run(lambda: work(connection))) if at_once else work
        return await write(driver, wrapped, at_once=at_once)

    monkeypatch.setattr(DefaultDialect, "do_commit", commit_or_fail)
    monkeypatch.setattr(PostgresDriver, "write", write_or_fail)
    return knob
