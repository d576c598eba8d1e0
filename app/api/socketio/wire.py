"""What lies under a Socket.IO connection: a WebSocket that is bounded and closed on our terms, and what waits for it.

The Engine.IO server has no deadline for a client that does not read, and fails badly over a frame that is no
packet. So it is given a socket that knows both: it sees such a client leave.
"""

import asyncio
from typing import Any

import anyio
import structlog
from engineio.packet import Packet  # type: ignore[import-untyped]
from starlette.types import Message, Receive, Send

from app.api.close_codes import FRAME_TOO_LARGE, SLOW_CLIENT, Close
from app.core import metrics
from app.core.bell import Bell, Latch
from app.core.tasks import unless

log = structlog.stdlib.get_logger("voztaxi.socketio")

_NOT_UNDERSTOOD = Close(1002, "not understood", may_reconnect=True)


class Wire:
    """A WebSocket as the Engine.IO server sees it.

    Args:
        receive: What comes from the client.
        send: What goes there.
        send_seconds: Longest that the client may take for one frame.
        max_bytes: The largest frame.
    """

    def __init__(self, receive: Receive, send: Send, *, send_seconds: float, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._send_seconds = send_seconds
        self._max_bytes = max_bytes
        self._close: Close | None = None
        self._ended = Latch()

    def end(self, close: Close) -> None:
        """Let the Engine.IO server see the client leave: what waits is sent, then the socket is closed."""
        if self._close is None:
            self._close = close
            self._ended.set()

    async def receive(self) -> Message:
        """Return the next message."""
        message = None if self._ended.is_set() else await unless(self._ended, self._receive())
        if message is not None and message["type"] == "websocket.receive":
            refusal = self._refusal(message.get("text"), message.get("bytes"))
            if refusal is not None:
                self.end(refusal)
                message = None
        return message or {"type": "websocket.disconnect", "code": 1006}

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: The client does not take it.
        """
        if message["type"] == "websocket.close" and self._close is not None:
            message = {"type": "websocket.close", "code": self._close.code, "reason": self._close.reason}
        with anyio.move_on_after(self._send_seconds) as scope:
            await self._send(message)
        if scope.cancelled_caught:
            if self._close is None:
                metrics.SLOW_CLIENTS.inc()
            self.end(SLOW_CLIENT)
            raise OSError(SLOW_CLIENT.reason)

    def _refusal(self, text: str | None, data: bytes | None) -> Close | None:
        size = len(text.encode("utf-8", "surrogatepass")) if text is not None else len(data or b"")
        if size > self._max_bytes:
            return FRAME_TOO_LARGE
        try:
            Packet(encoded_packet=text if text is not None else data)
        except Exception:
            # Whatever its reader raises: it would leave the connection behind, half open.
            log.info("frame is no packet", size=size)
            return _NOT_UNDERSTOOD
        return None


class Outgoing(asyncio.Queue[Any]):
    """The packets that wait for a client. Whoever adds one may wait until there are few."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._taken = Bell()

    def _get(self) -> Any:
        self._taken.ring()
        return super()._get()

    def hang_up(self) -> None:
        """Let whoever sends them stop when all are sent."""
        self.put_nowait(None)

    async def until_below(self, length: int) -> None:
        """Wait until fewer than this many wait."""
        while self.qsize() >= length:
            await self._taken.wait()
