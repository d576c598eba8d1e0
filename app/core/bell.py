"""Waiting for what happens again and again."""

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
