"""A server that lets everybody in serves its own machine alone, however it was started."""

from collections.abc import Awaitable
from ipaddress import ip_address

import structlog
from fastapi.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.api.errors import problem
from app.core.config import is_loopback

log = structlog.stdlib.get_logger("voztaxi")


class Exposure:
    """Refuses what comes to an address that others reach.

    ``voztaxi serve`` does not start on one. Of a web server that was started otherwise only its connections tell
    where it listens; a server that is not named by an address is no web server on a network, or a test.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._was_told = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or one WebSocket, of this machine."""
        is_refused = scope["type"] != "lifespan" and _is_reached_by_others(HTTPConnection(scope))
        serve = self._refuse if is_refused else self._app
        return serve(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._was_told:
            self._was_told = True
            log.error("others reach this server: set AUTH_REQUIRED=true, or ALLOW_INSECURE=auth_off")
        refusal = problem(403, "exposed", "Este servidor solo atiende a su propia máquina.")
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)


def _is_reached_by_others(connection: HTTPConnection) -> bool:
    host = (connection.scope.get("server") or ("", None))[0]
    try:
        ip_address(host)
    except ValueError:
        return False
    return not is_loopback(host)
