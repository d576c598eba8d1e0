"""WebSockets to vendors: connected with deadlines and backoff, kept for later, closed for certain."""

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache

import anyio
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State

from app.core.tasks import Chores, uninterruptible
from app.engines.vendor import VendorError, attempts, read_status

_CONNECT_SECONDS = 5.0
_SEND_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_PING_SECONDS = 10.0
_LARGEST_MESSAGE = 4 * 1024 * 1024
_MOST_IDLE = 4

# At DEBUG websockets logs the headers of its handshakes, and with them the key.
_quiet = logging.getLogger("voztaxi.vendor.websockets")
_quiet.setLevel(logging.WARNING)


def read_close(code: int, _reason: str) -> VendorError:
    """Return what a close code means that only says what RFC 6455 says: 1008 is a refusal, all else a drop."""
    return VendorError(f"closed with {code}", retryable=code != 1008)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where a vendor is, and how it is greeted."""

    name: str
    headers: Mapping[str, SecretStr]
    """Sent with the handshake; the key is among them."""
    read_close: Callable[[int, str], VendorError] = read_close
    """Tells what a close code and its reason mean."""

    def __post_init__(self) -> None:
        """Read the certificates now: later it would hold up everybody who is served."""
        _tls()


class _Connect(connect):
    """Follows no redirect: a header with a key would go to whoever is named there."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class VendorSocket:
    """A WebSocket whose every failure is a ``VendorError``."""

    def __init__(self, connection: ClientConnection, vendor: Vendor) -> None:
        self._connection = connection
        self._vendor = vendor

    @property
    def is_open(self) -> bool:
        """Whether it can still be used, as far as is known."""
        return self._connection.state is State.OPEN

    async def send(self, message: str | bytes) -> None:
        """Send a message: text as text, bytes as binary.

        Raises:
            VendorError: The vendor is gone, or takes nothing.
        """
        try:
            with anyio.fail_after(_SEND_SECONDS):
                await self._connection.send(message)
        except ConnectionClosed as error:
            raise self._closed(error) from None
        except TimeoutError:
            raise VendorError("nothing is taken") from None

    async def receive(self) -> str | bytes:
        """Return the next message, however long it takes.

        Raises:
            VendorError: The vendor is gone.
        """
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def close(self, *last_words: str) -> None:
        """Say goodbye and close, in a second at most."""
        with suppress(VendorError), anyio.move_on_after(_CLOSE_SECONDS):
            for message in last_words:
                await self.send(message)
        await self._connection.close()

    def _closed(self, error: ConnectionClosed) -> VendorError:
        received = error.rcvd
        if received is None:
            return VendorError("the connection broke")
        return self._vendor.read_close(received.code, received.reason)


async def connect_to(vendor: Vendor, url: str, *, timeout: float) -> VendorSocket:
    """Return an open socket; a vendor that cannot be reached is tried again for a while.

    Args:
        vendor: Who is called.
        url: Where.
        timeout: No attempt begins later than this, in seconds.

    Raises:
        VendorError: There is none to be had.
    """
    async for attempt in attempts(timeout):
        with attempt:
            return await _connect_once(vendor, url, min(timeout, _CONNECT_SECONDS))
    raise AssertionError("the last attempt returns or raises")  # pragma: no cover


async def _connect_once(vendor: Vendor, url: str, timeout: float) -> VendorSocket:
    # Causes are left out of what is raised: a traceback with local variables would show the key.
    try:
        with anyio.fail_after(timeout):
            connection = await _Connect(
                url,
                additional_headers={name: value.get_secret_value() for name, value in vendor.headers.items()},
                ssl=_tls() if url.startswith("wss:") else None,
                compression=None,
                proxy=None,
                open_timeout=None,
                close_timeout=_CLOSE_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=_PING_SECONDS,
                max_size=_LARGEST_MESSAGE,
                user_agent_header="voztaxi",
                logger=_quiet,
            )
            return VendorSocket(connection, vendor)
    except InvalidStatus as error:
        raise read_status(error.response.status_code, error.response.headers.get("Retry-After")) from None
    except TimeoutError:
        raise VendorError("no connection in time") from None
    except (OSError, WebSocketException, ValueError) as error:
        raise VendorError(f"no connection: {type(error).__name__}") from None


@asynccontextmanager
async def open_socket(vendor: Vendor, url: str, *, timeout: float, goodbye: str) -> AsyncIterator[VendorSocket]:
    """Open a socket for a block; arguments as for ``connect_to``, and what is said before it is closed.

    Raises:
        VendorError: It cannot be reached.
    """
    socket = await connect_to(vendor, url, timeout=timeout)
    try:
        yield socket
    finally:
        await uninterruptible(socket.close(goodbye))


class SocketPool:
    """Sockets that wait to be used again, so that a sentence does not wait for a handshake.

    Args:
        vendor: Whose they are.
        timeout: Longest that connecting may take, in seconds.
    """

    def __init__(self, vendor: Vendor, *, timeout: float) -> None:
        self._vendor = vendor
        self._timeout = timeout
        self._idle: dict[str, list[VendorSocket]] = {}
        self._chores = Chores()
        self._is_closed = False

    async def take(self, url: str) -> VendorSocket:
        """Return an open socket that nobody else uses.

        Raises:
            VendorError: The vendor cannot be reached.
        """
        idle = self._idle.get(url, [])
        while idle:
            socket = idle.pop()
            if socket.is_open:
                return socket
        return await connect_to(self._vendor, url, timeout=self._timeout)

    def put_back(self, url: str, socket: VendorSocket) -> None:
        """Keep a socket for later that is at rest."""
        idle = self._idle.setdefault(url, [])
        if self._is_closed or len(idle) >= _MOST_IDLE:
            self.discard(socket)
        elif socket.is_open:
            idle.append(socket)

    def discard(self, socket: VendorSocket, *last_words: str) -> None:
        """Close a socket in the midst of something, without being waited for."""
        self._chores.start(socket.close(*last_words))

    def warm_up(self, url: str) -> None:
        """Connect ahead, without being waited for. Where that fails, whoever speaks first finds out."""

        async def connect_ahead() -> None:
            with suppress(VendorError):
                self.put_back(url, await connect_to(self._vendor, url, timeout=self._timeout))

        if not self._idle.get(url):
            self._chores.start(connect_ahead())

    async def close(self) -> None:
        """Close what is open."""
        self._is_closed = True
        for sockets in self._idle.values():
            for socket in sockets:
                self.discard(socket)
        self._idle.clear()
        await self._chores.close(grace=2 * _CLOSE_SECONDS)


@asynccontextmanager
async def open_pool(vendor: Vendor, *, timeout: float) -> AsyncIterator[SocketPool]:
    """Open a pool for a block; arguments as for ``SocketPool``."""
    pool = SocketPool(vendor, timeout=timeout)
    try:
        yield pool
    finally:
        await uninterruptible(pool.close())
