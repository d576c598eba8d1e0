"""What clients are refused is counted by the code that they were told, whatever they came by."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY
from starlette.testclient import WebSocketDenialResponse

from app.api.deps import Services
from app.bootstrap import open_services
from app.core import metrics
from app.core.config import Settings
from app.engines.llm.function_model import Reply
from app.main import create_app
from tests.desk import make_settings, make_stores
from tests.fakes import FaultyModel

pytestmark = pytest.mark.integration

CHAT, SOCKET = "/api/v1/chat", "/api/v1/ws/chat"


@contextmanager
def serving(model: Any = None, **settings: Any) -> Iterator[TestClient]:
    """Run a server with an account of Ana's."""

    @asynccontextmanager
    async def opener(settings: Settings) -> AsyncIterator[Services]:
        async with open_services(settings, stores=make_stores(), model=model) as services:
            await services.accounts.add("Ana", "correct horse")
            yield services

    with TestClient(create_app(make_settings(**settings), open_services=opener)) as http:
        yield http


class Refusals:
    """What was refused since this was made, by code."""

    def __init__(self) -> None:
        self._before = self._now()

    @staticmethod
    def _now() -> dict[str, float]:
        families = (family for family in REGISTRY.collect() if family.name == "voztaxi_refusals")
        return {sample.labels["code"]: sample.value for family in families for sample in family.samples}

    def __call__(self) -> dict[str, float]:
        return {code: value - self._before[code] for code, value in self._now().items() if value != self._before[code]}


def told(http: TestClient, frame: Any, **options: Any) -> str:
    """Send one frame over a WebSocket and return the code that it is answered with."""
    with http.websocket_connect(SOCKET, **options) as socket:
        socket.send_text(frame) if isinstance(frame, str) else socket.send_json(frame)
        while True:
            answer = socket.receive_json()
            if answer["type"] == "system_message" and answer["level"] == "error":
                return str(answer["code"])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"max_text_chars": 2}, "text_too_long"),
        ({"auth_required": True}, "not_authenticated"),
        ({"rate_limit_turns": "1/minute", "rate_limit_exempt": "none"}, "rate_limited"),
    ],
)
def test_a_turn_that_is_refused_is_counted_once_over_http_and_websocket(settings: dict[str, Any], code: str) -> None:
    with serving(**settings) as http:
        if code == "rate_limited":
            http.post(CHAT, json={"text": "Hola"})
        refusals = Refusals()
        assert http.post(CHAT, json={"text": "Hola"}).json()["code"] == code
        assert refusals() == {code: 1}
        assert told(http, {"type": "user_input", "text": "Hola"}) == code
        assert refusals() == {code: 2}


def test_a_turn_for_which_there_is_no_room_is_counted_over_http_and_websocket() -> None:
    model = FaultyModel(function=lambda *_: Reply("Hola"), faults={0: "hang"})
    with serving(model, max_active_turns=1) as http, http.websocket_connect(SOCKET) as first:
        first.send_json({"type": "user_input", "text": "Hola"})
        while first.receive_json()["type"] != "turn_start":
            pass
        refusals = Refusals()
        assert http.post(CHAT, json={"text": "Hola"}).json()["code"] == "overloaded"
        with http.websocket_connect(SOCKET) as second:
            second.send_json({"type": "user_input", "text": "Hola"})
            assert second.receive()["code"] == 1013
        first.send_json({"type": "cancel"})

    assert refusals() == {"overloaded": 2}


def test_a_stream_that_is_refused_before_it_begins_is_counted() -> None:
    with serving(max_text_chars=2) as http:
        login = http.post("/auth/login", json={"username": "Ana", "password": "correct horse"}).json()
        refusals = Refusals()
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        answer = http.post("/stream/chat", json={"message": "Hola"}, headers=headers)

    assert answer.json()["code"] == "text_too_long"
    assert refusals() == {"text_too_long": 1}


def test_a_websocket_that_is_not_let_in_and_a_bad_login_are_counted() -> None:
    refusals = Refusals()
    with serving(max_connections=1) as http, http.websocket_connect(SOCKET):
        with pytest.raises(WebSocketDenialResponse), http.websocket_connect(SOCKET):
            pass
        http.post("/auth/login", json={"username": "Ana", "password": "wrong"})
        http.post(CHAT, json={"text": "Hola"}, headers={"Authorization": "Bearer no.such.token"})

    assert refusals() == {"overloaded": 1, "invalid_credentials": 1, "invalid_token": 1}


def test_what_no_dialect_understands_is_counted() -> None:
    refusals = Refusals()
    with serving() as http:
        http.post(CHAT, content="{", headers={"content-type": "application/json"})
        http.post(CHAT, json={})
        http.put(CHAT)
        assert told(http, "{") == "invalid_json"
        assert told(http, {"type": "sing"}) == "unknown_type"

    assert refusals() == {"invalid_json": 2, "invalid_message": 1, "unknown_type": 1, "other": 1}


@pytest.mark.parametrize("is_told", [True, False])
def test_a_body_that_is_too_large_is_counted_once(is_told: bool) -> None:
    body = b'{"text": "Hola, necesito un taxi"}'
    refusals = Refusals()
    with serving(max_body_bytes=10) as http:
        content = body if is_told else iter((body[:8], body[8:]))
        answer = http.post(CHAT, content=content, headers={"content-type": "application/json"})

    assert answer.json()["code"] == "body_too_large"
    assert refusals() == {"body_too_large": 1}


def test_a_turn_that_fails_is_no_refusal_nor_is_an_answer() -> None:
    refusals = Refusals()
    model = FaultyModel(function=lambda *_: None, faults={0: "raise"})
    with serving(model) as http:
        assert http.post(CHAT, json={"text": "Hola"}).json()["code"] == "model_error"
    with serving() as http:
        assert http.post(CHAT, json={"text": "Hola"}).status_code == 200

    assert refusals() == {}


def test_every_code_that_a_client_may_be_refused_with_has_a_figure() -> None:
    with serving() as http:
        description = http.get("/asyncapi.json").json()["info"]["description"]
    refusals = description.partition("no turn starts:")[2].partition("In an `agent_error`")[0]
    codes = set(re.findall(r"^- `([a-z_]+)` ", refusals, re.MULTILINE))

    assert codes - {"authenticated"} <= metrics.REFUSAL_CODES
    assert codes & metrics.FAILURE_CODES == set()
