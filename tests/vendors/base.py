"""What all WebSocket vendors of ours have in common: their knobs, and what they remember."""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

_quiet = logging.getLogger("tests.vendors")
_quiet.setLevel(logging.WARNING)  # what a vendor is sent is its own to know: tests look for keys in our logs

KEY = "key-0123456789-secret"


@dataclass
class Knobs:
    """What goes wrong. Lists are used up from their beginning, one entry a connection."""

    statuses: list[int] = field(default_factory=list)
    """Answers to handshakes instead of an upgrade."""
    retry_after: str | None = None
    """Sent with them."""
    gate: asyncio.Event | None = None
    """Handshakes wait for it."""
    drops: list[int] = field(default_factory=list)
    """After how many bytes of sound, in or out, a connection breaks without a word."""
    first_words: list[str | bytes] = field(default_factory=list)
    """What a connection begins with, whatever that is."""
    errors: list[tuple[dict[str, Any], int, str]] = field(default_factory=list)
    """An error in the vendor's form, and the close code and reason after it."""
    is_silent: bool = False
    """Everything is taken, and nothing is answered."""


@dataclass
class Connection:
    """One connection, as the vendor saw it."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    sound: bytearray = field(default_factory=bytearray)
    """All that came in binary frames."""
    frames: list[int] = field(default_factory=list)
    """Their sizes."""
    said: list[dict[str, Any]] = field(default_factory=list)
    """All that came in text frames."""
    is_closed: bool = False


class WebSocketVendor(ABC):
    """A vendor that listens on this machine."""

    scheme_path = "/"

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.connections: list[Connection] = []
        self.handshakes = 0
        self.changed = asyncio.Condition()
        self.url = ""

    @classmethod
    @asynccontextmanager
    async def run(cls) -> AsyncIterator[Self]:
        vendor = cls()
        async with serve(
            vendor._serve,
            "127.0.0.1",
            0,
            process_request=vendor._greet,
            compression=None,
            close_timeout=1,
            logger=_quiet,
        ) as server:
            vendor.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}{cls.scheme_path}"
            yield vendor
            server.close(close_connections=True)

    async def until(self, is_so: Any) -> None:
        """Wait until something is seen."""
        async with self.changed:
            await self.changed.wait_for(is_so)

    @abstractmethod
    def key_of(self, headers: dict[str, str]) -> str | None:
        """Return the key of a handshake."""

    @abstractmethod
    async def converse(self, socket: ServerConnection, connection: Connection) -> None:
        """Speak the protocol on one connection, until it is over."""

    async def _greet(self, socket: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        if self.knobs.gate is not None:
            await self.knobs.gate.wait()
        status = self.knobs.statuses.pop(0) if self.knobs.statuses else None
        if status is None and self.key_of({name.lower(): value for name, value in request.headers.raw_items()}) != KEY:
            status = 401
        if status is None:
            return None
        response = socket.respond(HTTPStatus(status), f"this is no place for {request.headers}")
        if self.knobs.retry_after is not None:
            response.headers["Retry-After"] = self.knobs.retry_after
        if 300 <= status < 400:
            response.headers["Location"] = self.url
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        parts = urlsplit(socket.request.path)
        headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
        connection = Connection(parts.path, parse_qs(parts.query), headers)
        self.connections.append(connection)
        await self.tell()
        try:
            if self.knobs.first_words:
                await socket.send(self.knobs.first_words.pop(0))
            if self.knobs.errors:
                error, code, reason = self.knobs.errors.pop(0)
                if error:
                    await socket.send(json.dumps(error))
                await socket.close(code, reason)
                return
            await self.converse(socket, connection)
        except ConnectionClosed:
            pass
        finally:
            connection.is_closed = True
            await self.tell()

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def break_off(self, socket: ServerConnection) -> None:
        """End a connection as a network does."""
        socket.transport.abort()


def limit(knobs: Knobs) -> int | None:
    """Return after how many bytes a new connection breaks."""
    return knobs.drops.pop(0) if knobs.drops else None
