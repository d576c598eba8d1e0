"""Waiting for a place where few are served at once."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Places:
    """So many are served at once, in the order in which they came.

    A queue is no failure. Who waits for a place fails only where one that has a place was not served in time, and
    nobody else was meanwhile. Then all who wait fail with it, and not one after the other.

    Args:
        count: How many are served at once.
    """

    def __init__(self, count: int) -> None:
        self._limiter = anyio.CapacityLimiter(count)
        self._served_at = -math.inf
        self._waiting: set[anyio.CancelScope] = set()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a place, and have it for as long as the block, which raises ``TimeoutError`` where it took too long.

        Raises:
            TimeoutError: Others who had a place were not served.
        """
        whoever = object()
        try:
            self._limiter.acquire_on_behalf_of_nowait(whoever)
        except anyio.WouldBlock:
            await self._wait(whoever)
        since = anyio.current_time()
        try:
            yield
            self._served_at = anyio.current_time()
        except TimeoutError:
            if self._served_at < since:
                for each in self._waiting:
                    each.cancel()
            raise
        finally:
            self._limiter.release_on_behalf_of(whoever)

    async def _wait(self, whoever: object) -> None:
        with anyio.CancelScope() as waiting:
            self._waiting.add(waiting)
            try:
                await self._limiter.acquire_on_behalf_of(whoever)
            finally:
                self._waiting.discard(waiting)
        if waiting.cancelled_caught:
            raise TimeoutError
