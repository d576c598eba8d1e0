"""What a kind of database has to know, and what they have in common."""

import sqlite3
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")
Work = Callable[[Connection], T]
"""Statements that belong together, and what is made of their answers.

It may run in a thread of its own, so it touches nothing but its connection and what nobody changes meanwhile.
"""

CLOSE_SECONDS = 2.0
"""Longest wait for connections to close."""
RESTED_SECONDS = 10.0
"""A connection to a server that was not used for so long is asked whether it lives before it is used again."""
COMMON_FAILURES: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error, OSError, OverflowError, UnicodeError)
"""What goes wrong on any database, ``Work`` that was given text or numbers that it cannot hold included."""


class Driver(Protocol):
    """Runs work on one database.

    From the first statement on a cancellation waits until the work is done or took too long; then
    ``TimeoutError`` is raised, and the work may be committed all the same.
    """

    failures: tuple[type[Exception], ...]
    """What is raised where the database fails."""
    auto_migrate: bool
    """Whether the tables may be changed without an operator."""

    async def check(self) -> None:
        """Raise where it is plain that there can be no connection."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Run ``work``, which only reads. It waits for no writer; each statement sees what is committed."""
        ...

    async def write(self, work: Work[T], *, at_once: bool) -> T:
        """Run ``work`` in a transaction: committed where it returns, rolled back where it raises.

        Where it is ``at_once``, it is one statement on a server, and needs no transaction around it.
        """
        ...

    async def migrate(self, work: Work[T]) -> T:
        """Run ``work``, which changes tables, in a transaction, however long it takes, with nobody else migrating."""
        ...

    async def dispose(self) -> None:
        """Close every connection."""
        ...
