"""Requests that come too often, and what every answer says of it."""

from fastapi.requests import HTTPConnection
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.deps import Services, get_services
from app.api.errors import figures, refused
from app.core.errors import RateLimited
from app.models.account import Caller
from app.models.rate import Verdict
from app.services.rate_limits import narrower

EXEMPT = frozenset({"/health", "/ready", "/metrics", "/api/v1/ws/health", "/api/v1/dispatch/webhook"})
"""What balancers and operators ask, and what the fleet tells: whoever runs these is not to be refused."""
SOCKETIO = "/socket.io"
"""Its requests go on with what was counted when it began; what counts then is its events."""
_LOCAL = "127.0.0.1"
_VERDICT = "rate_verdict"


def address_of(connection: HTTPConnection) -> str:
    """Return where a connection comes from.

    Of a proxy that is believed (``FORWARDED_ALLOW_IPS``) it is whom the proxy names; the web server sees to that.
    A connection without an address comes by a socket of this machine.
    """
    return connection.client.host if connection.client is not None else _LOCAL


async def take_account(connection: HTTPConnection, services: Services, caller: Caller) -> None:
    """Count a request for the account that makes it.

    Raises:
        RateLimited: It makes too many.
    """
    _note(connection.scope, await services.rates.account(caller))


async def take_login(connection: HTTPConnection, services: Services, name_key: str) -> None:
    """Count an attempt to log in, before anybody knows whether it is a good one.

    Raises:
        RateLimited: The address, or the name, had too many.
    """
    _note(connection.scope, await services.rates.login(name_key, address_of(connection)))


class RateLimit:
    """Counts each request, and each WebSocket that is opened, by its address; says on every answer what is left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if it may be."""
        if scope["type"] not in ("http", "websocket") or _counts_elsewhere(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            await _count(HTTPConnection(scope))
        except RateLimited as error:
            if scope["type"] == "websocket":
                await WebSocket(scope, receive, send).send_denial_response(refused(error))
            else:
                await refused(error)(scope, receive, send)
            return
        await self._app(scope, receive, send if scope["type"] == "websocket" else _with_figures(scope, send))


async def _count(connection: HTTPConnection) -> None:
    services = await get_services(connection)
    _note(connection.scope, await services.rates.request(address_of(connection)))


def _with_figures(scope: Scope, send: Send) -> Send:
    """Return what sends an answer with what is left to whoever asks."""

    async def send_with_figures(message: Message) -> None:
        if message["type"] == "http.response.start" and (verdict := scope["state"].get(_VERDICT)) is not None:
            headers = MutableHeaders(scope=message)
            for name, value in figures(verdict).items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_figures


def _counts_elsewhere(path: str) -> bool:
    return path in EXEMPT or path.startswith(f"{SOCKETIO}/")


def _note(scope: Scope, verdict: Verdict | None) -> None:
    """Keep the narrowest verdict for the answer."""
    state = scope.setdefault("state", {})
    state[_VERDICT] = narrower(state.get(_VERDICT), verdict)
