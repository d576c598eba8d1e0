"""Clients that others wrote for Socket.IO: the official one, in node, and python-socketio's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import socketio

from tests import npm

PROGRAM = Path(__file__).parents[1] / "js" / "socketio"
Kind = Literal["javascript", "python"]
Event = tuple[str, Any]


class Listener:
    """A client that keeps every event."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._acknowledged: asyncio.Queue[None] = asyncio.Queue()

    async def emit(self, name: str, payload: Any = None) -> None:
        """Send an event, and return when the server has taken it."""
        raise NotImplementedError

    async def receive(self) -> Event:
        """Return the next event."""
        event = await self._events.get()
        self.heard.append(event)
        return event

    async def until(self, *names: str) -> list[Event]:
        """Return the events up to the first of these names."""
        events = []
        while not events or events[-1][0] not in names:
            events.append(await self.receive())
        return events

    def _hear(self, name: str, payload: Any) -> None:
        if name == "acknowledged":
            self._acknowledged.put_nowait(None)
        else:
            self._events.put_nowait((name, payload))


class _Python(Listener):
    def __init__(self) -> None:
        super().__init__()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self._hear)
        self.client.on("disconnect", lambda reason: self._hear("disconnected", {"reason": reason}))

    async def emit(self, name: str, payload: Any = None) -> None:
        await self.client.emit(name, payload, callback=lambda *_: self._hear("acknowledged", None))
        await self._acknowledged.get()


class _JavaScript(Listener):
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        self._process = process

    async def read(self) -> None:
        """Hear what the client says until it leaves."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._hear(*json.loads(line))

    async def emit(self, name: str, payload: Any = None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps([name, payload])}\n".encode())
        await self._acknowledged.get()


@asynccontextmanager
async def listener(url: str, kind: Kind = "python", transports: str = "websocket") -> AsyncIterator[Listener]:
    """Connect a client over these transports, separated by commas; it leaves at the end of the block."""
    if kind == "python":
        here = _Python()
        await here.client.connect(url, transports=transports.split(","))
        try:
            yield here
        finally:
            await here.client.disconnect()
        return
    node = await asyncio.to_thread(npm.install, PROGRAM)
    process = await asyncio.create_subprocess_exec(
        node,
        str(PROGRAM / "client.mjs"),
        url,
        transports,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    there = _JavaScript(process)
    reading = asyncio.create_task(there.read())
    try:
        await there.until("connected")
        there.heard.clear()
        yield there
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
        await reading
