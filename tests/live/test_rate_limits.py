"""Limits on real servers: two processes count as one, and neither depends on Redis to be there."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.chaos.services import Redis, run_redis
from tests.live.server import Server, rider, running_server

pytestmark = pytest.mark.live

TIGHT = {"RATE_LIMIT_EXEMPT": "none", "RATE_LIMIT_TURNS": "3/minute", "RATE_LIMIT_LOGINS": "4/minute"}


@pytest.fixture
def redis_of_its_own() -> Iterator[Redis]:
    with run_redis() as redis:
        yield redis


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_of_its_own: Redis) -> Iterator[tuple[Server, Server]]:
    """Two processes that share what they keep and what they count."""
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_of_its_own.url, "AUTO_MIGRATE": "true", **TIGHT}
    with running_server(tmp_path / "a", **env) as a, running_server(tmp_path / "b", **env) as b:
        yield a, b


def say(server: Server, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}/api/v1/chat", json={"text": "Hola"}, headers=headers, timeout=30)


def log_in(server: Server, name: str, **headers: str) -> httpx.Response:
    credentials = {"username": name, "password": "wrong password"}
    return httpx.post(f"{server.url}/auth/login", json=credentials, headers=headers, timeout=30)


async def test_a_limit_holds_over_all_processes_and_all_transports(pair: tuple[Server, Server]) -> None:
    a, b = pair
    assert [say(server).status_code for server in (a, b)] == [200, 200]
    async with rider(a.ws) as here, rider(b.ws) as there:
        assert (await here.say("Hola"))[-1]["status"] == "completed"
        for client in (there, here):
            await client.send(type="user_input", text="Hola")
            [refused] = await client.until("system_message")
            assert refused["code"] == "rate_limited"
            await client.send(type="ping")
            await client.until("pong")
    refused_too = [say(server) for server in pair]

    assert [answer.status_code for answer in refused_too] == [429, 429]
    assert all(0 < int(answer.headers["retry-after"]) <= 61 for answer in refused_too)


def test_passwords_are_not_tried_more_often_by_trying_them_elsewhere(pair: tuple[Server, Server]) -> None:
    # Each attempt comes from another address, as a trusted proxy tells: what counts is the name.
    found = [log_in(pair[n % 2], "ana", **{"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(6)]

    assert found == [401] * 4 + [429] * 2


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_without_redis_nobody_is_locked_out_and_nobody_tries_passwords_without_end(
    pair: tuple[Server, Server], redis_of_its_own: Redis, fault: str
) -> None:
    server, _ = pair
    assert [log_in(server, "ana").status_code for _ in range(5)] == [401] * 4 + [429]
    getattr(redis_of_its_own, fault)()
    try:
        requests = [httpx.get(f"{server.url}/openapi.json", timeout=30) for _ in range(20)]
        tried = [log_in(server, "ana").status_code for _ in range(6)]
    finally:
        if fault == "pause":
            redis_of_its_own.resume()

    assert {answer.status_code for answer in requests} == {200}
    assert tried == [401] * 4 + [429] * 2
    assert server.log.read_text().count("rates are counted by this process alone") == 1


def test_only_a_proxy_that_is_believed_says_where_somebody_comes_from(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "memory://", "RATE_LIMIT_TURNS": "1/minute"}
    with running_server(tmp_path / "believes", **settings) as server:
        # The last address that is no proxy of ours is the client: what it says itself stands before that.
        found = [say(server, **{"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.7"}).status_code for n in range(2)]
        assert found == [200, 429]
        assert say(server, **{"X-Forwarded-For": "203.0.113.8"}).status_code == 200
        assert say(server).status_code == 200, "this machine is not limited"
    with running_server(
        tmp_path / "does not", **settings, RATE_LIMIT_EXEMPT="none", FORWARDED_ALLOW_IPS="10.0.0.1"
    ) as server:
        found = [say(server, **{"X-Forwarded-For": f"203.0.113.{n}"}).status_code for n in range(2)]
        assert found == [200, 429]


def test_a_large_body_is_refused_while_it_comes(tmp_path: Path) -> None:
    piece = b"x" * 65_536

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield piece

    with running_server(tmp_path, DATABASE_URL="memory://") as server, httpx.Client(base_url=server.url) as client:
        told = client.post("/api/v1/chat", content=piece * 64)
        in_pieces = client.post("/auth/login", content=endless())
        after = client.post("/api/v1/chat", json={"text": "Hola"})

    for answer in (told, in_pieces):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert after.status_code == 200
