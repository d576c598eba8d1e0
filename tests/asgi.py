"""Requests to the application in this process, whose answers are seen as they are sent."""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from fastapi import FastAPI


@dataclass(frozen=True, slots=True)
class SentEvent:
    """A Server-Sent Event as a client has it."""

    name: str | None
    data: dict[str, Any]
    id: str | None
    raw: bytes


def read_events(stream: bytes) -> list[SentEvent]:
    """Return the whole events of a stream; comments and what is not yet finished are left out."""
    events = []
    for block in stream.split(b"\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        if "data" in fields:
            events.append(SentEvent(fields.get("event"), json.loads(fields["data"]), fields.get("id"), block))
    return events


class Call:
    """A request that is being answered. The client takes what is sent at once, until it is told to stop."""

    def __init__(self, app: FastAPI, method: str, path: str, *, body: bytes, headers: dict[str, str]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.is_whole = False
        """The last piece came."""
        self.ended = anyio.Event()
        """The application is done with it."""
        self._app = app
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        self._body: bytes | None = body
        self._gone = anyio.Event()
        self._takes = anyio.Event()
        self._takes.set()
        self._progress = anyio.Event()

    @property
    def body(self) -> bytes:
        """What was sent so far."""
        return b"".join(self.pieces)

    @property
    def events(self) -> list[SentEvent]:
        """The events that were sent so far."""
        return read_events(self.body)

    @property
    def names(self) -> list[str | None]:
        """The events' names."""
        return [event.name for event in self.events]

    @property
    def text(self) -> str:
        """The words that were sent so far."""
        return "".join(event.data["content"] for event in self.events if event.name == "chunk")

    def leave(self) -> None:
        """Close the connection, as a client does."""
        self._gone.set()

    def stop_taking(self) -> None:
        """Take nothing any more, as a client does that hangs."""
        self._takes = anyio.Event()

    def take_again(self) -> None:
        """Take what is sent."""
        self._takes.set()

    async def until(self, name: str) -> None:
        """Wait for an event."""
        while name not in self.names:
            assert not self.ended.is_set(), self.body
            await self._progress.wait()

    async def run(self) -> None:
        """Have it answered."""
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self.ended.set()
            self._advance()

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self._takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.pieces.append(message.get("body", b""))
            self.is_whole = not message.get("more_body", False)
        self._advance()

    def _advance(self) -> None:
        progress, self._progress = self._progress, anyio.Event()
        progress.set()


@asynccontextmanager
async def calling(app: FastAPI, method: str, path: str, body: object, headers: dict[str, str]) -> AsyncIterator[Call]:
    """Send a request; when the block is left its client leaves."""
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = Call(app, method, path, body=given, headers={"content-type": "application/json", **headers})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call.run)
        yield call
        call.leave()
        await call.ended.wait()


@dataclass
class Dial:
    """A WebSocket to the application. The client takes what is sent at once."""

    app: FastAPI
    path: str
    headers: dict[str, str]
    frames: list[str | bytes] = field(default_factory=list)
    """What it was sent."""
    is_accepted: bool = False
    refused_with: int | None = None
    """The status of an answer that let it not in."""
    closed_with: int | None = None
    """The code with which the server closed."""
    ended: anyio.Event = field(default_factory=anyio.Event)
    """The application is done with it."""
    _inbox: deque[dict[str, Any]] = field(default_factory=lambda: deque([{"type": "websocket.connect"}]))
    _arrived: anyio.Event = field(default_factory=anyio.Event)
    _progress: anyio.Event = field(default_factory=anyio.Event)

    def send(self, frame: str | bytes) -> None:
        """Send a frame."""
        self._put({"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame})

    def leave(self) -> None:
        """Close the socket, as a client does."""
        self._put({"type": "websocket.disconnect", "code": 1005})

    async def progress(self) -> None:
        """Wait until something came, or it is over."""
        await self._progress.wait()

    async def run(self) -> None:
        """Have it served."""
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in self.headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        try:
            await self.app(scope, self._receive, self._take)
        finally:
            self.ended.set()
            self._advance()

    def _put(self, message: dict[str, Any]) -> None:
        self._inbox.append(message)
        self._arrived.set()

    async def _receive(self) -> dict[str, Any]:
        while not self._inbox:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return self._inbox.popleft()

    async def _take(self, message: Any) -> None:
        match message["type"]:
            case "websocket.accept":
                self.is_accepted = True
            case "websocket.close":
                self.closed_with = message["code"]
            case "websocket.http.response.start":
                self.refused_with = message["status"]
            case "websocket.send":
                self.frames.append(message["text"] if message.get("text") is not None else message["bytes"])
        self._advance()

    def _advance(self) -> None:
        progress, self._progress = self._progress, anyio.Event()
        progress.set()


@asynccontextmanager
async def dialling(app: FastAPI, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[Dial]:
    """Open a WebSocket; when the block is left its client leaves."""
    dial = Dial(app, path, headers or {})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dial.run)
        yield dial
        dial.leave()
        await dial.ended.wait()
