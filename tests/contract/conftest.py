"""Every implementation of each store, to hold against one specification."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest

from app.stores.base import BookingStore, ConversationStore, EventLog, Outbox
from app.stores.memory import MemoryBookingStore, MemoryConversationStore, MemoryEventLog, MemoryOutbox
from app.stores.sql.bookings import SqlBookingStore
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.event_log import SqlEventLog
from app.stores.sql.limits import LogLimits
from app.stores.sql.outbox import SqlOutbox

DAY_MS = 24 * 3600 * 1000


@dataclass
class Clock:
    """A clock that moves only when it is told to."""

    ms: int = 1_800_000_000_000

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
    """Logs on one SQLite file.

    Args:
        path: The file.
        bounds: Small, so that records often have to come from the file.
    """

    def __init__(self, path: Path, bounds: LogLimits | None = None) -> None:
        self.clock = Clock()
        self.ids = Ids()
        self.url = f"sqlite+aiosqlite:///{path}"
        self.bounds = bounds or LogLimits()

    @asynccontextmanager
    async def open(self, limits: Limits = Limits()) -> AsyncIterator[SqlEventLog]:
        async with Database(self.url) as database, self.on(database, limits) as log:
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


SMALL = LogLimits(tail_events=3, idle_threads=1, idle_after=0, batch=5, write_every=0, look_every=0)
"""Everything leaves memory as soon as it may."""


@pytest.fixture(params=["memory", "sqlite", "sqlite-small"])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Logs:
    """Every event log."""
    if request.param == "memory":
        return MemoryLogs()
    return SqlLogs(tmp_path / "log.db", SMALL if request.param == "sqlite-small" else None)


@pytest.fixture
def sql_logs(tmp_path: Path) -> SqlLogs:
    """The event log on SQLite, for what only a log with a file promises."""
    return SqlLogs(tmp_path / "log.db")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An SQLite file of the test's own."""
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'stores.db'}") as opened:
        yield opened


@dataclass(frozen=True)
class Books:
    """A booking store, and the outbox that it fills."""

    bookings: BookingStore
    outbox: Outbox
    other_outbox: Outbox
    """The same one, as another process has it."""


@pytest.fixture(params=["memory", "sqlite"])
async def books(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> AsyncIterator[Books]:
    """Every booking store with its outbox."""
    if request.param == "memory":
        outbox = MemoryOutbox()
        yield Books(MemoryBookingStore(outbox), outbox, outbox)
        return
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'stores.db'}") as other:
        yield Books(SqlBookingStore(database), SqlOutbox(database), SqlOutbox(other))


@pytest.fixture
def bookings(books: Books) -> BookingStore:
    """Every booking store."""
    return books.bookings


@pytest.fixture(params=["memory", "sqlite"])
def conversations(request: pytest.FixtureRequest, database: Database) -> ConversationStore:
    """Every conversation store."""
    return MemoryConversationStore() if request.param == "memory" else SqlConversationStore(database)
