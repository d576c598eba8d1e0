"""A rider's connection to one server: a WebSocket, or Server-Sent Events with inputs by POST. Black-box clients."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import httpx
from anyio.abc import TaskGroup
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing resets the connection, as a phone in a tunnel does."""
_POST_SECONDS = 30.0


_HTTP_FAILURES = (httpx.HTTPError, AttributeError)
"""A peer that resets at once leaves uvloop's transport without the socket that anyio asks for its address."""


class LinkLost(Exception):
    """The connection is gone, or was never made."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rider has got to in a thread."""

    thread_id: str
    seq: int
    epoch: str | None


class Link(Protocol):
    """A connection that replays a thread from a place on, and then goes on live."""

    connected_at: float
    """``time.perf_counter`` when TCP had connected."""
    opened_at: float
    """The same when the replay began."""
    opening: list[str]
    """The frames that came until then."""

    async def say(self, text: str, message_id: str) -> None:
        """Send what the rider says."""
        ...

    async def send(self, kind: str) -> None:
        """Send ``cancel``, ``pause``, ``resume`` or ``ping``; a link that knows none sends nothing."""
        ...

    async def receive(self) -> str:
        """Return the next frame. It may be cancelled.

        Raises:
            LinkLost: There will be none.
        """
        ...

    async def close(self) -> None:
        """Leave as one does."""
        ...

    def abort(self) -> None:
        """Break off: the server is told by a reset, or not at all."""
        ...


class WebSocketLink:
    """``Link`` over the WebSocket."""

    def __init__(self, connection: ClientConnection, sock: socket.socket, thread_id: str, connected_at: float) -> None:
        self._connection = connection
        self._socket = sock
        self._thread_id = thread_id
        self.connected_at = connected_at
        self.opened_at = 0.0
        self.opening: list[str] = []

    @classmethod
    async def open(cls, port: int, place: Place, *, timeout: float) -> "WebSocketLink":
        """Connect and ask for what follows a place.

        Args:
            port: The server's, on loopback.
            place: Where the rider has got to.
            timeout: Seconds until the replay must have begun.

        Raises:
            LinkLost: It could not be had.
        """
        sock = socket.socket()
        sock.setblocking(False)
        link: WebSocketLink | None = None
        try:
            with anyio.fail_after(timeout):
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                connected_at = time.perf_counter()
                connection = await connect(
                    f"ws://127.0.0.1:{port}/api/v1/ws/chat",
                    sock=sock,
                    compression=None,
                    max_size=None,
                    ping_interval=None,
                    open_timeout=None,
                    close_timeout=1,
                )
                link = cls(connection, sock, place.thread_id, connected_at)
                asked: dict[str, Any] = {"type": "replay", "thread_id": place.thread_id, "after_seq": place.seq}
                if place.epoch is not None:
                    asked["epoch"] = place.epoch
                await connection.send(json.dumps(asked))
                while True:
                    frame = await link.receive()
                    if json.loads(frame)["type"] == "system_message":  # a store that is away: try again
                        raise LinkLost(frame)
                    link.opening.append(frame)
                    link.opened_at = time.perf_counter()
                    return link
        except (OSError, TimeoutError, WebSocketException, LinkLost) as error:
            if link is None:
                sock.close()
            else:
                link.abort()
            raise LinkLost(str(error)) from error
        except BaseException:
            if link is None:
                sock.close()
            else:
                link.abort()
            raise

    async def say(self, text: str, message_id: str) -> None:
        """See ``Link``."""
        await self._send({"type": "user_input", "text": text, "thread_id": self._thread_id, "message_id": message_id})

    async def send(self, kind: str) -> None:
        """See ``Link``."""
        await self._send({"type": kind} if kind == "ping" else {"type": kind, "thread_id": self._thread_id})

    async def receive(self) -> str:
        """See ``Link``."""
        try:
            return str(await self._connection.recv())
        except WebSocketException as error:
            raise LinkLost(str(error)) from error

    async def close(self) -> None:
        """See ``Link``."""
        await self._connection.close()

    def abort(self) -> None:
        """See ``Link``."""
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._connection.transport.abort()

    async def _send(self, frame: Mapping[str, Any]) -> None:
        try:
            await self._connection.send(json.dumps(frame))
        except WebSocketException as error:
            raise LinkLost(str(error)) from error


class EventStreamLink:
    """``Link`` over ``GET …/events``; what is said goes by ``POST /api/v1/chat`` and its answer is not awaited."""

    def __init__(self, http: "HttpClients", port: int, thread_id: str, tasks: TaskGroup) -> None:
        self._http = http
        self._port = port
        self._thread_id = thread_id
        self._tasks = tasks
        self._scopes: list[anyio.CancelScope] = []
        """The stream's and those of its posts: they end together."""
        self._inbox, self._frames = anyio.create_memory_object_stream[str](10_000)
        self._opened = anyio.Event()
        self._raw: Any = None
        self.connected_at = 0.0
        self.opened_at = 0.0
        self.opening: list[str] = []

    @classmethod
    async def open(
        cls, http: "HttpClients", port: int, place: Place, tasks: TaskGroup, *, timeout: float
    ) -> "EventStreamLink":
        """Connect and read what follows a place. Arguments and errors are those of ``WebSocketLink.open``."""
        link = cls(http, port, place.thread_id, tasks)
        tasks.start_soon(link._pump, place)
        with anyio.move_on_after(timeout):
            await link._opened.wait()
        if not link.opened_at:
            link.abort()
            raise LinkLost("the stream did not begin")
        return link

    async def say(self, text: str, message_id: str) -> None:
        """See ``Link``."""
        self._tasks.start_soon(self._post, text, message_id)

    async def send(self, kind: str) -> None:
        """See ``Link``: there is nothing to send it by."""

    async def receive(self) -> str:
        """See ``Link``."""
        try:
            return await self._frames.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError) as error:
            raise LinkLost from error

    async def close(self) -> None:
        """See ``Link``."""
        self._cancel()

    def abort(self) -> None:
        """See ``Link``."""
        if self._raw is not None and self._raw.fileno() >= 0:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._cancel()

    def _scope(self) -> anyio.CancelScope:
        scope = anyio.CancelScope()
        self._scopes.append(scope)
        return scope

    def _cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()

    async def _pump(self, place: Place) -> None:
        url = f"http://127.0.0.1:{self._port}/api/v1/threads/{place.thread_id}/events"
        # The header goes before the address: a stale ``after`` must not matter.
        headers = {"Last-Event-ID": str(place.seq)}
        asked = {"after": "0"} if place.epoch is None else {"after": "0", "epoch": place.epoch}
        try:
            with self._scope(), self._inbox:
                async with self._http.streams.stream(
                    "GET", url, params=asked, headers=headers, extensions={"trace": self._trace}
                ) as response:
                    self._raw = response.extensions["network_stream"].get_extra_info("socket")
                    if response.status_code == 200:
                        async for line in response.aiter_lines():
                            self._take(line)
        except (*_HTTP_FAILURES, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the link is lost: whoever receives is told
        finally:
            self._opened.set()

    def _take(self, line: str) -> None:
        if line.startswith("retry:") and not self.opened_at:
            self.opened_at = time.perf_counter()
            self._opened.set()
        elif line.startswith("data: "):
            self._inbox.send_nowait(line[len("data: ") :])

    async def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name == "connection.connect_tcp.complete":
            self.connected_at = time.perf_counter()

    async def _post(self, text: str, message_id: str) -> None:
        """Send an input. A refusal becomes the frame that the WebSocket would have; answers come by the stream."""
        code = None
        asked = {"text": text, "thread_id": self._thread_id, "message_id": message_id}
        with self._scope():
            try:
                answer = await self._http.posts.post(f"http://127.0.0.1:{self._port}/api/v1/chat", json=asked)
                if answer.status_code in (429, 500, 503):
                    code = answer.json().get("code", str(answer.status_code))
            except (*_HTTP_FAILURES, ValueError) as error:
                code = f"post_lost: {type(error).__name__}"
            if code is not None:
                refusal = {"type": "system_message", "level": "error", "code": code}
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody may be left to be told
                    self._inbox.send_nowait(json.dumps(refusal))


class HttpClients:
    """The HTTP clients that all riders share: streams have a connection each, posts take turns."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        timeout = httpx.Timeout(_POST_SECONDS, read=None)
        self.streams = httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False)
        self.posts = httpx.AsyncClient(limits=limits, timeout=_POST_SECONDS, trust_env=False)

    async def __aenter__(self) -> "HttpClients":
        """Open both."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close both."""
        await self.streams.aclose()
        await self.posts.aclose()
