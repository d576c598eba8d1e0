"""A Postgres database, over a pool of connections."""

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import structlog
from sqlalchemy import URL, event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from app.core.deadlines import undisturbed
from app.core.errors import Misconfigured
from app.core.places import Places
from app.stores.sql.drivers.base import CLOSE_SECONDS, COMMON_FAILURES, RESTED_SECONDS, Work

T = TypeVar("T")

log = structlog.stdlib.get_logger("voztaxi.database")

_MIGRATION_LOCK = 0x766F7A  # "voz": any number will do that nobody else takes in the same database


class PostgresDriver:
    """A ``Driver``.

    Args:
        address: The database.
        timeout: Longest that work may take, in seconds, from when a connection is free.
        pool_size: Connections that are held at most.
        auto_migrate: Whether the tables may be changed without an operator.

    Raises:
        Misconfigured: Its package is not installed.
    """

    def __init__(self, address: URL, *, timeout: float, pool_size: int, auto_migrate: bool) -> None:
        self.failures = COMMON_FAILURES + _own_failures()
        self.auto_migrate = auto_migrate
        self._timeout = timeout
        self._places = Places(pool_size)
        self._engine = create_async_engine(
            address,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            connect_args=_options(timeout),
            hide_parameters=True,
        )
        self._by_statement = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        _replace_the_dead(self._engine)

    async def check(self) -> None:
        """See ``Driver``."""

    async def read(self, work: Work[T]) -> T:
        """See ``Driver``."""
        async with self._connected(self._by_statement) as connection:
            return await connection.run_sync(work)

    async def write(self, work: Work[T], *, at_once: bool) -> T:
        """See ``Driver``."""
        if at_once:
            async with self._connected(self._by_statement) as connection:
                return await connection.run_sync(work)
        # Cancelled, the driver breaks a statement off, and the connection is lost.
        async with self._connected(self._engine) as connection, connection.begin():
            return await connection.run_sync(work)

    async def migrate(self, work: Work[T]) -> T:
        """See ``Driver``."""
        async with self._engine.connect() as connection, connection.begin():
            # No limit on the wait for another process and on a long statement. But a table that is in
            # use is waited for no longer than ever: all who come after would wait as well.
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(text("SET LOCAL lock_timeout = 0"))
            await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            await connection.execute(text("SET LOCAL lock_timeout = DEFAULT"))
            return await connection.run_sync(work)

    async def dispose(self) -> None:
        """See ``Driver``."""
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._engine.dispose()

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """Wait for a connection, and have it for as long as the block: nothing disturbs it until its time is over."""
        async with self._places.taken():
            with undisturbed(anyio.current_time() + self._timeout):
                connection = await engine.connect()
                try:
                    yield connection
                finally:
                    # What was committed stays committed: giving it back must not make it look like a failure.
                    with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                        try:
                            await connection.close()
                        except self.failures as error:
                            log.warning("connection could not be given back", exc_info=error)


def _replace_the_dead(engine: AsyncEngine) -> None:
    """See to it that whoever takes a connection of the pool is not given a dead one.

    SQLAlchemy's own ``pool_pre_ping`` asks the server each time, which is three ways to it and back before the first
    statement of a transaction. Here a connection is known to be dead where the server has closed it, as one that stops
    does with all of them; it is asked only after a rest, in which something on the way may have dropped it in silence.
    """
    dialect = engine.dialect

    def given_back(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["rests since"] = time.monotonic()

    def taken(connection: DBAPIConnection, entry: ConnectionPoolEntry, _borrowed: PoolProxiedConnection) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.monotonic() - entry.info.get("rests since", math.inf) > RESTED_SECONDS:
            try:
                dialect.do_ping(connection)
            except dialect.loaded_dbapi.Error as error:
                raise InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkin", given_back)
    event.listen(engine.sync_engine, "checkout", taken)


def _options(timeout: float) -> dict[str, Any]:
    """Return arguments for the driver: the server gives up when its client has."""
    limit = str(int(timeout * 1000))
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    return {
        "timeout": timeout,
        "server_settings": {"application_name": "voztaxi", "jit": "off"} | dict.fromkeys(limits, limit),
    }


def _own_failures() -> tuple[type[Exception], ...]:
    """Return what the driver raises by itself while it connects."""
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ImportError as error:
        raise Misconfigured("DATABASE_URL needs Postgres's driver: pip install 'voztaxi[postgres]'") from error
    return asyncpg.PostgresError, asyncpg.InterfaceError
