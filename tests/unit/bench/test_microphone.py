"""A microphone that is always open."""

import time

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from app.bench.microphone import FRAME_BYTES, Microphone, loud_bounds

pytestmark = pytest.mark.unit


def speech(milliseconds: int) -> bytes:
    return (np.full(16 * milliseconds, 5000, dtype="<i2")).tobytes()


async def test_it_sends_silence_then_what_is_said_then_silence_and_says_when_it_was_loud() -> None:
    sent: list[tuple[float, bytes]] = []

    async def send(frame: bytes) -> None:
        sent.append((time.monotonic(), frame))

    microphone = Microphone(send, pace=20)
    async with anyio.create_task_group() as group:
        group.start_soon(microphone.run)
        while not sent:
            await anyio.lowlevel.checkpoint()
        said = await microphone.say(bytes(640) + speech(90))
        count = len(sent)
        while len(sent) < count + 2:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    sound = b"".join(frame for _, frame in sent)
    assert {len(frame) for _, frame in sent} == {FRAME_BYTES}
    assert sound.strip(b"\0") == speech(90).strip(b"\0")
    loud = [at for at, frame in sent if any(frame)]
    assert said.starts_at >= loud[0]
    assert said.ends_at >= loud[-1]
    assert said.starts_at < said.ends_at


async def test_who_holds_no_telephone_sends_nothing() -> None:
    sent: list[bytes] = []

    async def send(frame: bytes) -> None:
        sent.append(frame)

    microphone = Microphone(send, pace=50)
    microphone.is_muted = True
    with anyio.move_on_after(0.05):
        await microphone.run()
    assert not sent


def test_the_bounds_of_what_is_loud_are_found() -> None:
    assert loud_bounds(bytes(100) + speech(10) + bytes(60)) == (100, 100 + 320 - 2)
    assert loud_bounds(bytes(100)) == (0, 98)
