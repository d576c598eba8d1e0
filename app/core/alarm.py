"""A wait that ends at a moment, or earlier."""

import asyncio


class Alarm:
    """Wakes a task when it is due, or when somebody rings: a cancel scope for every short wait would cost more."""

    def __init__(self) -> None:
        self.rang = False
        """Whether somebody rang: nobody waits any more."""
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """End the wait, and every further one."""
        self.rang = True
        self._wake()

    async def wait_until(self, when: float) -> None:
        """Wait; one task at a time.

        Args:
            when: Seconds of the event loop's clock. Also where that is past, other tasks have their turn.
        """
        if self.rang:
            return
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_at(when, self._wake)
        try:
            await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
