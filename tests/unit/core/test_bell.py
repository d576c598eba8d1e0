import asyncio

import pytest

from app.core.bell import Bell, Latch

pytestmark = pytest.mark.unit


async def test_all_who_wait_are_woken_and_who_comes_later_waits_for_the_next_time() -> None:
    bell, woken = Bell(), []

    async def wait(name: str) -> None:
        await bell.wait()
        woken.append(name)

    bell.ring()  # nobody waits: it is not remembered
    tasks = [asyncio.create_task(wait("one")), asyncio.create_task(wait("two"))]
    await asyncio.sleep(0)
    bell.ring()
    late = asyncio.create_task(wait("late"))
    await asyncio.wait(tasks)
    assert woken == ["one", "two"]
    bell.ring()
    await late
    assert woken == ["one", "two", "late"]


async def test_who_gives_up_is_forgotten_and_the_others_are_woken() -> None:
    bell = Bell()
    given_up, patient = asyncio.create_task(bell.wait()), asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    bell.ring()
    await patient
    assert not bell._waiting


async def test_who_is_cancelled_as_it_rings_takes_nobody_with_them() -> None:
    bell = Bell()
    cancelled, patient = asyncio.create_task(bell.wait()), asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    cancelled.cancel()
    bell.ring()
    await patient
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_what_has_happened_stays_so_for_who_waits_and_who_comes_later() -> None:
    latch, woken = Latch(), []

    async def wait(name: str) -> None:
        await latch.wait()
        woken.append(name)

    tasks = [asyncio.create_task(wait("one")), asyncio.create_task(wait("two"))]
    await asyncio.sleep(0)
    assert not latch.is_set()
    latch.set()
    assert latch.is_set()
    await asyncio.wait(tasks)
    await wait("late")
    latch.set()
    assert woken == ["one", "two", "late"]
