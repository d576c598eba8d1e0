"""An SQLite file: its statements run in worker threads, a transaction at a time."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import URL, create_engine, event
from sqlalchemy.engine import Connection, Engine

from app.stores.sql.drivers.base import CLOSE_SECONDS, COMMON_FAILURES, Work, undisturbed
from app.stores.sql.drivers.write_queue import Write, WriteQueue

S = TypeVar("S")
T = TypeVar("T")

_PRAGMAS = ("PRAGMA busy_timeout=5000", "PRAGMA synchronous=NORMAL", "PRAGMA foreign_keys=ON")
_WAL_ATTEMPTS = 20
_THREADS = 8


class SqliteDriver:
    """A ``Driver``.

    A transaction is one visit to a thread, not one for each statement: a statement takes some twenty
    microseconds, the way there and back several times that. SQLite has one writer at a time, and a queue
    here is fairer than its busy loop; who waits in it goes along with the next one (``write_queue.py``).

    Args:
        address: The file, whose folder must exist.
        timeout: Longest wait for a connection, in seconds.

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
            pool_reset_on_return=None,
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        self._threads = CapacityLimiter(_THREADS)
        self._writes = WriteQueue(partial(self._in_thread, _write, self._engine.execution_options(writes=True)))

    async def check(self) -> None:
        """See ``Driver``: SQLite's own words, "unable to open database file", do not say what is missing."""
        name = self._engine.url.database
        if name is None or name.startswith("file:"):
            return
        folder = anyio.Path(name).parent
        if not await folder.is_dir():
            raise FileNotFoundError(f"no such folder: {folder}")

    async def read(self, work: Work[T], deadline: float) -> T:
        """See ``Driver``."""
        return await self._in_thread(_read, self._engine, work, deadline)

    async def write(self, work: Work[T], deadline: float) -> T:
        """See ``Driver``."""
        return await self._writes.run(work, deadline)

    async def migrate(self, work: Work[T]) -> T:
        """See ``Driver``."""
        return await to_thread.run_sync(_migrate, self._engine, work)

    async def dispose(self) -> None:
        """See ``Driver``."""
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await to_thread.run_sync(self._engine.dispose, abandon_on_cancel=True)

    async def _in_thread(self, run: Callable[[Engine, S], T], engine: Engine, what: S, deadline: float) -> T:
        with undisturbed(deadline):
            # A thread cannot be stopped. What is late ends by itself, at the latest when SQLite has waited
            # enough for another process.
            return await to_thread.run_sync(run, engine, what, abandon_on_cancel=True, limiter=self._threads)


def _read(engine: Engine, work: Work[T]) -> T:
    with engine.connect() as connection:
        return work(connection)


def _write(engine: Engine, writes: Sequence[Write]) -> None:
    """Run writes in one transaction; one that raises takes back what it did, and nothing else."""
    try:
        with engine.begin() as connection:
            if len(writes) == 1:
                writes[0].run(connection)
            else:
                for write in writes:
                    _write_one(connection, write)
        for write in writes:
            write.settle()
    except BaseException as error:
        for write in writes:
            write.fail(error)


def _write_one(connection: Connection, write: Write) -> None:
    try:
        with connection.begin_nested():
            write.run(connection)
    except Exception as error:
        # After some errors, a full disk for one, SQLite has taken back the whole transaction.
        if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
            raise
        write.fail(error)


def _migrate(engine: Engine, work: Work[T]) -> T:
    with engine.connect() as connection:
        # To change a column SQLite makes a new table and drops the old one, which must not take
        # with it the rows that refer to it. The switch does nothing inside a transaction.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()
        connection.execution_options(writes=True)
        try:
            with connection.begin():
                return work(connection)
        finally:
            connection.execution_options(writes=False)
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _is_in_memory(address: URL) -> bool:
    return not address.database or ":memory:" in address.database or address.query.get("mode") == "memory"


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # None: the driver begins no transactions of its own; _begin does where one is meant.
    connection.isolation_level = None
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


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once. A transaction that reads first and asks for it later can
    # be refused without any wait.
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
