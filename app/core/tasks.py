"""Work that must not be cut in the middle, and waits that may be cut short."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio

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


async def unless(event: anyio.Event, work: Awaitable[T]) -> T | None:
    """Return what ``work`` returns; None where ``event`` is set first, which ends the work."""
    result: T | None = None
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await event.wait()
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
