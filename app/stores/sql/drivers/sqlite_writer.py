"""The one writer of an SQLite file: a thread, in which writes that wait for each other share a transaction."""

import asyncio
import sqlite3
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar, cast

import anyio
from sqlalchemy.engine import Connection, Engine

from app.stores.sql.drivers.base import CLOSE_SECONDS, COMMON_FAILURES, Work, undisturbed

T = TypeVar("T")

_AT_ONCE = 64


class _Write:
    """Work that waits for its transaction, and what came of it."""

    def __init__(self, work: Work[Any]) -> None:
        self.done: Future[Any] = Future()
        self.is_over = asyncio.Event()
        self._context: Context = copy_context()
        self._work = work
        self._value: Any = None

    def run(self, connection: Connection) -> None:
        self._value = self._context.run(self._work, connection)

    def succeed(self) -> None:
        if not self.done.done():
            self.done.set_result(self._value)

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class SqliteWriter:
    """Runs writes one after the other, in the order in which they came.

    A commit costs more than what is committed. So the thread takes all that wait into one transaction,
    each in a savepoint of its own: one that raises takes back what it did, and nothing else.
    The thread keeps one connection, and says itself where transactions and savepoints begin and end:
    for SQLAlchemy each of these is a statement like any other, ten times as long as SQLite takes for it.

    Args:
        engine: Gives the connection; begins no transactions by itself.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Work[T], deadline: float) -> T:
        """Run ``work``; a cancellation waits until it is over.

        Raises:
            TimeoutError: It was not over at ``deadline``, on the event loop's clock. Where it had not begun
                by then, it never will; else it may be committed all the same.
        """
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._work, name="sqlite writer", daemon=True)
            self._thread.start()
        write = _Write(work)
        self._queue.put(write)
        with undisturbed(deadline):
            try:
                await write.is_over.wait()
            except BaseException:
                # The time is up, or asyncio cancelled the task itself, which no scope of anyio's prevents.
                if not write.done.cancel():
                    await write.is_over.wait()
                raise
        result: T = write.done.result()
        return result

    async def close(self) -> None:
        """Run what waits, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await anyio.to_thread.run_sync(thread.join, CLOSE_SECONDS)

    def _work(self) -> None:
        is_open = True
        connection: Connection | None = None
        while is_open:
            waiting = [self._queue.get()]
            with suppress(Empty):
                while len(waiting) < _AT_ONCE:
                    waiting.append(self._queue.get_nowait())
            is_open = None not in waiting
            writes = [each for each in waiting if each is not None and each.done.set_running_or_notify_cancel()]
            if writes:
                try:
                    connection = connection or self._engine.connect()
                    _transact(connection, writes)
                except BaseException as error:
                    _give_back(connection)
                    connection = None  # the next ones begin with one that has no past
                    for write in writes:
                        write.fail(error)
                assert self._loop is not None, "it is known before anything is queued"
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(_tell, writes)
        _give_back(connection)


def _transact(connection: Connection, writes: list[_Write]) -> None:
    """Run writes in a transaction; those that did not fail by themselves have succeeded."""
    with connection.begin():
        sqlite = cast("sqlite3.Connection", connection.connection.driver_connection)
        # IMMEDIATE takes the write lock at once. A transaction that reads first and asks for it later can
        # be refused without any wait.
        sqlite.execute("BEGIN IMMEDIATE")
        for write in writes:
            if len(writes) == 1:
                write.run(connection)
            else:
                _run_in_savepoint(write, connection, sqlite)
    for write in writes:
        write.succeed()


def _run_in_savepoint(write: _Write, connection: Connection, sqlite: sqlite3.Connection) -> None:
    sqlite.execute("SAVEPOINT one")
    try:
        write.run(connection)
    except Exception as error:
        # After some errors, a full disk for one, SQLite has taken back the whole transaction.
        if not sqlite.in_transaction:
            raise
        sqlite.execute("ROLLBACK TO one")
        write.fail(error)
    sqlite.execute("RELEASE one")


def _give_back(connection: Connection | None) -> None:
    """Let go of a connection, whatever became of it."""
    if connection is not None:
        with suppress(*COMMON_FAILURES):
            connection.close()


def _tell(writes: list[_Write]) -> None:
    for write in writes:
        write.is_over.set()
