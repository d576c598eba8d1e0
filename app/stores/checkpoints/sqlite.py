"""Checkpoints in an SQLite file."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

T = TypeVar("T")


class ThreadedSqliteSaver(SqliteSaver):
    """LangGraph's saver, each operation in a worker thread, one at a time.

    LangGraph's own asynchronous one goes to its thread and back for every statement, and for every cursor
    that is opened or closed; that costs more than the statements do.

    Args:
        connection: Open for as long as the saver is used, and by any thread.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._thread = anyio.CapacityLimiter(1)

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

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._thread)


@asynccontextmanager
async def open_sqlite(path: str) -> AsyncIterator[ThreadedSqliteSaver]:
    """Open the checkpoints in a file, which is made where it is missing.

    SQLite has one writer per file: let it be another one than the database's, so that neither waits
    for the other.
    """
    connection = await to_thread.run_sync(_connect, path)
    try:
        saver = ThreadedSqliteSaver(connection)
        await saver._in_thread(saver.setup)
        yield saver
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(connection.close)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-512")  # as the database's
    return connection
