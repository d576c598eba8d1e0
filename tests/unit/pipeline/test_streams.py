"""The hand-off between stages."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.streams import Outlet

pytestmark = pytest.mark.unit


async def test_a_producer_waits_for_room() -> None:
    outlet: Outlet[int] = Outlet(room=1)
    put: list[int] = []

    async def produce() -> None:
        for number in range(5):
            await outlet.put(number)
            put.append(number)
        outlet.finish()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        assert put == [0]
        taken = [number async for number in outlet]

    assert taken == [0, 1, 2, 3, 4]


async def test_what_was_put_and_not_taken_can_be_looked_at_also_after_a_cancel() -> None:
    outlet: Outlet[int] = Outlet(room=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outlet.put, 1)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    assert outlet.abandon() == [1]
    await outlet.put(2)
    assert outlet.abandon() == [1, 2]


@given(st.lists(st.integers()), st.integers(0, 3))
def test_items_come_out_as_they_went_in(items: list[int], room: int) -> None:
    async def run() -> list[int]:
        outlet: Outlet[int] = Outlet(room)

        async def produce() -> None:
            for item in items:
                await outlet.put(item)
            outlet.finish()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(produce)
            return [item async for item in outlet]

    assert anyio.run(run) == items


async def test_a_failure_comes_before_what_was_put_and_the_rest_can_be_looked_at() -> None:
    outlet: Outlet[int] = Outlet(room=3)
    for number in (1, 2, 3):
        await outlet.put(number)
    assert await anext(outlet) == 1
    outlet.fail(ValueError("broken"))

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await anext(outlet)
    assert outlet.is_finished
    assert outlet.abandon() == [2, 3]


async def test_a_failure_wakes_who_waits_for_the_next() -> None:
    outlet: Outlet[int] = Outlet()

    async def take() -> None:
        with pytest.raises(ValueError, match="broken"):
            await anext(outlet)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        outlet.fail(ValueError("broken"))
