"""A microphone that is always open: 20 milliseconds of sound at a time, silence where nobody speaks."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import numpy as np

from app.models.audio import HEARING_RATE

FRAME_MS = 20
FRAME_BYTES = 2 * HEARING_RATE * FRAME_MS // 1000
_LOUD = 0.01
"""Of full scale; an utterance begins and ends with the first and the last sample that is louder."""


@dataclass(slots=True)
class Said:
    """An utterance on its way through the microphone. Times are seconds, monotonic; infinite until they come."""

    pcm: bytes
    starts_at: float = float("inf")
    """When its first loud sample was sent."""
    ends_at: float = float("inf")
    """When its last loud sample was sent."""


class Microphone:
    """Sends sound in real time, or faster.

    Args:
        send: Takes a frame of mono ``pcm_s16le`` at ``HEARING_RATE``.
        pace: How many times as fast as real time.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], pace: float = 1.0) -> None:
        self._send = send
        self._pace = pace
        self._waiting: list[tuple[Said, anyio.Event]] = []
        self.is_muted = False
        """Nothing is sent at all: the line is open, and nobody holds it."""
        self.behind_s = 0.0
        """How far the sending fell behind its clock at most: a busy machine."""

    async def run(self) -> None:
        """Send for ever."""
        began = time.monotonic()
        count = 0
        said: Said | None = None
        done = anyio.Event()
        place = 0
        silence = bytes(FRAME_BYTES)
        while True:
            count += 1
            due = began + count * FRAME_MS / 1000 / self._pace
            await anyio.sleep(max(0.0, due - time.monotonic()))
            self.behind_s = max(self.behind_s, time.monotonic() - due)
            if said is None and self._waiting:
                said, done = self._waiting.pop(0)
                place = 0
            if self.is_muted:
                continue
            if said is None:
                await self._send(silence)
                continue
            frame = said.pcm[place : place + FRAME_BYTES]
            await self._send(frame.ljust(FRAME_BYTES, b"\0"))
            now = time.monotonic()
            first, last = loud_bounds(said.pcm)
            if place <= first < place + FRAME_BYTES:
                said.starts_at = now
            if place <= last < place + FRAME_BYTES:
                said.ends_at = now
            place += FRAME_BYTES
            if place >= len(said.pcm):
                done.set()
                said = None

    async def say(self, pcm: bytes) -> Said:
        """Speak, after what is already being said; return when the last of it was sent."""
        said, done = Said(pcm), anyio.Event()
        self._waiting.append((said, done))
        await done.wait()
        return said

    def begin(self, pcm: bytes) -> Said:
        """Speak, and do not wait."""
        said = Said(pcm)
        self._waiting.append((said, anyio.Event()))
        return said


def loud_bounds(pcm: bytes) -> tuple[int, int]:
    """Return the bytes at which the first and the last loud sample lie; both ends where none is loud."""
    samples = np.frombuffer(pcm, dtype="<i2")
    loud = np.nonzero(np.abs(samples.astype(np.int32)) > _LOUD * 32768)[0]
    if not loud.size:
        return 0, max(0, len(pcm) - 2)
    return 2 * int(loud[0]), 2 * int(loud[-1])
