"""The one writer of an SQLite file: a thread, in which writes that wait for each other share a transaction."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar, cast

from sqlalchemy.engine import Connection, Engine

from app.core.batch_thread import BatchThread, Job
from app.stores.sql.drivers.base import CLOSE_SECONDS, COMMON_FAILURES, Work

T = TypeVar("T")


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
        self._connection: Connection | None = None
        self._thread = BatchThread("sqlite writer", self._transact, self._give_back)

    async def run(self, work: Work[T], deadline: float) -> T:
        """Run ``work``; a cancellation waits until it is over.

        Raises:
            TimeoutError: It was not over at ``deadline``, on the event loop's clock. Where it had not begun
                by then, it never will; else it may be committed all the same.
        """
        return await self._thread.run(work, deadline)

    async def close(self) -> None:
        """Run what waits, and end the thread."""
        await self._thread.close(CLOSE_SECONDS)

    def _transact(self, writes: Sequence[Job]) -> None:
        """Run writes in a transaction; those that did not fail by themselves have succeeded."""
        try:
            connection = self._connection = self._connection or self._engine.connect()
            with connection.begin():
                sqlite = cast("sqlite3.Connection", connection.connection.driver_connection)
                begin_and_run(sqlite, writes, connection)
        except BaseException:
            self._give_back()  # the next ones begin with a connection that has no past
            raise
        for write in writes:
            write.succeed()

    def _give_back(self) -> None:
        """Let go of the connection, whatever became of it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*COMMON_FAILURES):
                connection.close()


def begin_and_run(sqlite: sqlite3.Connection, jobs: Sequence[Job], *given: object) -> None:
    """Begin a transaction and run jobs in it, for the caller to commit.

    Args:
        sqlite: A connection that begins no transactions by itself.
        jobs: Each has a savepoint where there are several: one that raises has failed, and the others go on.
        given: What the jobs are given.
    """
    # IMMEDIATE takes the write lock at once. A transaction that reads first and asks for it later can
    # be refused without any wait.
    sqlite.execute("BEGIN IMMEDIATE")
    for job in jobs:
        if len(jobs) == 1:
            job.run(*given)
        else:
            _run_in_savepoint(sqlite, job, *given)


def _run_in_savepoint(sqlite: sqlite3.Connection, job: Job, *given: object) -> None:
    sqlite.execute("SAVEPOINT one")
    try:
        job.run(*given)
    except Exception as error:
        # After some errors, a full disk for one, SQLite has taken back the whole transaction.
        if not sqlite.in_transaction:
            raise
        sqlite.execute("ROLLBACK TO one")
        job.fail(error)
    sqlite.execute("RELEASE one")
