"""Spans of requests and WebSockets: what they say, and what they never say."""

from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.testclient import WebSocketDenialResponse

from app.bootstrap import open_services
from app.core.config import Settings
from app.main import create_app
from tests.collector import Collector, attributes, running_collector
from tests.desk import make_settings, make_stores

pytestmark = pytest.mark.integration

SECRET, PERSON = "s3cr3t-Xy7", "Ana-de-la-Calle-72"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@contextmanager
def serving(collector: Collector, **settings: Any) -> Iterator[TestClient]:
    @asynccontextmanager
    async def opener(settings: Settings) -> Any:
        async with open_services(settings, stores=make_stores()) as services:
            yield services

    app = create_app(make_settings(otel_exporter_otlp_endpoint=collector.url, **settings), open_services=opener)
    _break(app)
    with TestClient(app, raise_server_exceptions=False, client=(PERSON, 1)) as http:
        yield http


def _break(app: FastAPI) -> None:
    @app.get("/broken/{name}")
    async def broken(name: str) -> None:
        raise RuntimeError(f"{name} said {SECRET}")


def requests(collector: Collector) -> list[Span]:
    """Return the spans of requests and WebSockets."""
    return [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]


def test_a_request_is_a_span_named_by_its_route(collector: Collector) -> None:
    with serving(collector) as http:
        http.post("/api/v1/chat", json={"text": "Hola"})

    [span] = requests(collector)
    assert span.name == "POST /api/v1/chat"
    assert span.parent_span_id == b""
    assert attributes(span)["http.route"] == "/api/v1/chat"
    assert attributes(span)["http.status_code"] == 200
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_a_websocket_is_one_span_however_many_frames_it_has(collector: Collector) -> None:
    with serving(collector) as http, http.websocket_connect("/api/v1/ws/chat") as socket:
        for _ in range(3):
            socket.send_json({"type": "ping"})
            socket.receive_json()

    assert [span.name for span in requests(collector)] == ["websocket /api/v1/ws/chat"]


def test_a_turn_without_a_traceparent_stays_in_its_conversations_trace(collector: Collector) -> None:
    with serving(collector) as http:
        http.post("/api/v1/chat", json={"text": "Hola"})

    [conversation], [turn] = collector.named("conversation"), collector.named("invoke_workflow taxi")
    assert (turn.trace_id, turn.parent_span_id) == (conversation.trace_id, conversation.span_id)


def test_what_balancers_and_operators_ask_is_not_traced(collector: Collector) -> None:
    with serving(collector) as http:
        for path in ("/health", "/ready", "/metrics", "/api/v1/ws/health"):
            assert http.get(path).status_code == 200
        http.get("/api/v1/threads/none")

    assert [span.name for span in requests(collector)] == ["GET /api/v1/threads/{thread_id:path}"]


def test_a_request_says_nothing_of_who_sent_it_nor_what(collector: Collector) -> None:
    headers = {
        "authorization": f"Bearer {SECRET}",
        "cookie": f"session={SECRET}",
        "user-agent": PERSON,
        "x-forwarded-for": PERSON,
        "baggage": f"user={PERSON}",
        "referer": f"http://x/?token={SECRET}",
    }
    with serving(collector, allowed_origins=("*",)) as http:
        http.get(f"/api/v1/threads/{PERSON}", params={"token": SECRET}, headers=headers)
        http.get(f"/api/chat/realtime/shared/{SECRET}", headers=headers)
        http.get(f"/nowhere/{SECRET}?phone={PERSON}")
        http.post("/auth/login", json={"username": PERSON, "password": SECRET})
        with http.websocket_connect(
            f"/api/v1/ws/chat?access_token={SECRET}",
            headers={"user-agent": PERSON},
            subprotocols=["voztaxi.v1", f"bearer.{SECRET}"],
        ):
            pass

    sent = b"".join(collector.bodies)
    assert len(requests(collector)) == 5
    assert SECRET.encode() not in sent
    assert PERSON.encode() not in sent


def test_a_request_that_fails_unexpectedly_says_so_and_not_in_whose_words(collector: Collector) -> None:
    with serving(collector) as http:
        assert http.get(f"/broken/{PERSON}").status_code == 500

    [span] = requests(collector)
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "RuntimeError"
    sent = b"".join(collector.bodies)
    assert SECRET.encode() not in sent
    assert PERSON.encode() not in sent


def test_a_websocket_that_is_not_let_in_has_a_span(collector: Collector) -> None:
    socket = "/api/v1/ws/chat"
    with (
        serving(collector, max_connections=1) as http,
        http.websocket_connect(socket),
        pytest.raises(WebSocketDenialResponse),
        http.websocket_connect(socket),
    ):
        pass

    assert len(requests(collector)) == 2


def test_an_odd_method_makes_no_name_of_its_own(collector: Collector) -> None:
    with serving(collector) as http:
        http.request(SECRET.upper(), "/api/v1/chat")

    assert [span.name for span in requests(collector)] == ["HTTP /api/v1/chat"]
    assert SECRET.upper().encode() not in b"".join(collector.bodies)
