"""What every WebSocket of this server has: who is let in, frames both ways, and why it is closed."""

import asyncio
from collections.abc import Awaitable, Sequence

import anyio
import anyio.lowlevel
import structlog
from fastapi import WebSocket
from starlette.routing import Match, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.api.callers import SUBPROTOCOL
from app.api.close_codes import FRAME_TOO_LARGE, INTERNAL, SLOW_CLIENT, Close
from app.api.deps import Services, why_refused
from app.api.errors import RETRY_AFTER, problem
from app.api.origins import is_allowed_origin
from app.core import metrics
from app.core.config import Settings

log = structlog.stdlib.get_logger("voztaxi.websocket")

FLUSH_SECONDS = 2.0
"""How long a client may take for the last frames before a restart."""
LOGIN_SECONDS = 10.0
"""How long a client may take to log in, and to renew a login that ran out."""
_FRAMES_AT_ONCE = 16
"""While there are more to send, others have a turn after so many: a replay may have thousands."""


class PlainSockets:
    """Takes the WebSockets whose routes are plain ASGI, ahead of what FastAPI puts around its functions.

    Those layers would hold 3 KiB of each open connection, and every frame would pass them.

    Args:
        app: Takes everything else.
        routes: The routes.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[WebSocketRoute]) -> None:
        self._app = app
        self._routes = routes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or one WebSocket."""
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                scope["route"] = route  # its trace is named after it
                return route.app(scope, receive, send)
        return self._app(scope, receive, send)


async def let_in(websocket: WebSocket, services: Services) -> bool:
    """Accept a WebSocket, or refuse it: for the page that it comes from, or because the server takes nobody now."""
    if not is_allowed_origin(websocket, services.settings.allowed_origins):
        metrics.CONNECTIONS_REFUSED.labels("forbidden_origin").inc()
        await websocket.close()
        return False
    refusal = why_refused(services)
    if refusal is not None:
        metrics.CONNECTIONS_REFUSED.labels(refusal.code).inc()
        response = problem(503, refusal.code, refusal.default, RETRY_AFTER)
        await websocket.send_denial_response(response)
        return False
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
    return True


class Closing(Exception):
    """The connection is to be closed, and why."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


class Wire:
    """An accepted WebSocket.

    Args:
        websocket: The socket.
        settings: Say how large a frame may be, and how long a client may take for one.
    """

    def __init__(self, websocket: WebSocket, settings: Settings) -> None:
        self._websocket = websocket
        self._max_frame_bytes = settings.max_frame_bytes
        self._send_timeout_seconds = settings.send_timeout_seconds
        self._sending = asyncio.Lock()
        self._sent = 0

    async def receive(self) -> str | bytes | None:
        """Return the next frame; None where the client has left.

        Raises:
            Closing: The frame is too large.
        """
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        if (len(data) if text is None else len(text.encode("utf-8", "surrogatepass"))) > self._max_frame_bytes:
            raise Closing(FRAME_TOO_LARGE)
        return data if text is None else text

    async def send(self, frame: str) -> None:
        """Send a frame.

        Raises:
            Closing: The client does not take it.
            WebSocketDisconnect: It has left.
        """
        # asyncio's own: they take a third of the time of anyio's, and this is done for each token.
        try:
            async with self._sending, asyncio.timeout(self._send_timeout_seconds):
                await self._websocket.send_text(frame)
        except TimeoutError as error:
            metrics.SLOW_CLIENTS.inc()
            raise Closing(SLOW_CLIENT) from error
        self._sent += 1
        if self._sent % _FRAMES_AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()

    async def close(self, close: Close) -> None:
        """Close the socket, where the client has not left."""
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        with anyio.move_on_after(FLUSH_SECONDS, shield=True):
            try:
                await self._websocket.close(close.code, close.reason)
            except (RuntimeError, OSError, WebSocketDisconnect):
                log.debug("client left before it was closed", code=close.code)


def why_ended(group: BaseExceptionGroup[BaseException]) -> Close | None:
    """Return why a connection ended; None where the client simply left."""
    reasons = _leaves(group)
    closing = next((reason for reason in reasons if isinstance(reason, Closing)), None)
    if closing is not None:
        return closing.close
    if all(isinstance(reason, WebSocketDisconnect) for reason in reasons):
        return None
    log.error("connection failed", exc_info=group)
    return INTERNAL


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
