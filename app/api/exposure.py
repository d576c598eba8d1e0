"""A server that lets everybody in serves its own machine alone, however it was started."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket, of this machine."""
        if scope["type"] == "lifespan" or not _is_reached_by_others(HTTPConnection(scope)):
            await self._app(scope, receive, send)
            return
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
