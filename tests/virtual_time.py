"""Runs asynchronous code whose clock jumps to whatever is waited for: minutes of sound pass in no time."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but what happens now; the time that it would have waited has passed."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a coroutine function on a virtual clock."""
    return anyio.run(function, *args, backend_options={"loop_factory": VirtualLoop})
