"""An SQL database: its engine, its transactions, and its failures in our terms."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import structlog
from sqlalchemy import URL, event, make_url, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.core.errors import StoreError
from app.stores.sql.tables import metadata

log = structlog.stdlib.get_logger("voztaxi.database")

_FAILURES = (SQLAlchemyError, sqlite3.Error, OSError, OverflowError, UnicodeError)
_CLOSE_SECONDS = 2.0
_PRAGMAS = (
    "PRAGMA busy_timeout=5000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)


class Database:
    """An SQL database, open inside ``async with``, which also creates the tables that are missing.

    Args:
        url: An SQLAlchemy address such as ``sqlite+aiosqlite:///FILE``. The folder must exist.
        timeout: Longest a transaction may take, in seconds, the wait for its turn included. A little
            more than SQLite's own wait for another process, so that its clearer error comes first.

    Raises:
        ValueError: ``url`` is an SQLite database in memory. It has only one connection, on which
            transactions cannot be kept apart; ``memory.py`` is there for that.
    """

    def __init__(self, url: str, *, timeout: float = 6.0) -> None:
        address = make_url(url)
        if _is_in_memory(address):
            raise ValueError("an SQLite database in memory is not supported; use memory:// instead")
        self._timeout = timeout
        self._engine: AsyncEngine = create_async_engine(
            address, pool_size=8, max_overflow=8, pool_timeout=timeout, pool_reset_on_return=None
        )
        if address.get_backend_name() == "sqlite":
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
        self._writing = self._engine.execution_options(writes=True)
        self._one_writer = anyio.Lock(fast_acquire=True)

    async def __aenter__(self) -> Self:
        """Connect and create missing tables.

        Raises:
            StoreError: The database cannot be reached.
        """
        with _store_errors():
            await self._check_folder()
        try:
            async with self.write() as connection:
                await connection.run_sync(metadata.create_all)
        except BaseException:
            await self._engine.dispose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that may write; leaving the block commits it, an error rolls it back.

        There is one at a time: SQLite has one writer, and a queue here is fairer than its busy loop.
        Whoever must act on the commit before anybody else writes calls ``connection.commit()`` as the
        last statement of the block and acts after it. From the first statement on a cancellation
        waits until the block is left.

        Raises:
            StoreError: It failed or took too long. The commit may have happened all the same.
        """
        with _store_errors(), anyio.fail_after(self._timeout) as limit:
            async with self._one_writer, self._connected(self._writing, limit.deadline) as connection:
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
        with _store_errors(), anyio.fail_after(self._timeout) as limit:
            async with self._connected(self._engine, limit.deadline) as connection:
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
        # The driver's thread finishes a statement whose caller was cancelled. The connection would have
        # to be thrown away, so a cancellation waits instead: for the few milliseconds that it takes, or
        # until the deadline.
        with anyio.CancelScope(shield=True, deadline=deadline) as scope:
            connection = await engine.connect()
            try:
                yield connection
            finally:
                await _close(connection)
        if scope.cancelled_caught:
            raise TimeoutError


async def _close(connection: AsyncConnection) -> None:
    # What was committed stays committed: giving the connection back must not make it look like a failure.
    with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
        try:
            await connection.close()
        except _FAILURES as error:
            log.warning("connection could not be given back", exc_info=error)


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise StoreError from error


def _is_in_memory(address: URL) -> bool:
    if address.get_backend_name() != "sqlite":
        return False
    return not address.database or ":memory:" in address.database or address.query.get("mode") == "memory"


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # None: the driver begins no transactions of its own; _begin_sqlite does where one is meant.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once. A transaction that reads first and asks for it later can
    # be refused without any wait.
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
