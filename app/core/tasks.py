"""Work that must not be cut in the middle, and waits that may be cut short."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio

from app.core.bell import Latch

T = TypeVar("T")


async def uninterruptible(work: Coroutine[Any, Any, T], *, on_cancel: Callable[[], None] | None = None) -> T:
    """Finish ``work`` even if the caller is cancelled meanwhile, and then let the cancellation through.

    Args:
        work: Sets its own deadline: nothing else ends it.
        on_cancel: Called when a cancellation waits, so that the work may hurry.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            if on_cancel is not None:
                on_cancel()
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


async def unless(latch: Latch, work: Awaitable[T]) -> T | None:
    """Return what ``work`` returns; None where ``latch`` is set first, which ends the work."""
    result: T | None = None
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await latch.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(stop)
        try:
            result = await work
        except Exception as error:
            failure = error  # raised below as it is, not as a group
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let ``work`` run while the block does, and end with it. What it raises, it must tell in its own way.

    A task group would wrap what the block raises, and end the block when the work fails.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await uninterruptible(_ended(task))


async def until_first(*works: Coroutine[Any, Any, None]) -> None:
    """Do all side by side until the first is done or fails; the others are cut off. Raises what that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await uninterruptible(_ended(*tasks))
    for task in done:
        task.result()


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Wait until cancelled tasks are gone."""
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


class Chores:
    """Small work that nobody waits for, and that is over when its owner is."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin something. What it raises, it must tell in its own way."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    async def close(self, *, grace: float = 0) -> None:
        """Wait for what is under way, so many seconds, and then end it."""
        with anyio.move_on_after(grace):
            await self.settled()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await _ended(*self._tasks)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
