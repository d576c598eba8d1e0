"""Inserts that may meet a row: the one construct that every database spells for itself."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func
from sqlalchemy.dialects import postgresql, sqlite

Rows = Sequence[dict[str, Any]]
Names = tuple[str, ...]
Insert = sqlite.Insert | postgresql.Insert


def insert_new(connection: Connection, table: Table, rows: Rows, *, keys: Names) -> None:
    """Insert ``rows``; one whose ``keys`` are there already is left out."""
    if rows:
        connection.execute(_insert_new(connection.dialect.name, table, keys), rows)


def insert_if_new(connection: Connection, table: Table, row: dict[str, Any], *, keys: Names) -> bool:
    """Insert ``row`` and return True, unless its ``keys`` are there already."""
    result = connection.execute(_insert_new(connection.dialect.name, table, keys), row)
    return bool(result.rowcount)


def insert_or_update(connection: Connection, table: Table, rows: Rows, *, keys: Names, update: Names) -> None:
    """Insert ``rows``. One whose ``keys`` are there already sets the fields ``update`` of what is there."""
    if rows:
        connection.execute(_insert_or_update(connection.dialect.name, table, keys, update), rows)


def insert_or_fill(
    connection: Connection, table: Table, row: dict[str, Any], *, keys: Names, update: Names, fill: Names
) -> RowMapping:
    """Insert ``row``, or set the fields ``update`` of what is there, and the fields ``fill`` that are NULL there.

    Returns:
        What is there then.
    """
    statement = _insert_or_update(connection.dialect.name, table, keys, update, fill)
    return connection.execute(statement, row).mappings().one()


# Building these statements takes longer than running them; there is a handful of each.
@lru_cache(maxsize=64)
def _insert_new(dialect: str, table: Table, keys: Names) -> Insert:
    return _insert(dialect, table).on_conflict_do_nothing(index_elements=keys)


@lru_cache(maxsize=64)
def _insert_or_update(dialect: str, table: Table, keys: Names, update: Names, fill: Names = ()) -> Any:
    statement = _insert(dialect, table)
    given: dict[str, Any] = {name: statement.excluded[name] for name in update}
    given |= {name: func.coalesce(table.c[name], statement.excluded[name]) for name in fill}
    filled = statement.on_conflict_do_update(index_elements=keys, set_=given)
    return filled.returning(table) if fill else filled


def _insert(dialect: str, table: Table) -> Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
