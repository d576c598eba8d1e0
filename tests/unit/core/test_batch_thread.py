"""Work for one thread: in order, together where it waited, and over before whoever asked goes on."""

import asyncio
import math
import threading
from collections.abc import Sequence
from functools import partial

import anyio
import pytest

from app.core.batch_thread import BatchThread, Job

pytestmark = pytest.mark.unit


class Together:
    """Does each batch when the test says so, and remembers them."""

    def __init__(self) -> None:
        self.has_begun, self.may_begin = threading.Event(), threading.Semaphore(0)
        self.batches: list[int] = []
        self.ends = 0
        self.thread = BatchThread("test", self._do_all, self._end)

    def _do_all(self, jobs: Sequence[Job]) -> None:
        self.has_begun.set()
        self.may_begin.acquire()
        self.batches.append(len(jobs))
        for job in jobs:
            try:
                job.run()
            except ValueError as error:
                job.fail(error)
            job.succeed()

    def _end(self) -> None:
        self.ends += 1


async def test_what_waits_is_done_together_and_each_has_its_own_result() -> None:
    together = Together()
    done: list[int] = []

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("no")
        done.append(number)
        return number * 10

    asked = [asyncio.create_task(together.thread.run(partial(work, number), math.inf)) for number in range(6)]
    await asyncio.sleep(0)  # all are asked
    together.may_begin.release(6)
    results = await asyncio.gather(*asked, return_exceptions=True)
    await together.thread.close(5)

    assert [repr(each) for each in results] == ["0", "10", "20", "ValueError('no')", "40", "50"]
    assert done == [0, 1, 2, 4, 5]
    assert sum(together.batches) == 6
    assert len(together.batches) <= 2, "all but the first waited"
    assert together.ends == 1


async def test_where_a_batch_breaks_who_had_not_failed_before_fails_of_that() -> None:
    def break_down(_jobs: Sequence[Job]) -> None:
        raise OSError("the disk is full")

    thread = BatchThread("test", break_down, lambda: None)
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            await thread.run(lambda: None, math.inf)
    await thread.close(5)


async def test_what_has_not_begun_in_time_never_does() -> None:
    together = Together()
    done: list[str] = []
    first = asyncio.create_task(together.thread.run(lambda: done.append("first"), math.inf))
    await asyncio.sleep(0)
    await asyncio.to_thread(together.has_begun.wait)

    with pytest.raises(TimeoutError):
        await together.thread.run(lambda: done.append("late"), anyio.current_time() + 0.05)
    together.may_begin.release(2)
    await first
    await together.thread.run(lambda: done.append("next"), math.inf)
    await together.thread.close(5)

    assert done == ["first", "next"]


async def test_a_cancellation_waits_until_what_has_begun_is_over() -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        may_end.wait()
        done.append("it")

    def do_all(jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.run()
            job.succeed()

    thread = BatchThread("test", do_all, lambda: None)
    asked = asyncio.create_task(thread.run(work, math.inf))
    await asyncio.to_thread(begun.wait)
    asked.cancel()
    await asyncio.sleep(0)
    assert not asked.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await thread.close(5)

    assert done == ["it"]


async def test_it_ends_where_nothing_was_ever_asked() -> None:
    together = Together()

    await together.thread.close(5)

    assert together.ends == 1
