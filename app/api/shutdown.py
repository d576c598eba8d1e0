"""SIGTERM and Ctrl-C: finish the turns first, then let the server go.

uvicorn closes every WebSocket as soon as it is told to stop, so a running turn could not deliver its
end. The signals are therefore taken here first: turns get their grace period and their terminal
events, sockets close with 1012, and only then is the server's own handler called. A second signal
goes straight to it.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import anyio
import structlog

from app.api.deps import Services

log = structlog.stdlib.get_logger("voztaxi")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLOSE_SECONDS = 3.0
"""How long sockets may take to close before the server goes anyway."""

Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def drain_on_signal(services: Services) -> Iterator[None]:
    """Take the stop signals while the server runs. Elsewhere than in the main thread nothing is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Handler] = {}
    draining: asyncio.Task[None] | None = None

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, number)

    def begin(number: int) -> None:
        nonlocal draining
        if draining is None:
            draining = loop.create_task(drain(number))
        else:
            hand_on(number)

    async def drain(number: int) -> None:
        log.info("draining", active_turns=services.streaming.active_turns)
        try:
            await services.streaming.drain(services.settings.shutdown_grace_seconds)
            services.connections.stop()
            with anyio.move_on_after(_CLOSE_SECONDS):
                await services.connections.until_none()
        finally:
            hand_on(number)

    def hand_on(number: int) -> None:
        handler = before.get(number)
        if callable(handler):
            handler(number, None)
        else:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            signal.raise_signal(number)

    for number in _SIGNALS:
        before[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in _SIGNALS:
            if signal.getsignal(number) is on_signal:
                signal.signal(number, before[number])
