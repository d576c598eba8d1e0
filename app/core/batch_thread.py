"""A thread of its own, in which work that waits for its turn is done together."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from anyio import to_thread

from app.core.deadlines import undisturbed

T = TypeVar("T")

_AT_ONCE = 64


class Job:
    """Work that waits, and what came of it. Whoever does a batch runs each and says how it ended."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.done: Future[Any] = Future()
        self.is_over = asyncio.Event()
        self._context: Context = copy_context()
        self._work = work
        self._value: Any = None

    def run(self, *given: Any) -> None:
        """Do it. Nobody is told until it is said to have succeeded or failed."""
        self._value = self._context.run(self._work, *given)

    def succeed(self) -> None:
        """Say that it is done and lasts, unless it failed."""
        if not self.done.done():
            self.done.set_result(self._value)

    def fail(self, error: BaseException) -> None:
        """Say that it failed, unless that was said before."""
        if not self.done.done():
            self.done.set_exception(error)


class BatchThread:
    """Does work in the order in which it came. What came while the thread was busy makes up the next batch.

    Args:
        name: Of the thread.
        do_all: Does a batch, in the thread; each job has succeeded or failed when it returns. Where it raises, those
            that have done neither failed of that.
        end: Called when the thread ends, in it; in another one where there was nothing to do.
    """

    def __init__(self, name: str, do_all: Callable[[Sequence[Job]], None], end: Callable[[], None]) -> None:
        self._name = name
        self._do_all = do_all
        self._end = end
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Callable[..., T], deadline: float) -> T:
        """Have ``work`` done; a cancellation waits until it is over.

        Raises:
            TimeoutError: It was not over at ``deadline``, on the event loop's clock. Where it had not begun
                by then, it never will; else it may be done all the same.
        """
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._do, name=self._name, daemon=True)
            self._thread.start()
        job = Job(work)
        self._queue.put(job)
        with undisturbed(deadline):
            try:
                await job.is_over.wait()
            except BaseException:
                # The time is up, or asyncio cancelled the task itself, which no scope of anyio's prevents.
                if not job.done.cancel():
                    await job.is_over.wait()
                raise
        result: T = job.done.result()
        return result

    async def close(self, seconds: float) -> None:
        """Do what waits, and end the thread, unless that takes longer than so many seconds."""
        thread, self._thread = self._thread, None
        if thread is None:
            await to_thread.run_sync(self._end)
        else:
            self._queue.put(None)
            await to_thread.run_sync(thread.join, seconds)

    def _do(self) -> None:
        is_open = True
        while is_open:
            waiting = [self._queue.get()]
            with suppress(Empty):
                while len(waiting) < _AT_ONCE:
                    waiting.append(self._queue.get_nowait())
            is_open = None not in waiting
            jobs = [each for each in waiting if each is not None and each.done.set_running_or_notify_cancel()]
            if jobs:
                try:
                    self._do_all(jobs)
                except BaseException as error:
                    for job in jobs:
                        job.fail(error)
                assert self._loop is not None, "it is known before anything is queued"
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self._loop.call_soon_threadsafe(_tell, jobs)
        self._end()


def _tell(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.is_over.set()
