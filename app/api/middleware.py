"""A request id, an access log and its figures, in plain ASGI so that streams pass through untouched."""

import re
import time
import uuid

import structlog
from fastapi.requests import HTTPConnection
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.deps import get_services
from app.api.errors import METHODS, code_of, count_refusal
from app.core import metrics
from app.core.trace_context import TRACEPARENT, read_traceparent

log = structlog.stdlib.get_logger("voztaxi.access")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NO_ROUTE = "none"
_UNTRACED = frozenset({"/health", "/ready", "/metrics", "/api/v1/ws/health"})


class RequestLog:
    """Gives each request an id, or keeps a well-formed one, and logs and counts how it was answered.

    Whose trace a request or a WebSocket belongs to is noted for the turns that come of it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] in ("http", "websocket"):
            TRACEPARENT.set(read_traceparent(scope["headers"]))
        serve = self._serve if scope["type"] == "http" else self._app
        try:
            await serve(scope, receive, send)
        finally:
            if (code := code_of(scope)) is not None:
                count_refusal(code)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        answered: float | None = None
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                ended = time.perf_counter()
                route = getattr(scope.get("route"), "path", None)
                log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round((ended - started) * 1000, 1),
                )
                _count(route, scope["method"], status, (answered or ended) - started)


class RequestTraces:
    """Lets each request, and each WebSocket, be seen in a trace; not what balancers and operators ask again and again.

    What makes the spans is opened with the services.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        services = await get_services(HTTPConnection(scope))
        assert services.trace_request is not None, "the endpoint is set"
        await services.trace_request(self._app, scope, receive, send)


def _count(route: str | None, method: str, status: int, seconds: float) -> None:
    """Count a request, by what the server knows and never by what the client made up."""
    labels = (route or _NO_ROUTE, method if method in METHODS else metrics.OTHER)
    metrics.HTTP_REQUESTS.labels(*labels, f"{status // 100}xx").inc()
    metrics.HTTP_REQUEST_SECONDS.labels(*labels).observe(seconds)
