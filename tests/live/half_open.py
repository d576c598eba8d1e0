"""Clients that begin and do not go on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from tests.live.server import Server

HALF_HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\nX: "
HALF_BODY = b'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"'
_AT_ONCE = 200
"""Connections that are opened at the same time, fewer than wait to be accepted."""


@dataclass(slots=True)
class HalfOpen(asyncio.Protocol):
    """A connection on which something is sent, and of which a few bytes are read."""

    begun: bytes
    answer: bytes = b""
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.begun)

    def data_received(self, data: bytes) -> None:
        """Read how the answer begins, and no more."""
        assert self.transport is not None
        self.answer += data
        self.transport.pause_reading()

    @property
    def status(self) -> int | None:
        """The status of the answer; None where none came."""
        return int(self.answer.split()[1]) if self.answer else None


@asynccontextmanager
async def half_open(server: Server, count: int, begun: bytes) -> AsyncIterator[list[HalfOpen]]:
    """Open so many connections and begin a request on each; they are there while the block runs."""
    loop = asyncio.get_running_loop()
    clients = [HalfOpen(begun) for _ in range(count)]
    try:
        for first in range(0, count, _AT_ONCE):
            some = clients[first : first + _AT_ONCE]
            connecting = (loop.create_connection(lambda each=each: each, "127.0.0.1", server.port) for each in some)  # type: ignore[misc]
            await asyncio.gather(*connecting)
        yield clients
    finally:
        for each in clients:
            if each.transport is not None:
                each.transport.abort()


def stream_request(token: str, text: str) -> bytes:
    """Return a request for a stream."""
    body = json.dumps({"message": text}).encode()
    return (
        f"POST /stream/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def process_of(server: Server) -> psutil.Process:
    """Return the process that listens."""
    [found] = [
        each for each in psutil.net_connections("tcp") if each.laddr.port == server.port and each.status == "LISTEN"
    ]
    return psutil.Process(found.pid)
