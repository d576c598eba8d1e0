"""Checkpoints in an SQLite file."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

from app.core.batch_thread import BatchThread, Job
from app.core.errors import StoreError
from app.stores.sql.drivers.base import CLOSE_SECONDS
from app.stores.sql.drivers.sqlite import BUSY_SECONDS, prepare
from app.stores.sql.drivers.sqlite_writer import begin_and_run

T = TypeVar("T")


class ThreadedSqliteSaver(SqliteSaver):
    """LangGraph's saver in a thread of its own; operations that wait for each other share a transaction.

    LangGraph's own asynchronous one goes to its thread and back for every statement, and for every cursor
    that is opened or closed; that costs more than the statements do. Its other one commits each operation.

    Args:
        connection: Open for as long as the saver is used, by any thread. It begins no transactions by itself.
        timeout: Longest that an operation may take, in seconds, the wait for its turn included.
    """

    def __init__(self, connection: sqlite3.Connection, *, timeout: float) -> None:
        super().__init__(connection)
        self._timeout = timeout
        self._thread = BatchThread("sqlite checkpoints", self._transact, end=connection.close)

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """Give a cursor of the transaction that runs, to LangGraph's operations."""
        with closing(self.conn.cursor()) as cursor:
            yield cursor

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint."""
        return await self._in_thread(partial(self.get_tuple, config))

    async def alist(self, config: RunnableConfig | None, **selection: Any) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first. They are read before the first one is looked at."""

        def read() -> list[CheckpointTuple]:
            found: Iterator[CheckpointTuple] = self.list(config, **selection)
            return list(found)

        for each in await self._in_thread(read):
            yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint."""
        return await self._in_thread(partial(self.put, config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a step has done so far."""
        await self._in_thread(partial(self.put_writes, config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        await self._in_thread(partial(self.delete_thread, thread_id))

    async def close(self) -> None:
        """Do what waits, and close the connection."""
        await self._thread.close(CLOSE_SECONDS)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await self._thread.run(work, anyio.current_time() + self._timeout)
        except (sqlite3.Error, OSError) as error:  # TimeoutError is one
            raise StoreError from error

    def _transact(self, jobs: Sequence[Job]) -> None:
        """Run operations in a transaction; those that did not fail by themselves have succeeded."""
        try:
            begin_and_run(self.conn, jobs)
            self.conn.execute("COMMIT")
        finally:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
        for job in jobs:
            job.succeed()


@asynccontextmanager
async def open_sqlite(path: str, *, timeout: float = 6.0) -> AsyncIterator[ThreadedSqliteSaver]:
    """Open the checkpoints in a file, which is made where it is missing.

    SQLite has one writer per file: let it be another one than the database's, so that neither waits
    for the other.

    Args:
        path: The file, whose folder must exist.
        timeout: Longest that an operation may take, in seconds; a little more than SQLite's own wait for another
            process, so that its clearer error comes first.
    """
    saver = await to_thread.run_sync(_open, path, timeout)
    try:
        yield saver
    finally:
        with anyio.CancelScope(shield=True):
            await saver.close()


def _open(path: str, timeout: float) -> ThreadedSqliteSaver:
    connection = sqlite3.connect(path, check_same_thread=False)
    prepare(connection, busy_seconds=min(BUSY_SECONDS, timeout))
    saver = ThreadedSqliteSaver(connection, timeout=timeout)
    saver.setup()
    return saver
