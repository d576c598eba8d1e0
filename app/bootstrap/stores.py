"""The stores that the settings name: databases, Redis, checkpoints, or nothing but memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from sqlalchemy import make_url

from app.core.clock import NewId, NowMs
from app.core.config import Settings
from app.core.errors import Misconfigured
from app.services.health import Ping
from app.stores.base import (
    AccountStore,
    AnswerStore,
    BookingStore,
    ConversationStore,
    Endings,
    EventLog,
    ExplanationSessionStore,
    Lanes,
    Outbox,
    RateCounter,
    RecordingStore,
)
from app.stores.checkpoints.fenced import FencedSaver
from app.stores.checkpoints.remembering import KnowsNewest, RememberingSaver
from app.stores.memory import (
    MemoryAccountStore,
    MemoryAnswerStore,
    MemoryBookingStore,
    MemoryConversationStore,
    MemoryEventLog,
    MemoryExplanationSessions,
    MemoryLanes,
    MemoryOutbox,
)
from app.stores.rates import FallbackRateCounter, MemoryRateCounter
from app.stores.sql.accounts import SqlAccountStore
from app.stores.sql.answers import SqlAnswerStore
from app.stores.sql.bookings import SqlBookingStore
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.endings import SqlEndings
from app.stores.sql.event_log import SqlEventLog
from app.stores.sql.outbox import SqlOutbox

if TYPE_CHECKING:  # an extra: it may not be there
    pass


@dataclass(frozen=True, slots=True)
class Stores:
    """Where things are kept."""

    accounts: AccountStore
    bookings: BookingStore
    outbox: Outbox
    conversations: ConversationStore
    event_log: EventLog
    lanes: Lanes
    checkpointer: BaseCheckpointSaver[Any]
    pings: dict[str, Ping]
    endings: Endings | None = None
    """None where a turn ends one step after the other."""
    rates: RateCounter = field(default_factory=MemoryRateCounter)
    answers: AnswerStore = field(default_factory=MemoryAnswerStore)
    explanation_sessions: ExplanationSessionStore = field(default_factory=MemoryExplanationSessions)
    recordings: RecordingStore | None = None
    """None where nothing is recorded."""


@asynccontextmanager
async def open_stores(settings: Settings, *, now_ms: NowMs, new_id: NewId) -> AsyncIterator[Stores]:
    """Open the stores that the settings name."""
    async with AsyncExitStack() as stack:
        checkpointer = await stack.enter_async_context(open_checkpointer(settings))
        database = None
        if not settings.in_memory:
            database = await stack.enter_async_context(open_database(settings))
        pings: dict[str, Ping] = {}
        memory_outbox = MemoryOutbox()
        outbox: Outbox = memory_outbox
        accounts: AccountStore = MemoryAccountStore()
        bookings: BookingStore = MemoryBookingStore(memory_outbox)
        conversations: ConversationStore = MemoryConversationStore()
        answers: AnswerStore = MemoryAnswerStore()
        if database is None:
            pings["memory"] = conversations.ping
        else:
            accounts = SqlAccountStore(database)
            bookings, outbox = SqlBookingStore(database), SqlOutbox(database)
            conversations = SqlConversationStore(database)
            answers = SqlAnswerStore(database)
            pings["database"] = database.ping
        shared = await _open_shared(settings, stack, database, pings, now_ms=now_ms, new_id=new_id)
        if settings.redis_url is None:
            checkpointer = RememberingSaver(checkpointer)
        else:
            if isinstance(checkpointer, KnowsNewest):
                checkpointer = RememberingSaver(checkpointer, is_newest=checkpointer.is_newest)
            checkpointer = FencedSaver(checkpointer, shared.lanes.holds)
        folder = settings.recordings_folder
        yield Stores(
            accounts=accounts,
            bookings=bookings,
            outbox=outbox,
            conversations=conversations,
            event_log=shared.event_log,
            lanes=shared.lanes,
            checkpointer=checkpointer,
            pings=pings,
            endings=shared.endings,
            rates=shared.rates,
            answers=answers,
            explanation_sessions=shared.explanation_sessions,
            recordings=None if folder is None else await open_recordings(folder),
        )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What processes have together."""

    event_log: EventLog
    lanes: Lanes
    rates: RateCounter
    explanation_sessions: ExplanationSessionStore
    endings: Endings | None = None


async def _open_shared(
    settings: Settings,
    stack: AsyncExitStack,
    database: Database | None,
    pings: dict[str, Ping],
    *,
    now_ms: NowMs,
    new_id: NewId,
) -> _Shared:
    """Open what processes have together. Without Redis, for one."""
    sessions = MemoryExplanationSessions(now_ms=now_ms)
    rates = MemoryRateCounter(now_ms=now_ms)
    limits: dict[str, Any] = {
        "new_id": new_id,
        "now_ms": now_ms,
        "max_events": settings.event_log_max_events,
        "max_age_ms": settings.event_log_max_age_seconds * 1000,
    }
    if settings.redis_url is not None:
        with extra("redis"):
            from app.stores.redis.channels import Channels
            from app.stores.redis.client import RedisClient
            from app.stores.redis.event_log import RedisEventLog
            from app.stores.redis.explanations import RedisExplanationSessions
            from app.stores.redis.lanes import RedisLanes
            from app.stores.redis.rates import RedisRateCounter

        redis = await stack.enter_async_context(RedisClient(settings.redis_url, timeout=settings.store_timeout_seconds))
        pings["redis"] = redis.ping
        channels = await stack.enter_async_context(Channels(redis))
        lanes = await stack.enter_async_context(
            RedisLanes(redis, channels, new_id=new_id, lease_seconds=settings.lease_seconds)
        )
        log = await stack.enter_async_context(RedisEventLog(redis, channels, token=lanes.token, **limits))
        counter = FallbackRateCounter(RedisRateCounter(redis), rates)
        return _Shared(log, lanes, counter, RedisExplanationSessions(redis))
    if database is None:
        return _Shared(MemoryEventLog(**limits), MemoryLanes(), rates, sessions)
    sql_log = await stack.enter_async_context(SqlEventLog(database, **limits))
    endings = SqlEndings(sql_log, seconds=settings.store_timeout_seconds)
    return _Shared(sql_log, MemoryLanes(), rates, sessions, endings)


def open_database(settings: Settings) -> Database:
    """Return the SQL database that the settings name, not yet open.

    Raises:
        Misconfigured: Its driver is not installed.
    """
    if settings.database_kind == "sqlite":
        return Database(settings.database_url)
    return Database(
        settings.database_url,
        timeout=settings.store_timeout_seconds + 1,  # whoever waits for it gives up first
        pool_size=settings.database_pool_size,
        auto_migrate=settings.auto_migrate,
    )


@asynccontextmanager
async def open_checkpointer(settings: Settings) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the LangGraph checkpointer that the settings name.

    Raises:
        Misconfigured: Its package is not installed, or its tables are of another version.
    """
    timeout = settings.store_timeout_seconds
    async with AsyncExitStack() as stack:
        match settings.checkpointer_kind:
            case "memory":
                yield InMemorySaver()
            case "sqlite":
                from app.stores.checkpoints.sqlite import open_sqlite

                yield await stack.enter_async_context(open_sqlite(checkpoint_path(settings)))
            case "postgres":
                with extra("postgres"):
                    from app.stores.checkpoints.postgres import open_postgres
                checkpoints = open_postgres(
                    settings.database_url,
                    timeout=timeout,
                    pool_size=settings.database_pool_size,
                    auto_migrate=settings.auto_migrate,
                )
                yield await stack.enter_async_context(checkpoints)
            case "redis":
                assert settings.redis_url is not None, "settings see to it"
                with extra("redis"):
                    from app.stores.checkpoints.redis import open_redis
                yield await stack.enter_async_context(open_redis(settings.redis_url, timeout=timeout))


async def open_recordings(folder: Path) -> RecordingStore:
    """Return the recordings in a folder.

    Raises:
        Misconfigured: A package is not installed, or the folder cannot be written in.
    """
    with extra("voice"):
        from app.stores.recordings import FileRecordingStore
    try:
        return await anyio.to_thread.run_sync(FileRecordingStore, folder)
    except OSError as error:
        raise Misconfigured(f"RECORDINGS_FOLDER cannot be used: {error.strerror}") from error


async def migrate(settings: Settings) -> None:
    """Bring every table in the database to this version.

    Raises:
        StoreError: It failed.
        Misconfigured: A package is not installed, or the tables are of a newer version.
    """
    await open_database(settings).migrate()
    if settings.checkpointer_kind == "postgres":
        with extra("postgres"):
            from app.stores.checkpoints.postgres import migrate as migrate_checkpoints
        await migrate_checkpoints(settings.database_url)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say what to install where an import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise Misconfigured(f"{error.name} is not installed: pip install 'voztaxi[{name}]'") from error


def checkpoint_path(settings: Settings) -> str:
    """Return the file of the checkpoints: ``voztaxi.db`` has ``voztaxi.checkpoints.db``."""
    database = make_url(settings.database_url).database if settings.database_kind == "sqlite" else None
    path = Path(database or "voztaxi.db")
    return str(path.with_name(f"{path.stem}.checkpoints{path.suffix}"))


@asynccontextmanager
async def open_outbox(settings: Settings) -> AsyncIterator[Outbox]:
    """Open the outbox alone, beside a server that runs or not: what an operator's command needs."""
    async with Database(settings.database_url) as database:
        yield SqlOutbox(database)
