"""A wait that ends at a moment, or earlier."""

import asyncio

import anyio
import pytest

from app.core.alarm import Alarm

pytestmark = pytest.mark.unit


async def test_a_wait_ends_when_it_is_due() -> None:
    alarm = Alarm()
    due = anyio.current_time() + 0.02
    await alarm.wait_until(due)

    assert anyio.current_time() >= due - 0.002
    assert not alarm.rang


async def test_a_wait_ends_when_somebody_rings_and_every_further_one_at_once() -> None:
    alarm = Alarm()
    asyncio.get_running_loop().call_soon(alarm.ring)
    for _ in range(3):
        await alarm.wait_until(anyio.current_time() + 1000)

    assert alarm.rang


async def test_others_have_their_turn_where_it_is_past() -> None:
    alarm = Alarm()
    had_their_turn = anyio.Event()
    asyncio.get_running_loop().call_soon(had_their_turn.set)
    await alarm.wait_until(0)

    assert had_their_turn.is_set()


async def test_who_is_cancelled_leaves_an_alarm_that_can_be_used() -> None:
    alarm = Alarm()
    with anyio.move_on_after(0):
        await alarm.wait_until(anyio.current_time() + 1000)
    await alarm.wait_until(0)

    assert not alarm.rang
