"""Spans of requests and WebSockets, made by OpenTelemetry's own middleware. An extra: only who wants traces imports it.

The middleware is shown no more of a request than may leave the house: how it came and whose trace it belongs to.
A path may hold the secret of a link, a query a token, and an address is a person's; what it was never shown it
cannot send. Routes are named by their templates.
"""

from dataclasses import dataclass

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.trace import Span, Status, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.http import sanitize_method
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.trace_context import TRACEPARENT

_SHOWN = ("type", "asgi", "http_version", "scheme", "server")
_PASSAGE = "voztaxi.passage"
_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(slots=True)
class _Passage:
    """A request on its way past the middleware."""

    app: ASGIApp
    scope: Scope
    failure: Exception | None = None


class RequestSpans:
    """Serves requests, each within a span: of its caller's trace where it has one, else of a trace of its own.

    Args:
        tracer: Makes spans.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._middleware = OpenTelemetryMiddleware(
            _serve,
            tracer=tracer,
            default_span_details=lambda scope: (_name(scope), {}),
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have ``app`` serve one request, or one WebSocket."""
        passage = _Passage(app, scope)
        shown = {name: scope[name] for name in _SHOWN if name in scope}
        if scope["type"] == "http":
            shown["method"] = sanitize_method(scope["method"])
        headers = [(name, value) for name, value in scope["headers"] if name == b"tracestate"]
        if (given := TRACEPARENT.get()) is not None:
            headers.append((b"traceparent", given.encode("latin-1")))
        await self._middleware({**shown, "headers": headers, _PASSAGE: passage}, receive, send)
        if passage.failure is not None:
            raise passage.failure


async def _serve(shown: Scope, receive: Receive, send: Send) -> None:
    """Serve the whole request, below the middleware."""
    passage: _Passage = shown[_PASSAGE]
    span = get_current_span()
    _nest_turns(span)

    async def send_named(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            route = getattr(passage.scope.get("route"), "path", None)
            if route is not None:
                span.update_name(f"{_name(shown)} {route}")
                span.set_attribute("http.route", route)
        await send(message)

    try:
        await passage.app(passage.scope, receive, send_named)
    except Exception as error:
        # Kept from the middleware, which would send its words: they may be a rider's.
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        passage.failure = error


def _name(scope: Scope) -> str:
    """Return a span's name as far as it is known before there is a route."""
    return str(scope["method"]).replace("_OTHER", "HTTP") if scope["type"] == "http" else "websocket"


def _nest_turns(span: Span) -> None:
    """Put turns within the request that brought them, where that is in a trace of its caller's."""
    if getattr(span, "parent", None) is not None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, set_span_in_context(span))
        TRACEPARENT.set(carrier.get("traceparent"))
