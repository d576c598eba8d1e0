"""What uvicorn leaves open: how long a request may take to come, how much of it is no body, who does not read.

Without this a client that sends half a request, or does not read its answer, has its connection for ever.
"""

from asyncio import BaseTransport, TimerHandle
from itertools import islice
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.errors import problem
from app.core import metrics
from app.core.config import Settings

_LONGEST_HEAD = 65_536
"""Bytes of a request that are no body: its line, its headers, and what frames the pieces of a body."""

_CROWDED_SECONDS = 0.1
"""Many may come at once who have all said what they want: it is read before anybody is sent away."""


class BoundedHttp(HttpToolsProtocol):
    """A connection on which a request must come in time.

    From when it is opened, and from the first byte of each further request, until the request's last byte a
    connection counts as half open. One that is so for too long is closed; where there are too many, the
    oldest are, so that whoever sends what they have to say is let in however many do not.
    A client that takes nothing of its answer is cut off; a stream has done so itself by then.
    """

    request_seconds: ClassVar[float]
    unread_seconds: ClassVar[float]
    at_most: ClassVar[int]
    half_open: ClassVar[dict["BoundedHttp", None]]
    """The oldest first."""

    _deadline: TimerHandle | None = None
    _unread: TimerHandle | None = None
    _framing = 0
    """Bytes of the request so far that are none of its body."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type]  # it is one that can be written to
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget all that was waited for."""
        self._end()
        self._take()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._framing += len(data)
        super().data_received(data)
        if self in self.half_open and self._framing > _LONGEST_HEAD:
            self._refuse(431, "head_too_large", "Los encabezados son demasiado grandes.", "too_large")

    def on_message_begin(self) -> None:
        """Wait for the rest of a request."""
        super().on_message_begin()
        self._begin()

    def on_body(self, body: bytes) -> None:
        """Count a piece of a body as such."""
        self._framing -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Have the whole request."""
        self._end()
        self._framing = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket."""
        self._end()
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Wait for what is left of the answer to be taken, where the connection closes."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._offer()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is not used."""
        super().timeout_keep_alive_handler()
        self._offer()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._offer()

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._take()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, "bad_request", "La petición no es HTTP.", "malformed")

    def _begin(self) -> None:
        self._end()
        self.half_open[self] = None
        self._deadline = self.loop.call_later(self.request_seconds, self._give_up, "slow")
        if len(self.half_open) == self.at_most + 1:
            self.loop.call_later(_CROWDED_SECONDS, self._make_room)

    def _make_room(self) -> None:
        for oldest in list(islice(self.half_open, max(0, len(self.half_open) - self.at_most))):
            oldest._give_up("crowded")

    def _end(self) -> None:
        self.half_open.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _offer(self) -> None:
        if self._unread is None:
            self._unread = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def _take(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self, reason: str) -> None:
        if reason == "slow" and self.flow.read_paused:  # what came waits for the application, and not for the client
            self._deadline = self.loop.call_later(self.request_seconds, self._give_up, reason)
            return
        self._refuse(408, "request_timeout", "La petición no llegó entera a tiempo.", reason)

    def _refuse(self, status: int, code: str, detail: str, reason: str) -> None:
        """Close the connection, with a problem where nothing else is being answered on it."""
        self._end()
        if self.transport.is_closing():
            return
        metrics.REQUESTS_UNFINISHED.labels(reason).inc()
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not is_answering and not self.pipeline:
            response = problem(status, code, detail, {"Connection": "close"})
            headers = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
            self.transport.write(STATUS_LINE[status] + headers + b"\r\n" + bytes(response.body))
        self.transport.close()
        self._offer()


def http_protocol(settings: Settings) -> type[BoundedHttp]:
    """Return the protocol of one server's connections, for ``uvicorn``'s ``http``."""

    class Http(BoundedHttp):
        request_seconds = settings.request_timeout_seconds
        unread_seconds = 2 * settings.send_timeout_seconds
        at_most = settings.max_half_open
        half_open: ClassVar[dict[BoundedHttp, None]] = {}

    return Http
