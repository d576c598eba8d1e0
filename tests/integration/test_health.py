"""Balancers and operators are told the truth."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi.testclient import TestClient

from app.api.deps import Services
from app.bootstrap import Stores, open_services
from app.core.config import Settings
from app.main import create_app
from tests.desk import make_settings, make_stores

pytestmark = pytest.mark.integration


async def is_down() -> None:
    raise ConnectionRefusedError


def client(stores: Stores) -> TestClient:
    @asynccontextmanager
    async def opener(settings: Settings) -> AsyncIterator[Services]:
        async with open_services(settings, stores=stores) as services:
            yield services

    return TestClient(create_app(make_settings(), open_services=opener))


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_healthy_server_says_so(path: str) -> None:
    with client(make_stores()) as http:
        answer = http.get(path)

    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")


def test_a_store_that_does_not_answer_makes_it_unhealthy() -> None:
    with client(dataclasses.replace(make_stores(), pings={"database": is_down})) as http:
        answer = http.get("/health")

    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["stores"] == {"database": "unreachable"}


def test_a_server_that_drains_takes_no_more_and_says_so() -> None:
    with client(make_stores()) as http:
        http.app.state.services.streaming.draining = True  # type: ignore[attr-defined]
        answer = http.get("/health")
        refused = http.post("/api/v1/chat", json={"text": "Hola"})

    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert (refused.status_code, refused.json()["code"]) == (503, "draining")
    assert refused.headers["retry-after"]


def test_the_websocket_speaks_in_process_too() -> None:
    with client(make_stores()) as http, http.websocket_connect("/api/v1/ws/chat") as socket:
        socket.send_json({"type": "user_input", "text": "Hola", "thread_id": "t"})
        frames = [socket.receive_json()]
        while frames[-1]["type"] != "turn_end":
            frames.append(socket.receive_json())

    assert frames[-1]["status"] == "completed"
