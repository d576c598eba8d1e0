"""Writes that share a transaction: while one is under way the next ones gather."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
from sqlalchemy.engine import Connection

from app.stores.sql.drivers.base import Work, undisturbed

T = TypeVar("T")

_AT_ONCE = 64


class Write:
    """Work that waits for its transaction, and what came of it.

    Args:
        work: The work.
    """

    def __init__(self, work: Work[Any]) -> None:
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None
        self._is_committed = False
        self.called = anyio.Event()
        """It was taken along, or is to lead the next transaction."""
        self.is_taken = False
        self.is_over = anyio.Event()

    def run(self, connection: Connection) -> None:
        """Do the work."""
        self._value = self._work(connection)

    def fail(self, error: BaseException) -> None:
        """Note that nothing came of it; of several reasons the first one counts."""
        self._error = self._error or error

    def settle(self) -> None:
        """Note that its transaction is committed."""
        self._is_committed = self._error is None

    def result(self) -> Any:
        """Return what the work returned, or raise why it is not known to be committed."""
        if not self._is_committed:
            raise self._error or TimeoutError
        return self._value


class WriteQueue:
    """Runs writes, in the order in which they came, as many in a transaction as wait for it.

    A commit costs more than what is committed. The first who comes leads: it runs the writes of all who
    wait, and when it is done the first of those who came meanwhile leads the next transaction.

    Args:
        transact: Runs writes in one transaction until a deadline, and raises only for want of time.
    """

    def __init__(self, transact: Callable[[Sequence[Write], float], Awaitable[None]]) -> None:
        self._transact = transact
        self._waiting: deque[Write] = deque()
        self._is_busy = False

    async def run(self, work: Work[T], deadline: float) -> T:
        """Run ``work``. From its first statement on a cancellation waits.

        Raises:
            TimeoutError: It was not over at ``deadline``, on the event loop's clock. It may be committed all the same.
        """
        mine = Write(work)
        self._waiting.append(mine)
        if self._is_busy:
            await self._wait(mine, deadline)
        if mine.is_taken:
            with undisturbed(deadline):
                await mine.is_over.wait()
        else:
            await self._lead(deadline)
        result: T = mine.result()
        return result

    async def _wait(self, mine: Write, deadline: float) -> None:
        try:
            await mine.called.wait()
        except BaseException:
            if mine.is_taken:
                with undisturbed(deadline):
                    await mine.is_over.wait()
            else:
                self._waiting.remove(mine)
                if mine.called.is_set():
                    self._call_next()
            raise

    async def _lead(self, deadline: float) -> None:
        self._is_busy = True
        writes = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        for write in writes:
            write.is_taken = True
            write.called.set()
        try:
            await self._transact(writes, deadline)
        finally:
            for write in writes:
                write.is_over.set()
            self._call_next()

    def _call_next(self) -> None:
        self._is_busy = bool(self._waiting)
        if self._waiting:
            self._waiting[0].called.set()
