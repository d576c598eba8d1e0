"""An SQLite file: its statements run in worker threads, a transaction at a time."""

import sqlite3
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import URL, create_engine, event
from sqlalchemy.engine import Engine

from app.core.deadlines import undisturbed
from app.stores.sql.drivers.base import CLOSE_SECONDS, COMMON_FAILURES, Work
from app.stores.sql.drivers.sqlite_writer import SqliteWriter

T = TypeVar("T")

_PRAGMAS = (
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    # KiB of pages that each connection keeps, 2,000 where nothing is said: the system keeps the file as well.
    "PRAGMA cache_size=-512",
)
BUSY_SECONDS = 5.0
"""How long SQLite waits for another process."""
_WAL_ATTEMPTS = 20
_THREADS = 8


class SqliteDriver:
    """A ``Driver``.

    A transaction is one visit to a thread, not one for each statement: a statement takes some twenty
    microseconds, the way there and back several times that. SQLite has one writer at a time, and a queue
    here is fairer than its busy loop; who waits in it goes along with the next one (``sqlite_writer.py``).

    Args:
        address: The file, whose folder must exist.
        timeout: Longest that work may take, in seconds, the wait for its turn included.

    Raises:
        ValueError: The database is in memory. It has only one connection, on which transactions cannot be
            kept apart.
    """

    failures = COMMON_FAILURES
    auto_migrate = True

    def __init__(self, address: URL, *, timeout: float) -> None:
        if _is_in_memory(address):
            raise ValueError("an SQLite database in memory is not supported; use memory:// instead")
        self._engine = create_engine(
            address.set(drivername="sqlite"),
            pool_size=_THREADS,
            max_overflow=_THREADS,
            pool_timeout=timeout,
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", lambda connection, _record: prepare(connection))
        self._timeout = timeout
        self._threads = CapacityLimiter(_THREADS)
        self._writer = SqliteWriter(self._engine)

    async def check(self) -> None:
        """See ``Driver``: SQLite's own words, "unable to open database file", do not say what is missing."""
        name = self._engine.url.database
        if name is None or name.startswith("file:"):
            return
        folder = anyio.Path(name).parent
        if not await folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")

    async def read(self, work: Work[T]) -> T:
        """See ``Driver``."""
        with undisturbed(anyio.current_time() + self._timeout):
            # A thread cannot be stopped. What is late ends by itself.
            return await to_thread.run_sync(_read, self._engine, work, abandon_on_cancel=True, limiter=self._threads)

    async def write(self, work: Work[T], *, at_once: bool) -> T:
        """See ``Driver``."""
        return await self._writer.run(work, anyio.current_time() + self._timeout)

    async def migrate(self, work: Work[T]) -> T:
        """See ``Driver``."""
        return await to_thread.run_sync(_migrate, self._engine, work)

    async def dispose(self) -> None:
        """See ``Driver``."""
        with anyio.move_on_after(2 * CLOSE_SECONDS, shield=True):
            await self._writer.close()
            await to_thread.run_sync(self._engine.dispose, abandon_on_cancel=True)


def _read(engine: Engine, work: Work[T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _migrate(engine: Engine, work: Work[T]) -> T:
    with engine.connect() as connection:
        # To change a column SQLite makes a new table and drops the old one, which must not take
        # with it the rows that refer to it. The switch does nothing inside a transaction.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()
        try:
            with connection.begin():
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return work(connection)
        finally:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _is_in_memory(address: URL) -> bool:
    return not address.database or ":memory:" in address.database or address.query.get("mode") == "memory"


def prepare(connection: sqlite3.Connection, *, busy_seconds: float = BUSY_SECONDS) -> None:
    """Set a new connection up: in WAL mode, with no transactions but those that somebody begins."""
    # None: the driver begins no transactions of its own. Whoever writes does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    for attempts_left in reversed(range(_WAL_ATTEMPTS)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            if not attempts_left:
                raise
            # Of two that open a new file one is refused at once. A transaction waits until the other is done.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
