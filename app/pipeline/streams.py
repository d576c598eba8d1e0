"""How one stage hands to the next."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Outlet(Generic[T]):
    """A bounded hand-off that loses nothing: what was put and not taken can be looked at afterwards.

    ``put`` adds the item first and then waits for room, so a producer that is cancelled while it
    waits has still delivered. One producer at a time, one consumer.

    Args:
        room: Items that may lie untaken before ``put`` waits.
    """

    def __init__(self, room: int = 1) -> None:
        self._room = room
        self._items: deque[T] = deque()
        self._added = asyncio.Event()
        self._taken = asyncio.Event()
        self._finished = False
        self._abandoned = False

    async def put(self, item: T) -> None:
        """Add an item; return when there is room for another."""
        self._items.append(item)
        self._added.set()
        while len(self._items) > self._room and not self._abandoned:
            self._taken = asyncio.Event()
            await self._taken.wait()

    def finish(self) -> None:
        """Say that no item follows."""
        self._finished = True
        self._added.set()

    def abandon(self) -> list[T]:
        """Stop taking: producers wait no longer. Returns what was not taken."""
        self._abandoned = True
        self._taken.set()
        return list(self._items)

    def __aiter__(self) -> "Outlet[T]":
        """Iterate over the items as they come, until ``finish``."""
        return self

    async def __anext__(self) -> T:
        """Take the next item."""
        while not self._items:
            if self._finished:
                raise StopAsyncIteration
            self._added = asyncio.Event()
            await self._added.wait()
        self._taken.set()
        return self._items.popleft()
