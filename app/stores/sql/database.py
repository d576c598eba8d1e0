"""An SQL database: its transactions, its tables' revision, and its failures in our terms."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog
from sqlalchemy import Connection, Executable, RowMapping, UpdateBase, make_url, select

from app.core.errors import Misconfigured, StoreError
from app.stores.sql import migrations
from app.stores.sql.drivers.base import Driver, Work
from app.stores.sql.drivers.sqlite import SqliteDriver

T = TypeVar("T")
Values = Mapping[str, Any]
"""Of the parameters of a statement."""

log = structlog.stdlib.get_logger("voztaxi.database")


class Database:
    """An SQL database, open inside ``async with``.

    On SQLite that also brings the tables to the newest revision.

    Args:
        url: An SQLAlchemy address: ``sqlite+aiosqlite:///FILE``, whose folder must exist, or
            ``postgresql+asyncpg://USER@HOST/NAME``.
        timeout: Longest a transaction may take, in seconds. On SQLite the wait for its turn is included, and it is a
            little more than SQLite's own wait for another process, so that its clearer error comes first. On Postgres
            it begins with a connection: a queue in this process is no failure as long as somebody is served.
        pool_size: Connections to Postgres that are held at most.
        auto_migrate: Bring the tables of Postgres to the newest revision as well.

    Raises:
        ValueError: ``url`` is an SQLite database in memory; ``memory.py`` is there for that.
        Misconfigured: The driver is not installed.
    """

    def __init__(self, url: str, *, timeout: float = 6.0, pool_size: int = 10, auto_migrate: bool = False) -> None:
        address = make_url(url)
        self._driver: Driver
        if address.get_backend_name() == "sqlite":
            self._driver = SqliteDriver(address, timeout=timeout)
        else:
            # SQLAlchemy's asyncio brings its ORM along, which SQLite does without.
            from app.stores.sql.drivers.postgres import PostgresDriver

            self._driver = PostgresDriver(address, timeout=timeout, pool_size=pool_size, auto_migrate=auto_migrate)

    async def __aenter__(self) -> Self:
        """Connect, and see to it that the tables are what this version needs.

        Raises:
            StoreError: The database cannot be reached.
            Misconfigured: The tables are of another revision, and it is for an operator to change them.
        """
        try:
            with self._store_errors():
                await self._driver.check()
            if await self.read(migrations.revision) != migrations.HEAD:
                if not self._driver.auto_migrate:
                    raise Misconfigured("the tables in DATABASE_URL are of another version: run 'voztaxi migrate'")
                await self.migrate()
        except BaseException:
            await self._driver.dispose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._driver.dispose()

    async def migrate(self) -> None:
        """Bring the tables to the newest revision, however long it takes. Processes that want to at once take turns.

        Raises:
            StoreError: It failed, and nothing was changed.
            Misconfigured: The tables are of a newer version than this one.
        """
        try:
            with self._store_errors():
                await self._driver.check()
                await self._driver.migrate(_upgrade)
        finally:
            await self._driver.dispose()  # a connection remembers the tables that it has seen

    async def write(self, work: Work[T], *, at_once: bool = False) -> T:
        """Run ``work`` in a transaction: committed where it returns, rolled back where it raises.

        On SQLite there is one at a time. From the first statement on a cancellation waits until it is
        over; nothing comes between the commit and what the caller does next without waiting.

        Args:
            work: What is to be done.
            at_once: On a server it is one statement, which is a transaction by itself: to begin and to commit one
                would be two more ways there and back.

        Raises:
            StoreError: It failed or took too long. The commit may have happened all the same.
        """
        with self._store_errors():
            return await self._driver.write(work, at_once=at_once)

    async def read(self, work: Work[T]) -> T:
        """Run ``work``, which only reads. It never waits for a writer; each statement sees what is committed.

        Raises:
            StoreError: It failed or took too long.
        """
        with self._store_errors():
            return await self._driver.read(work)

    async def execute(self, *statements: UpdateBase) -> None:
        """Run statements in a transaction of their own. Raises as ``write`` does."""

        def work(connection: Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        await self.write(work, at_once=len(statements) == 1)

    async def rows(self, query: Executable, values: Values | None = None) -> Sequence[RowMapping]:
        """Return the rows that ``query`` finds with these values. Raises as ``read`` does."""
        return await self.read(lambda connection: connection.execute(query, values).mappings().all())

    async def row(self, query: Executable, values: Values | None = None) -> RowMapping | None:
        """Return the one row that ``query`` finds with these values, or None. Raises as ``read`` does."""
        return await self.read(lambda connection: connection.execute(query, values).mappings().one_or_none())

    async def ping(self) -> None:
        """Raise ``StoreError`` where the database cannot be reached."""
        await self.rows(select(1))

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.failures as error:
            raise StoreError from error


def _upgrade(connection: Connection) -> None:
    revision = migrations.revision(connection)
    if revision is not None and revision > migrations.HEAD:
        raise Misconfigured("the tables in DATABASE_URL are of a newer version of Voztaxi")
    if revision != migrations.HEAD:
        migrations.upgrade(connection)
        log.info("tables were migrated", before=revision, now=migrations.HEAD)
