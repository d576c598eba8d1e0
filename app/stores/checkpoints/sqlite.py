"""Checkpoints in an SQLite file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@asynccontextmanager
async def open_sqlite(path: str) -> AsyncIterator[AsyncSqliteSaver]:
    """Open the checkpoints in a file, which is made where it is missing.

    SQLite has one writer per file: let it be another one than the database's, so that neither waits
    for the other.
    """
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield saver
