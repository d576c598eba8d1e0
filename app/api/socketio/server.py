"""The Socket.IO server: connections in, their events to families, and a quiet end when the server stops."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakSet

import anyio
import engineio  # type: ignore[import-untyped]
import socketio  # type: ignore[import-untyped]
import structlog
from anyio.abc import TaskGroup, TaskStatus
from socketio.exceptions import ConnectionRefusedError  # type: ignore[import-untyped]  # noqa: A004
from socketio.packet import EVENT, Packet  # type: ignore[import-untyped]
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.close_codes import SERVICE_RESTART
from app.api.deps import Services, why_refused
from app.api.errors import RETRY_AFTER, problem, refused
from app.api.origins import is_allowed_origin
from app.api.rate_limit import SOCKETIO, address_of
from app.api.socketio.base import ClientGone, Connection, Family, Payload, Unknown, read_payload
from app.api.socketio.families import FAMILIES
from app.api.socketio.wire import Outgoing, Wire
from app.core import metrics
from app.core.config import Settings
from app.core.errors import RateLimited

log = structlog.stdlib.get_logger("voztaxi.socketio")

_PING_SECONDS = 25
"""How often a client is asked whether it is there."""
_PONG_SECONDS = 20
"""How long it may take to answer."""
_MOST_WAITING = 64
"""Packets that wait for a client before whoever has more for it waits, too."""
_FLUSH_SECONDS = 2.0
"""How long clients may take for what they are owed before a restart."""

_SILENT = logging.getLogger("voztaxi.socketio.engine")
_SILENT.setLevel(logging.CRITICAL + 1)  # the library's own log has payloads, and a line for each bad packet


class SocketServer:
    """Socket.IO as an ASGI application.

    Every client has a ``Connection`` with one of each of ``families``; its events are taken one after the other.

    Args:
        settings: The settings.
        families: The protocols.
    """

    def __init__(self, settings: Settings, families: tuple[type[Family], ...] = FAMILIES) -> None:
        self._settings = settings
        self._families = families
        self._server = _Server(
            async_mode="asgi",
            async_handlers=False,  # one after the other, and a client that sends more than is taken waits
            cors_allowed_origins=[],  # asked before, and told by the same middleware as for all other routes
            max_http_buffer_size=settings.max_frame_bytes,
            http_compression=False,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PONG_SECONDS,
            logger=_SILENT,
            engineio_logger=_SILENT,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("*", self._take)
        self._clients: dict[str, _Client] = {}
        self._wires: set[Wire] = set()
        self._services: Services | None = None
        self._tasks: TaskGroup
        self.route = Mount(SOCKETIO, app=self)
        """Where it is mounted."""

    @asynccontextmanager
    async def running(self, services: Services) -> AsyncIterator[None]:
        """Serve clients within the block; what goes on for them ends with it."""
        self._services = services
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._close_on_restart, services)
                yield
                await self._close_all()
                self._tasks.cancel_scope.cancel()
        finally:
            self._services = None
            await self._server.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or a WebSocket."""
        services = self._services
        assert services is not None, "the lifespan runs"
        scope["route"] = self.route
        connection = HTTPConnection(scope)
        query = parse_qs(connection.url.query)
        engine = self._server.eio
        if not is_allowed_origin(connection, services.settings.allowed_origins):
            metrics.CONNECTIONS_REFUSED.labels("forbidden_origin").inc()
            await _refuse(scope, receive, send, problem(403, "forbidden_origin", "Esta página no puede conectarse."))
            return
        if "j" in query:
            # A script of any page may ask for JSONP, and browsers do not say which page it is.
            await _refuse(scope, receive, send, problem(400, "bad_request", "JSONP no se ofrece."))
            return
        if query.get("sid", [""])[0] not in engine.sockets:
            # What begins counts as a request; what goes on counts by its events.
            try:
                await services.rates.request(address_of(connection))
            except RateLimited as error:
                await _refuse(scope, receive, send, refused(error))
                return
            refusal = why_refused(services, waiting=len(engine.sockets))
            if refusal is not None:
                metrics.CONNECTIONS_REFUSED.labels(refusal.code).inc()
                await _refuse(scope, receive, send, problem(503, refusal.code, refusal.default, RETRY_AFTER))
                return
        if scope["type"] == "http":
            await engine.handle_request(scope, receive, send)
            return
        wire = Wire(
            receive, send, send_seconds=self._settings.send_timeout_seconds, max_bytes=self._settings.max_frame_bytes
        )
        self._wires.add(wire)
        try:
            await engine.handle_request(scope, wire.receive, wire.send)
        finally:
            self._wires.discard(wire)

    # What clients do.

    async def _connect(self, sid: str, *_given: Any) -> None:
        if sid in self._clients:
            return await self._take("connect", sid)  # it sent an event of that name
        services = self._services
        refusal = None if services is None else why_refused(services)
        if services is None or refusal is not None:
            code = "draining" if refusal is None else refusal.code
            metrics.CONNECTIONS_REFUSED.labels(code).inc()
            raise ConnectionRefusedError("" if refusal is None else refusal.default, {"code": code})
        address = address_of(HTTPConnection(self._server.get_environ(sid)["asgi.scope"]))
        outgoing = self._server.eio.sockets[self._server.manager.eio_sid_from_sid(sid, "/")].queue
        connection = Connection(sid, services, address, partial(self._emit, sid, outgoing))
        await self._tasks.start(self._serve, connection, outgoing)
        self._clients[sid] = _Client(connection, self._families)
        return None

    async def _serve(self, connection: Connection, outgoing: Outgoing, *, task_status: TaskStatus[None]) -> None:
        """Keep a connection; when it ends, by whose doing ever, its socket is closed once all is sent."""
        try:
            await connection.serve(task_status=task_status)
        except Exception as error:
            log.error("connection failed", exc_info=error)
        finally:
            outgoing.hang_up()

    async def _disconnect(self, sid: str, *_given: Any) -> None:
        if self._server.manager.is_connected(sid, "/"):
            return await self._take("disconnect", sid)  # it sent an event of that name
        client = self._clients.pop(sid, None)
        if client is not None:
            await client.connection.close()
        return None

    async def _take(self, event: str, sid: str, *arguments: Any) -> None:
        """Hand an event to its family."""
        client = self._clients.get(sid)
        if client is None or client.connection.has_left:
            return
        family = client.families.get(event, client.unknown)
        about: object = arguments[0] if arguments else None
        try:
            try:
                await client.connection.services.rates.request(client.connection.address)
                kind = family.events.get(event)
                about = about if kind is None else read_payload(kind, arguments)
                await family.take(about)
            except ClientGone:
                raise
            except Exception as error:
                await family.complain(error, about)
        except ClientGone:
            client.connection.leave()

    # What they are sent.

    async def _emit(self, sid: str, outgoing: Outgoing, event: str, payload: Payload) -> None:
        if outgoing.qsize() >= _MOST_WAITING:
            with anyio.move_on_after(self._settings.send_timeout_seconds) as scope:
                await outgoing.until_below(_MOST_WAITING)
            if scope.cancelled_caught:
                raise ClientGone
        # To one client, as JSON: the server's own ``emit`` looks for rooms and bytes, and makes a task.
        packet = Packet(EVENT, data=[event, payload], namespace="/", binary=False)
        await self._server.eio.send(self._server.manager.eio_sid_from_sid(sid, "/"), packet.encode())

    # The end.

    async def _close_on_restart(self, services: Services) -> None:
        await services.connections.restart.wait()
        await self._close_all()

    async def _close_all(self) -> None:
        """Close every connection so that its client comes back, here or to another process."""
        with anyio.move_on_after(_FLUSH_SECONDS):
            async with anyio.create_task_group() as tasks:
                for client in list(self._clients.values()):
                    for family in client.each:
                        tasks.start_soon(family.flush)
        for wire in list(self._wires):
            wire.end(SERVICE_RESTART)
        engine = self._server.eio
        polling = [socket for socket in list(engine.sockets.values()) if not (socket.upgraded or socket.closed)]
        with anyio.move_on_after(_FLUSH_SECONDS):
            async with anyio.create_task_group() as tasks:
                for socket in polling:  # a session that is closed answers no poll, whatever waits in it
                    tasks.start_soon(socket.queue.until_below, 1)
        with anyio.move_on_after(_FLUSH_SECONDS):
            async with anyio.create_task_group() as tasks:
                for socket in polling:
                    tasks.start_soon(partial(socket.close, wait=False))
                for client in list(self._clients.values()):
                    tasks.start_soon(client.connection.close)
        for outgoing in list(engine.queues):
            outgoing.hang_up()  # a poll that was left behind would wait until nobody answers pings


class _Client:
    """A connection, and what is spoken on it."""

    def __init__(self, connection: Connection, families: tuple[type[Family], ...]) -> None:
        self.connection = connection
        self.each = [family(connection) for family in families]
        self.families: dict[str, Family] = {name: family for family in self.each for name in family.events}
        self.unknown = Unknown(connection)


class _Engine(engineio.AsyncServer):  # type: ignore[misc]
    """Engine.IO whose packets wait where it can be seen how many there are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queues: WeakSet[Outgoing] = WeakSet()
        """What waits for clients; also for those that have left, whose last poll may still be open."""

    def create_queue(self, *args: Any, **options: Any) -> Outgoing:
        queue = Outgoing(*args, **options)
        self.queues.add(queue)
        return queue


class _Server(socketio.AsyncServer):  # type: ignore[misc]
    """Socket.IO over that."""

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine


async def _refuse(scope: Scope, receive: Receive, send: Send, response: Any) -> None:
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


def create_socketio(settings: Settings) -> SocketServer:
    """Return the Socket.IO server, not yet running."""
    return SocketServer(settings)
