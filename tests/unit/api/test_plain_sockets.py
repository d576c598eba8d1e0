"""Which WebSockets are taken ahead of the application."""

import pytest
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.api.sockets import PlainSockets

pytestmark = pytest.mark.unit


class Noted:
    """Plain ASGI that notes what it serves."""

    def __init__(self) -> None:
        self.served: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note one."""
        self.served.append(scope)


async def serve(scope: Scope) -> tuple[Noted, Noted, WebSocketRoute]:
    """Have a request or a WebSocket served; return the application, the socket at ``/chat`` and its route."""
    app, socket = Noted(), Noted()
    route = WebSocketRoute("/chat", socket)

    async def receive() -> dict[str, object]:
        raise AssertionError

    async def send(_message: object) -> None:
        raise AssertionError

    await PlainSockets(app, [route])(scope, receive, send)
    return app, socket, route


@pytest.mark.parametrize(
    "scope",
    [{"path": "/chat"}, {"path": "/behind/a/proxy/chat", "root_path": "/behind/a/proxy"}],
    ids=["alone", "behind a proxy"],
)
async def test_a_websocket_of_a_route_is_taken_and_its_trace_is_named_after_it(scope: Scope) -> None:
    """It is known which route it was, wherever the server is mounted."""
    app, socket, route = await serve({"type": "websocket", **scope})

    assert [each["route"] for each in socket.served] == [route]
    assert app.served == []


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "websocket", "path": "/chat/more"},
        {"type": "websocket", "path": "/"},
        {"type": "http", "path": "/chat", "method": "GET"},
        {"type": "lifespan"},
    ],
    ids=["below it", "another", "a request", "the lifespan"],
)
async def test_everything_else_is_the_application_s(scope: Scope) -> None:
    """As if there were no such route."""
    app, socket, _ = await serve(scope)

    assert app.served == [scope]
    assert socket.served == []
