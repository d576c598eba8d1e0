"""Worker processes: warm, replaced when they break, stopped when nobody wants their answer, gone with the server."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import psutil
import pytest

from app.core.errors import SttError
from app.engines.worker import WorkerPool
from tests.worker_models import load_for_ever, load_never, load_obedient

pytestmark = pytest.mark.contract

Pool = WorkerPool[str, str]


@asynccontextmanager
async def open_pool(**options: object) -> AsyncIterator[Pool]:
    pool: Pool = WorkerPool("obedient", options.pop("load", load_obedient), error=SttError, **options)
    async with pool.open():
        yield pool


async def answer(pool: Pool, order: str) -> list[str]:
    return [piece async for piece in pool.submit(order).pieces()]


async def until(comes: Callable[[], bool]) -> None:
    """Wait for what nothing announces: other processes, and the log."""
    while not comes():  # noqa: ASYNC110
        await anyio.sleep(0.01)


async def test_pieces_come_in_order_from_a_model_that_is_loaded_once(tmp_path: Path) -> None:
    loads = tmp_path / "loads"
    async with open_pool(load=partial(load_obedient, loads)) as pool:
        await pool.warm()

        assert await answer(pool, "say uno dos tres") == ["uno", "dos", "tres"]
        assert await answer(pool, "say cuatro") == ["cuatro"]
    assert len(loads.read_text().split()) == 1


async def test_a_crash_fails_its_call_and_the_next_has_a_fresh_process() -> None:
    async with open_pool() as pool:
        [before] = await answer(pool, "pid")
        with pytest.raises(SttError):
            await answer(pool, "crash")

        [after] = await answer(pool, "pid")
        assert after != before


async def test_a_process_that_dies_while_idle_fails_no_call() -> None:
    async with open_pool() as pool:
        [pid] = await answer(pool, "pid")
        psutil.Process(int(pid)).kill()
        # With all its threads: its first one may be gone before.
        has_ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        await until(lambda: os.waitid(os.P_PID, int(pid), has_ended) is not None)

        assert await answer(pool, "say aquí") == ["aquí"]


async def test_a_hang_fails_at_the_deadline_and_the_next_call_is_served() -> None:
    async with open_pool(timeout=3) as pool:
        [pid] = await answer(pool, "pid")
        with pytest.raises(SttError):
            await answer(pool, "hang")

        await until(lambda: not psutil.pid_exists(int(pid)))
        await pool.warm()
        async with aclosing(pool.submit("say aquí").pieces()) as pieces:
            assert await anext(pieces) == "aquí"


async def test_an_error_of_the_model_fails_its_call_alone_and_tells_nothing_of_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_pool() as pool:
        [before] = await answer(pool, "pid")
        with pytest.raises(SttError) as failed:
            await answer(pool, "fail mi dirección")

        assert await answer(pool, "pid") == [before]
    assert "dirección" not in caplog.text + str(failed.value)
    assert "ValueError" in caplog.text


async def test_a_closed_answer_stops_the_work_and_keeps_the_process() -> None:
    async with open_pool() as pool:
        [before] = await answer(pool, "pid")
        async with aclosing(pool.submit("endless").pieces()) as pieces:
            assert await anext(pieces) == "more"

        assert await answer(pool, "pid") == [before]


async def test_work_that_does_not_stop_is_ended_with_its_process() -> None:
    async with open_pool(timeout=60) as pool:
        [before] = await answer(pool, "pid")
        async with aclosing(pool.submit("hang").pieces()) as pieces:
            await anext(pieces)

        [after] = await answer(pool, "pid")
        assert after != before


async def test_a_cancelled_task_stops_the_work() -> None:
    async with open_pool() as pool:
        [before] = await answer(pool, "pid")
        begun = anyio.Event()

        async def listen() -> None:
            async with aclosing(pool.submit("endless").pieces()) as pieces:
                async for _ in pieces:
                    begun.set()

        task = asyncio.create_task(listen())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert await answer(pool, "pid") == [before]


async def test_the_most_urgent_call_is_next(tmp_path: Path) -> None:
    async with open_pool() as pool:
        busy = pool.submit(f"until {tmp_path / 'go'}").pieces()
        assert await anext(busy) == "begun"
        later, sooner = pool.submit("pid", urgency=2), pool.submit("pid", urgency=1)
        order: list[str] = []

        async def note(name: str, call: object) -> None:
            await call.last()
            order.append(name)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(note, "later", later)
            tasks.start_soon(note, "sooner", sooner)
            await anyio.Path(tmp_path / "go").touch()
            assert [piece async for piece in busy] == ["done"]

        assert order == ["sooner", "later"]


async def test_a_call_that_is_abandoned_while_it_waits_is_never_run(tmp_path: Path) -> None:
    async with open_pool() as pool:
        busy = pool.submit(f"until {tmp_path / 'go'}").pieces()
        await anext(busy)
        assert not pool.is_idle
        waits = pool.submit("crash")
        waits.abandon()
        await anyio.Path(tmp_path / "go").touch()
        [pid] = [piece async for piece in busy]

        assert await answer(pool, "say bien") == ["bien"]
        assert await waits.last() is None
        assert pid == "done"


async def test_a_call_that_is_given_up_stops_none_that_was_asked_before_it() -> None:
    async with open_pool() as pool:
        async with aclosing(pool.submit("endless").pieces()) as busy:
            await anext(busy)
            before = pool.submit("say uno dos", urgency=1)
            overtakes = pool.submit("endless", urgency=0)
        async with aclosing(overtakes.pieces()) as pieces:
            await anext(pieces)

        assert [piece async for piece in before.pieces()] == ["uno", "dos"]


async def test_two_workers_answer_at_once(tmp_path: Path) -> None:
    async with open_pool(processes=2) as pool:
        first = pool.submit(f"until {tmp_path / 'go'}").pieces()
        await anext(first)

        assert await answer(pool, "say también") == ["también"]
        await anyio.Path(tmp_path / "go").touch()
        assert [piece async for piece in first] == ["done"]


@pytest.mark.parametrize("load", [load_never, load_for_ever])
async def test_a_model_that_does_not_load_is_an_error_at_the_start_and_for_every_call(load: object) -> None:
    async with open_pool(load=load, load_timeout=2) as pool:
        with pytest.raises(SttError):
            await pool.warm()
        for _ in range(2):
            with pytest.raises(SttError):
                await answer(pool, "pid")


async def test_what_a_library_prints_disturbs_nothing_and_is_logged_as_personal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with open_pool() as pool:
        assert await answer(pool, "print calle setenta") == ["printed"]
        await until(lambda: "pii_printed" in caplog.text)


async def test_no_process_is_left_when_the_pool_is_closed_in_the_middle_of_a_call() -> None:
    async with open_pool() as pool:
        [pid] = await answer(pool, "pid")
        hanging = pool.submit("hang").pieces()
        await anext(hanging)

    assert not psutil.pid_exists(int(pid))
    with pytest.raises(SttError):
        await anext(hanging)


def test_a_worker_ends_with_its_server_however_that_ends() -> None:
    program = """
import anyio
from app.core.errors import SttError
from app.engines.worker import WorkerPool
from tests.worker_models import load_obedient

async def main():
    pool = WorkerPool("obedient", load_obedient, error=SttError)
    async with pool.open():
        async for pid in pool.submit("pid").pieces():
            print(pid, flush=True)
        async for _ in pool.submit("hang").pieces():
            print("hangs", flush=True)

anyio.run(main)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        worker = psutil.Process(int(server.stdout.readline()))
        assert server.stdout.readline() == "hangs\n"
        server.kill()

        psutil.wait_procs([worker])
        assert not worker.is_running()


async def test_a_worker_stands_back_behind_the_server() -> None:
    async with open_pool() as pool:
        [pid] = await answer(pool, "pid")

        assert psutil.Process(int(pid)).nice() > psutil.Process().nice()
