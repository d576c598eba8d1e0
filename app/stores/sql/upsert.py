"""Inserts that may meet a row: the one construct that every database spells for itself."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Rows = Sequence[dict[str, Any]]


async def insert_new(connection: AsyncConnection, table: Table, rows: Rows, *, keys: Sequence[str]) -> None:
    """Insert ``rows``; one whose ``keys`` are there already is left out."""
    if rows:
        statement = _insert(connection, table).on_conflict_do_nothing(index_elements=keys)
        await connection.execute(statement, rows)


async def insert_or_update(
    connection: AsyncConnection, table: Table, rows: Rows, *, keys: Sequence[str], update: Sequence[str]
) -> None:
    """Insert ``rows``; one whose ``keys`` are there already sets the fields ``update`` of what is there."""
    if rows:
        statement = _insert(connection, table)
        given = {name: statement.excluded[name] for name in update}
        await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=given), rows)


def _insert(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
