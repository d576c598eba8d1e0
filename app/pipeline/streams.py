"""How one stage hands to the next."""

from typing import Generic, TypeVar

from app.core.bell import Bell

T = TypeVar("T")


class Outlet(Generic[T]):
    """A bounded hand-off that loses nothing: what was put and not taken can be looked at afterwards.

    ``put`` adds the item first and then waits for room, so a producer that is cancelled while it
    waits has still delivered. One producer at a time, one consumer.

    A producer's failure comes before what it had put: who takes stops at once, and looks at the rest afterwards.

    Args:
        room: Items that may lie untaken before ``put`` waits.
    """

    def __init__(self, room: int = 1) -> None:
        self._room = room
        self._items: list[T] = []
        self._added = Bell()
        self._taken = Bell()
        self.is_finished = False
        """No item follows."""
        self.is_abandoned = False
        """Nobody takes any more."""
        self._failure: Exception | None = None

    async def put(self, item: T) -> None:
        """Add an item; return when there is room for another."""
        self._items.append(item)
        self._added.ring()
        while len(self._items) > self._room and not self.is_abandoned:
            await self._taken.wait()

    def finish(self) -> None:
        """Say that no item follows."""
        self.is_finished = True
        self._added.ring()

    def fail(self, failure: Exception) -> None:
        """Say that no item follows, and why: ``failure`` is raised where the next one would be taken."""
        self._failure = failure
        self.finish()

    def abandon(self) -> list[T]:
        """Stop taking: producers wait no longer. Returns what was not taken."""
        self.is_abandoned = True
        self._taken.ring()
        return list(self._items)

    def __aiter__(self) -> "Outlet[T]":
        """Iterate over the items as they come, until ``finish`` or ``fail``."""
        return self

    async def __anext__(self) -> T:
        """Take the next item."""
        while self._failure is None and not self._items:
            if self.is_finished:
                raise StopAsyncIteration
            await self._added.wait()
        if self._failure is not None:
            raise self._failure
        self._taken.ring()
        return self._items.pop(0)
