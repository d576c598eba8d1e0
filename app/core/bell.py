"""Waiting for what happens again and again, or once.

Events of asyncio and anyio hold a queue of 0.7 KiB each, whether somebody waits or not. What every connection or turn
has one of is lighter.
"""

import asyncio


class Bell:
    """Wakes all who wait when it rings; who comes later waits for the next time.

    An event would have to be made anew for each time, with a queue of its own: for what happens with every word a
    future for each wait is a third of that. Not for several threads.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake whoever waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)

    async def wait(self) -> None:
        """Wait until it rings."""
        ring: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(ring)
        try:
            await ring
        except BaseException:
            if ring in self._waiting:
                self._waiting.remove(ring)
            raise


class Latch:
    """What happens once and stays so, for who waits and who comes later. Not for several threads."""

    __slots__ = ("_bell", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._bell = Bell()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    def set(self) -> None:
        """Say that it has happened."""
        self._is_set = True
        self._bell.ring()

    async def wait(self) -> None:
        """Return once it has happened."""
        while not self._is_set:
            await self._bell.wait()
