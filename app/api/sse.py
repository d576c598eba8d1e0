"""Server-Sent Events: how a stream is read from the log, and how it leaves."""

import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import anyio
import structlog
import zstandard
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.deps import Services
from app.models.events import Record
from app.stores.base import LogReader

log = structlog.stdlib.get_logger("voztaxi.sse")

RETRY_MS = 1000
"""After how long a client that was cut off comes back."""
PING_SECONDS = 15.0
"""A quiet stream says that it is there."""
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Keep proxies from holding a stream back."""


class Tap:
    """What a stream reads of the log, until the server stops."""

    def __init__(self) -> None:
        self._is_closed = False
        self._reading = anyio.CancelScope()

    async def read(self, reader: LogReader, seconds: float = PING_SECONDS) -> Sequence[Record] | None:
        """Return the next records; none of them after so many quiet seconds, None when the server stops.

        Raises:
            AppError: What the reader raises.
        """
        records: Sequence[Record] = ()
        if not self._is_closed:
            with anyio.move_on_after(seconds) as self._reading:
                records = await reader.read()
        return records if records or not self._is_closed else None

    async def close_on(self, restart: anyio.Event) -> None:
        """Wait for the server to stop, and end what is being read."""
        await restart.wait()
        self._is_closed = True
        self._reading.cancel()


class EventStream(Response):
    """Events as they come, as fast as the client takes them.

    Nothing is read ahead. A client that takes nothing for ``SEND_TIMEOUT_SECONDS`` is cut off, and may come
    back and resume; so may one that left. What ``opening`` raises answers the request in the stream's place.

    Args:
        services: The services.
        opening: Takes what reads the log, and yields the bytes of the events; its block is left when the
            stream has ended, however it did.
        accept_encoding: What the client says that it can unpack.
        status_code: FastAPI asks the class for it.
    """

    def __init__(
        self,
        services: Services,
        opening: Callable[[Tap], AbstractAsyncContextManager[AsyncIterator[bytes]]],
        *,
        accept_encoding: str = "",
        status_code: int = 200,
    ) -> None:
        self.status_code = status_code
        self.background = None
        # Not the class's: FastAPI would write a schema of the whole stream into the document.
        self.media_type = "text/event-stream"
        self._connections = services.connections
        self._settings = services.settings
        self._opening = opening
        headers = dict(_HEADERS)
        self._packer: Packer | None = None
        if self._settings.stream_compression:
            headers["Vary"] = "Accept-Encoding"
            coding = preferred_coding(accept_encoding)
            if coding is not None:
                headers["Content-Encoding"] = coding
                self._packer = PACKERS[coding]()
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        with self._connections.stream(self._settings.max_streams):
            tap = Tap()
            async with self._opening(tap) as events, anyio.create_task_group() as tasks:
                tasks.start_soon(tap.close_on, self._connections.restart)
                tasks.start_soon(_mind_client, receive, tasks.cancel_scope)
                await self._pour(events, send)
                tasks.cancel_scope.cancel()

    async def _pour(self, events: AsyncIterator[bytes], send: Send) -> None:
        pack = self._packer.pack if self._packer is not None else bytes
        with anyio.CancelScope() as scope:

            async def put(message: dict[str, object]) -> None:
                scope.deadline = anyio.current_time() + self._settings.send_timeout_seconds
                await send(message)
                scope.deadline = float("inf")

            await put({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in events:
                await put({"type": "http.response.body", "body": pack(event), "more_body": True})
            rest = self._packer.finish() if self._packer is not None else b""
            await put({"type": "http.response.body", "body": rest, "more_body": False})
        if scope.cancelled_caught:
            log.warning("client took no event and is cut off")


async def _mind_client(receive: Receive, scope: anyio.CancelScope) -> None:
    """End the stream when its client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class Packer(Protocol):
    """Compresses a stream, so that what was packed can be unpacked at once."""

    def pack(self, data: bytes) -> bytes:
        """Return all of ``data``, packed."""
        ...

    def finish(self) -> bytes:
        """Return what ends the stream."""
        ...


class Gzip:
    """A ``Packer`` with a window of 8 KiB: an open stream costs some 50 KiB."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(wbits=16 + 13, memLevel=5)

    def pack(self, data: bytes) -> bytes:
        """See ``Packer``."""
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """See ``Packer``."""
        return self._packer.flush()


class Zstandard:
    """A ``Packer`` with a window of 16 KiB."""

    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=14, hash_log=12, chain_log=12)
        self._packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def pack(self, data: bytes) -> bytes:
        """See ``Packer``."""
        return self._packer.compress(data) + self._packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        """See ``Packer``."""
        return self._packer.flush()


PACKERS: dict[str, Callable[[], Packer]] = {"zstd": Zstandard, "gzip": Gzip}
"""By the name of their content coding, the best one first."""


def preferred_coding(accept_encoding: str) -> str | None:
    """Return the content coding for a client; None where it asked for none of ours (RFC 9110, section 12.5.3)."""
    weights: dict[str, float] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.partition(";")
        weight = parameters.strip().removeprefix("q=")
        try:
            weights[name.strip()] = float(weight) if weight else 1.0
        except ValueError:
            continue
    wanted = [name for name in PACKERS if weights.get(name, 0) > 0]
    return max(wanted, key=lambda name: weights[name], default=None)
