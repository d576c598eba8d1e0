"""An SQL database: its engine, its transactions, and its failures in our terms."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

import anyio
import structlog
from sqlalchemy import URL, event, func, make_url, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.errors import Misconfigured, StoreError
from app.stores.sql import migrations

log = structlog.stdlib.get_logger("voztaxi.database")

_FAILURES: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error, OSError, OverflowError, UnicodeError)
_CLOSE_SECONDS = 2.0
_MIGRATION_LOCK = 0x766F7A  # "voz": any number will do that nobody else takes in the same database
_PRAGMAS = ("PRAGMA busy_timeout=5000", "PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON")
_WAL_ATTEMPTS = 20


class Database:
    """An SQL database, open inside ``async with``.

    On SQLite that also brings the tables to the newest revision.

    Args:
        url: An SQLAlchemy address: ``sqlite+aiosqlite:///FILE``, whose folder must exist, or
            ``postgresql+asyncpg://USER@HOST/NAME``.
        timeout: Longest a transaction may take, in seconds, the wait for its turn included. A little
            more than SQLite's own wait for another process, so that its clearer error comes first.
        pool_size: Connections to Postgres that are held at most.
        auto_migrate: Bring the tables of Postgres to the newest revision as well.

    Raises:
        ValueError: ``url`` is an SQLite database in memory. It has only one connection, on which
            transactions cannot be kept apart; ``memory.py`` is there for that.
        Misconfigured: The driver is not installed.
    """

    def __init__(self, url: str, *, timeout: float = 6.0, pool_size: int = 10, auto_migrate: bool = False) -> None:
        address = make_url(url)
        if _is_in_memory(address):
            raise ValueError("an SQLite database in memory is not supported; use memory:// instead")
        self._timeout = timeout
        self._failures = _FAILURES
        self._one_writer: AbstractAsyncContextManager[None] = nullcontext()
        if address.get_backend_name() == "sqlite":
            self._auto_migrate = True
            self._engine: AsyncEngine = create_async_engine(
                address,
                pool_size=8,
                max_overflow=8,
                pool_timeout=timeout,
                pool_reset_on_return=None,
                hide_parameters=True,
            )
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
            self._one_writer = anyio.Lock(fast_acquire=True)
            self._reading = self._engine
        else:
            self._auto_migrate = auto_migrate
            self._failures += _asyncpg_failures()
            self._engine = create_async_engine(
                address,
                pool_size=pool_size,
                max_overflow=0,
                pool_timeout=timeout,
                pool_pre_ping=True,
                connect_args=_postgres_options(timeout),
                hide_parameters=True,
            )
            self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writing = self._engine.execution_options(writes=True)

    async def __aenter__(self) -> Self:
        """Connect, and see to it that the tables are what this version needs.

        Raises:
            StoreError: The database cannot be reached.
            Misconfigured: The tables are of another revision, and it is for an operator to change them.
        """
        try:
            with self._store_errors():
                await self._check_folder()
            if await self._revision() != migrations.HEAD:
                if not self._auto_migrate:
                    raise Misconfigured("the tables in DATABASE_URL are of another version: run 'voztaxi migrate'")
                await self.migrate()
        except BaseException:
            await self._dispose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._dispose()

    async def migrate(self) -> None:
        """Bring the tables to the newest revision, however long it takes. Processes that want to at once take turns.

        Raises:
            StoreError: It failed, and nothing was changed.
            Misconfigured: The tables are of a newer version than this one.
        """
        try:
            with self._store_errors():
                await self._check_folder()
                async with self._engine.connect() as connection, self._alone(connection):
                    revision = await connection.run_sync(migrations.revision)
                    if revision is not None and revision > migrations.HEAD:
                        raise Misconfigured("the tables in DATABASE_URL are of a newer version of Voztaxi")
                    if revision != migrations.HEAD:
                        await connection.run_sync(migrations.upgrade)
                        log.info("tables were migrated", before=revision, now=migrations.HEAD)
        finally:
            await self._dispose()  # a connection remembers the tables that it has seen

    @asynccontextmanager
    async def write(self, queue: anyio.Lock | None = None) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that may write; leaving the block commits it, an error rolls it back.

        On SQLite there is one at a time: it has one writer, and a queue here is fairer than its busy
        loop. Whoever must act on the commit before the next of its ``queue`` writes calls
        ``connection.commit()`` as the last statement of the block and acts after it. From the first
        statement on a cancellation waits until the block is left.

        Args:
            queue: Transactions that share it run one at a time on every database.

        Raises:
            StoreError: It failed or took too long. The commit may have happened all the same.
        """
        alone = queue or nullcontext()
        with self._store_errors(), anyio.fail_after(self._timeout) as limit:
            async with alone, self._one_writer, self._connected(self._writing, limit.deadline) as connection:
                await connection.begin()
                yield connection
                if connection.in_transaction():
                    await connection.commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for reading. It never waits for a writer; each statement sees what is committed.

        Raises:
            StoreError: It failed or took too long.
        """
        with self._store_errors(), anyio.fail_after(self._timeout) as limit:
            async with self._connected(self._reading, limit.deadline) as connection:
                yield connection

    async def ping(self) -> None:
        """Raise ``StoreError`` where the database cannot be reached."""
        async with self.read() as connection:
            await connection.execute(select(1))

    async def _check_folder(self) -> None:
        # SQLite's own words for it, "unable to open database file", do not say what is missing.
        name = self._engine.url.database
        if self._engine.dialect.name != "sqlite" or name is None or name.startswith("file:"):
            return
        folder = anyio.Path(name).parent
        if not await folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine, deadline: float) -> AsyncIterator[AsyncConnection]:
        # SQLite's driver finishes a statement whose caller was cancelled, in its thread; Postgres's breaks
        # it off. Either way the connection would have to be thrown away, so a cancellation waits instead:
        # for the few milliseconds that it takes, or until the deadline.
        with anyio.CancelScope(shield=True, deadline=deadline) as scope:
            connection = await engine.connect()
            try:
                yield connection
            finally:
                await self._close(connection)
        if scope.cancelled_caught:
            raise TimeoutError

    async def _dispose(self) -> None:
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._engine.dispose()

    async def _close(self, connection: AsyncConnection) -> None:
        # What was committed stays committed: giving the connection back must not make it look like a failure.
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            try:
                await connection.close()
            except self._failures as error:
                log.warning("connection could not be given back", exc_info=error)

    async def _revision(self) -> str | None:
        async with self.read() as connection:
            return await connection.run_sync(migrations.revision)

    @asynccontextmanager
    async def _alone(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Open a transaction for migrations, in which nobody else can make any."""
        if self._engine.dialect.name == "sqlite":
            # To change a column SQLite makes a new table and drops the old one, which must not take
            # with it the rows that refer to it. The switch does nothing inside a transaction.
            await connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            await connection.rollback()
            await connection.execution_options(writes=True)
            try:
                async with connection.begin():
                    yield
            finally:
                await connection.execution_options(writes=False)
                await connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            return
        async with connection.begin():
            # No limit on the wait for another process and on a long statement. But a table that is in
            # use is waited for no longer than ever: all who come after would wait as well.
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            await connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
            yield

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise StoreError from error


def _is_in_memory(address: URL) -> bool:
    if address.get_backend_name() != "sqlite":
        return False
    return not address.database or ":memory:" in address.database or address.query.get("mode") == "memory"


def _postgres_options(timeout: float) -> dict[str, Any]:
    """Return arguments for the driver: the server gives up when its client has."""
    limit = str(int(timeout * 1000))
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    return {
        "timeout": timeout,
        "server_settings": {"application_name": "voztaxi", "jit": "off"} | dict.fromkeys(limits, limit),
    }


def _asyncpg_failures() -> tuple[type[Exception], ...]:
    """Return what the driver raises by itself while it connects."""
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError as error:
        raise Misconfigured("DATABASE_URL needs Postgres's driver: pip install 'voztaxi[postgres]'") from error
    return asyncpg.PostgresError, asyncpg.InterfaceError


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # None: the driver begins no transactions of its own; _begin_sqlite does where one is meant.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    for attempts_left in reversed(range(_WAL_ATTEMPTS)):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if not attempts_left:
                raise
            # Of two that open a new file one is refused at once. A transaction waits until the other is done.
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("COMMIT")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once. A transaction that reads first and asks for it later can
    # be refused without any wait.
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
