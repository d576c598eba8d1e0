"""Checkpoints in a Postgres database, beside our own tables."""

import asyncio
import selectors
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, cast

import anyio
import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import make_url

from app.core.errors import Misconfigured, StoreError
from app.core.places import Places
from app.stores.sql.drivers.base import RESTED_SECONDS

_SETUP_LOCK = 0x766F7B  # any number will do that nobody else takes in the same database
_LOOK_EVERY = 0.1
_IS_NEWEST = """
SELECT checkpoint_id = %(checkpoint_id)s AND NOT EXISTS (
    SELECT FROM checkpoint_writes
    WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(namespace)s AND checkpoint_id = %(checkpoint_id)s
) AS is_newest
FROM checkpoints WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(namespace)s
ORDER BY checkpoint_id DESC LIMIT 1
"""
"""By LangGraph's tables and the order in which it reads them."""


class _Connection(AsyncConnection[DictRow]):
    """A connection that knows since when it rests, on the clock of ``time.monotonic``."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.rests_since = time.monotonic()


Pool = AsyncConnectionPool[_Connection]


class PostgresSaver(AsyncPostgresSaver):
    """LangGraph's saver, over a pool, with a deadline.

    Args:
        pool: Open for as long as the saver is used.
        timeout: Longest that an operation may take once a connection is free, in seconds.
    """

    def __init__(self, pool: Pool, *, timeout: float) -> None:
        super().__init__(cast("AsyncConnectionPool[AsyncConnection[DictRow]]", pool))
        self._timeout = timeout
        self._places = Places(pool.max_size)
        # It is there for one connection that everybody shares. Each operation has one of its own here.
        self.lock = nullcontext()  # type: ignore[assignment]

    async def is_newest(self, config: RunnableConfig) -> bool:
        """See ``KnowsNewest``."""
        named = config["configurable"]
        async with self._cursor() as cursor:
            await cursor.execute(
                _IS_NEWEST,
                {
                    "thread_id": named["thread_id"],
                    "namespace": named.get("checkpoint_ns", ""),
                    "checkpoint_id": named["checkpoint_id"],
                },
            )
            row = await cursor.fetchone()
        return row is not None and bool(row["is_newest"])

    async def alist(self, config: RunnableConfig | None, **selection: Any) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first. No connection is held while they are looked at."""
        for found in [each async for each in super().alist(config, **selection)]:
            yield found

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        """Open what every operation uses.

        Raises:
            StoreError: It failed or took too long.
        """
        try:
            async with self._places.taken():
                # A scope of anyio's cancels until it is obeyed. The driver, cancelled once, asks the server to
                # stop and waits for it, which is in vain where the server is the trouble.
                with anyio.fail_after(self._timeout):
                    async with super()._cursor(pipeline=pipeline) as cursor:
                        yield cursor
        except (psycopg.Error, OSError) as error:
            raise StoreError from error


@asynccontextmanager
async def open_postgres(
    url: str, *, timeout: float = 5.0, pool_size: int = 10, auto_migrate: bool = False
) -> AsyncIterator[PostgresSaver]:
    """Open the checkpoints in a database.

    Args:
        url: Its SQLAlchemy address.
        timeout: Longest that an operation may take once a connection is free, in seconds.
        pool_size: Connections that are held at most.
        auto_migrate: Make the tables what LangGraph needs.

    Raises:
        StoreError: The database cannot be reached.
        Misconfigured: The tables are not what LangGraph needs, and it is for an operator to change them.
    """
    if auto_migrate:
        await migrate(url)
    pool: Pool = AsyncConnectionPool(
        libpq_url(url),
        connection_class=_Connection,
        kwargs=_OPTIONS
        | {"options": f"-c statement_timeout={int(timeout * 1000)}", "connect_timeout": int(timeout) + 1},
        min_size=1,
        max_size=pool_size,
        timeout=timeout,
        reconnect_timeout=timeout,  # beyond it the next operation tries anew, instead of a pause that grows
        check=_check,
        reset=_rest,
        open=False,
    )
    async with pool:
        saver = PostgresSaver(pool, timeout=timeout)
        async with saver._cursor() as cursor:
            if await _version(cursor) != len(saver.MIGRATIONS) - 1:
                raise Misconfigured(
                    "the checkpoint tables in DATABASE_URL are of another version: run 'voztaxi migrate'"
                )
        yield saver


async def migrate(url: str) -> None:
    """Make the tables what LangGraph needs, however long it takes. Processes that want to at once take turns.

    Raises:
        StoreError: It failed.
    """
    try:
        async with await AsyncConnection.connect(libpq_url(url), **_OPTIONS) as connection:
            # It builds indexes without holding up anybody else, for which it waits until every statement
            # that runs now is done: one that waited for this lock would never be.
            while not await _lock(connection):  # noqa: ASYNC110 - what it waits for is in another process
                await asyncio.sleep(_LOOK_EVERY)
            await AsyncPostgresSaver(connection).setup()
    except (psycopg.Error, OSError) as error:
        raise StoreError from error


def libpq_url(url: str) -> str:
    """Return an SQLAlchemy address as psycopg reads it: ``ssl`` is called ``sslmode`` there."""
    address = make_url(url).set(drivername="postgresql")
    ssl = address.query.get("ssl")
    query = {"application_name": "voztaxi"} | ({"sslmode": ssl} if isinstance(ssl, str) else {})
    return address.set(query=query).render_as_string(hide_password=False)


async def _rest(connection: _Connection) -> None:
    connection.rests_since = time.monotonic()


async def _check(connection: _Connection) -> None:
    """Raise where a connection is dead. To ask the server is a way there and back before each operation.

    So it is asked after a rest, or where it has said something unasked: that it stops, or nothing more at all.
    """
    with selectors.DefaultSelector() as unasked:
        unasked.register(connection.fileno(), selectors.EVENT_READ)
        if not unasked.select(timeout=0) and time.monotonic() - connection.rests_since < RESTED_SECONDS:
            return
    await AsyncConnectionPool.check_connection(connection)


# What LangGraph's saver expects of a connection.
_OPTIONS: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


async def _lock(connection: AsyncConnection[DictRow]) -> bool:
    """Take the lock, until the connection closes, if nobody has it."""
    found = await connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", [_SETUP_LOCK])
    row = await found.fetchone()
    return row is not None and bool(row["taken"])


async def _version(cursor: AsyncCursor[DictRow]) -> int | None:
    await cursor.execute("SELECT to_regclass('checkpoint_migrations') IS NOT NULL AS made")
    row = await cursor.fetchone()
    if row is None or not row["made"]:
        return None
    await cursor.execute("SELECT max(v) AS version FROM checkpoint_migrations")
    row = await cursor.fetchone()
    return None if row is None else row["version"]
