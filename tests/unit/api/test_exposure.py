"""Whom a server serves that lets everybody in."""

from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.api.exposure import Exposure
from app.main import create_app
from tests.desk import make_settings

pytestmark = pytest.mark.unit


def served_at(host: str | None) -> TestClient:
    """Return a client of a small application, as if its server had an address."""
    guarded = Exposure(JSONResponse({}))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        server = None if host is None else (host, 8000)
        await guarded({**scope, "server": server} if "server" in scope else scope, receive, send)

    return TestClient(app)


@pytest.mark.parametrize(
    "host", ["192.168.1.7", "10.0.0.1", "8.8.8.8", "fe80::1%eth0", "::ffff:192.168.1.7", "2001:db8::1"]
)
def test_who_comes_to_an_address_that_others_reach_is_refused(host: str) -> None:
    client = served_at(host)
    answer = client.get("/")

    assert (answer.status_code, answer.json()["code"]) == (403, "exposed")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1", "testserver", "/run/app.sock", None]
)
def test_who_comes_from_this_machine_is_served(host: str | None) -> None:
    assert served_at(host).get("/").status_code == 200


@pytest.mark.parametrize(
    ("settings", "is_guarded"),
    [({}, True), ({"auth_required": True}, False), ({"allow_insecure": ("auth_off",)}, False)],
)
def test_only_a_server_that_lets_everybody_in_asks(settings: dict[str, Any], is_guarded: bool) -> None:
    app = create_app(make_settings(**settings))

    assert any(each.cls is Exposure for each in app.user_middleware) == is_guarded
