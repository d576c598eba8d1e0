"""Who comes too often is told so, and when to come again; whoever sends too much is not read to the end."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.deps import Services
from app.bootstrap import open_services
from app.core.config import Settings
from app.core.errors import StoreError
from app.main import create_app
from app.models.rate import Rate, Verdict
from app.stores.base import RateCounter
from app.stores.rates import FallbackRateCounter, MemoryRateCounter
from tests.desk import make_settings, make_stores

pytestmark = pytest.mark.integration

ABROAD, ELSEWHERE = "203.0.113.7", "2001:db8:1:2::3"
PASSWORD = "correct horse"


class Network:
    """Clients of one server, each with an address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as that of the address in ``X-Test-From``."""
        if scope["type"] != "lifespan":
            address = dict(scope["headers"]).get(b"x-test-from", ABROAD.encode()).decode()
            scope = {**scope, "client": (address, 1), "state": {}}
        await self._app(scope, receive, send)


@contextmanager
def serving(*, rates: RateCounter | None = None, **settings: Any) -> Iterator[TestClient]:
    """Run a server, with an account of Ana's."""
    stores = make_stores()
    if rates is not None:
        stores = dataclasses.replace(stores, rates=rates)

    @asynccontextmanager
    async def opener(settings: Settings) -> AsyncIterator[Services]:
        async with open_services(settings, stores=stores) as services:
            await services.accounts.add("Ana", PASSWORD)
            yield services

    app = create_app(make_settings(**settings), open_services=opener)
    with TestClient(Network(app)) as http:
        yield http


def come(address: str, **headers: str) -> dict[str, str]:
    return {"X-Test-From": address, **headers}


def log_in(http: TestClient, name: str, password: str, address: str = ABROAD) -> Any:
    return http.post("/auth/login", json={"username": name, "password": password}, headers=come(address))


# Requests.


def test_every_answer_says_what_is_left_and_one_too_many_when_to_come_again() -> None:
    with serving(rate_limit_requests="3/minute") as http:
        answers = [http.get(path) for path in ("/openapi.json", "/nowhere", "/api/v1/threads/none", "/")]

    assert [answer.status_code for answer in answers] == [200, 404, 404, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    for answer in answers:
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-policy"]) == ("3", "3;w=60")
        assert 50 <= int(answer.headers["ratelimit-reset"]) <= 61
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert refused.headers["x-request-id"]


def test_a_page_may_read_why_it_was_refused() -> None:
    with serving(rate_limit_requests="1/minute") as http:
        http.get("/openapi.json")
        refused = http.get("/openapi.json", headers={"Origin": "http://localhost:3000"})

    assert refused.status_code == 429
    assert refused.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "Retry-After" in refused.headers["access-control-expose-headers"]


def test_each_address_is_counted_for_itself_and_a_subscriber_of_ipv6_as_one() -> None:
    with serving(rate_limit_requests="1/minute") as http:
        found = [
            http.get("/openapi.json", headers=come(address)).status_code
            for address in (ABROAD, "203.0.113.8", ELSEWHERE, "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", ABROAD)
        ]

    assert found == [200, 200, 200, 429, 200, 429]


def test_who_balances_watches_and_drives_is_never_refused() -> None:
    with serving(rate_limit_requests="1/minute") as http:
        http.get("/openapi.json")
        paths = ("/health", "/ready", "/metrics", "/api/v1/ws/health")
        answers = [http.get(path) for path in paths for _ in range(3)]
        told = http.post("/api/v1/dispatch/webhook", content=b"{}")

        assert http.get("/openapi.json").status_code == 429
    assert {answer.status_code for answer in answers} == {200}
    assert told.status_code == 404, "no fleet here, and no limit either"
    assert not any("ratelimit-limit" in answer.headers for answer in (*answers, told))


def test_this_machine_is_not_limited_unless_it_is_to_be() -> None:
    tight = {"rate_limit_requests": "1/minute", "rate_limit_turns": "1/minute"}
    with serving(**tight) as http:
        free = [http.get("/openapi.json", headers=come("127.0.0.1")) for _ in range(5)]
        turns = [http.post("/api/v1/chat", json={"text": "Hola"}, headers=come("::1")) for _ in range(3)]
    with serving(**tight, rate_limit_exempt="none") as http:
        held = [http.get("/openapi.json", headers=come("127.0.0.1")).status_code for _ in range(2)]

    assert {answer.status_code for answer in (*free, *turns)} == {200}
    assert "ratelimit-limit" not in free[0].headers
    assert held == [200, 429]


def test_nothing_is_counted_where_limits_are_off() -> None:
    off = {"rate_limit_requests": "0", "rate_limit_turns": "0", "rate_limit_logins": "0"}
    with serving(**off) as http:
        answers = [http.post("/api/v1/chat", json={"text": "Hola"}) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit-limit" not in answers[0].headers


def test_an_account_is_counted_wherever_it_comes_from() -> None:
    with serving(rate_limit_requests="3/minute") as http:
        token = log_in(http, "Ana", PASSWORD, "203.0.113.99").json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        answers = [
            http.get(
                ("/auth/me", "/api/v1/bookings?thread_id=t")[number % 2], headers=come(f"203.0.113.{number}", **bearer)
            )
            for number in range(5)
        ]
        anonymous = http.get("/api/v1/threads/none", headers=come("203.0.113.0"))

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers[:4]] == ["2", "1", "0", "0"]
    assert int(answers[3].headers["retry-after"]) > 0
    assert anonymous.status_code == 404


# Turns.


def test_a_turn_too_many_is_refused_over_http() -> None:
    with serving(rate_limit_turns="2/minute") as http:
        answers = [http.post("/api/v1/chat", json={"text": "Hola"}) for _ in range(3)]
        other = http.post("/api/v1/chat", json={"text": "Hola"}, headers=come(ELSEWHERE))

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "rate_limited"
    assert answers[2].headers["ratelimit-limit"] == "2"
    assert 50 <= int(answers[2].headers["retry-after"]) <= 61
    assert other.status_code == 200


def test_a_turn_too_many_is_refused_over_the_websocket_which_stays_open() -> None:
    with serving(rate_limit_turns="1/minute") as http, http.websocket_connect("/api/v1/ws/chat") as socket:
        socket.send_json({"type": "user_input", "text": "Hola", "thread_id": "t"})
        while socket.receive_json()["type"] != "turn_end":
            pass
        socket.send_json({"type": "user_input", "text": "Un taxi", "thread_id": "other"})
        refused = socket.receive_json()
        socket.send_json({"type": "ping"})

        assert (refused["type"], refused["level"], refused["code"]) == ("system_message", "error", "rate_limited")
        assert socket.receive_json()["type"] == "pong"
        assert http.get("/api/v1/threads/other").status_code == 404, "no turn was begun"


def test_turns_of_one_address_count_together_whatever_they_come_by() -> None:
    with serving(rate_limit_turns="1/minute") as http, http.websocket_connect("/api/v1/ws/chat") as socket:
        assert http.post("/api/v1/chat", json={"text": "Hola"}).status_code == 200
        socket.send_json({"type": "user_input", "text": "Hola", "thread_id": "t"})

        assert socket.receive_json()["code"] == "rate_limited"


def test_turns_count_for_the_account_where_there_is_one() -> None:
    with serving(rate_limit_turns="1/minute") as http:
        token = log_in(http, "Ana", PASSWORD).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        said = [
            http.post("/api/v1/chat", json={"text": "Hola"}, headers=come(address, **bearer)).status_code
            for address in (ABROAD, ELSEWHERE)
        ]
        with http.websocket_connect("/api/v1/ws/chat", headers=come("203.0.113.50", **bearer)) as socket:
            assert socket.receive_json()["code"] == "authenticated"
            socket.send_json({"type": "user_input", "text": "Hola", "thread_id": "t"})
            refused = socket.receive_json()
        anonymous = http.post("/api/v1/chat", json={"text": "Hola"})

    assert said == [200, 429]
    assert refused["code"] == "rate_limited"
    assert anonymous.status_code == 200


def test_a_message_that_is_sent_again_costs_no_turn() -> None:
    message = {"text": "Hola", "thread_id": "t", "message_id": "m-1"}
    with serving(rate_limit_turns="2/minute") as http:
        answers = [http.post("/api/v1/chat", json=message) for _ in range(4)]
        another = http.post("/api/v1/chat", json=message | {"message_id": "m-2"})
        too_many = http.post("/api/v1/chat", json=message | {"message_id": "m-3"})

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["turn_id"] for answer in answers}) == 1
    assert (another.status_code, too_many.status_code) == (200, 429)


def test_what_is_refused_for_another_reason_costs_no_turn() -> None:
    with serving(rate_limit_turns="1/minute", max_text_chars=10) as http:
        long = http.post("/api/v1/chat", json={"text": "x" * 11})
        good = http.post("/api/v1/chat", json={"text": "Hola"})

    assert (long.status_code, good.status_code) == (413, 200)


def test_a_websocket_too_many_is_refused_before_it_is_opened() -> None:
    with serving(rate_limit_requests="1/minute") as http:
        with http.websocket_connect("/api/v1/ws/chat"):
            pass
        with pytest.raises(WebSocketDenialResponse) as refused, http.websocket_connect("/api/v1/ws/chat"):
            pass

    assert (refused.value.status_code, refused.value.json()["code"]) == (429, "rate_limited")
    assert int(refused.value.headers["retry-after"]) > 0


def test_a_replay_costs_what_the_same_request_costs() -> None:
    with serving(rate_limit_requests="2/minute") as http, http.websocket_connect("/api/v1/ws/chat") as socket:
        socket.send_json({"type": "replay", "thread_id": "t", "after_seq": 0})
        first = socket.receive_json()
        socket.send_json({"type": "replay", "thread_id": "t", "after_seq": 0})
        second = socket.receive_json()

    assert first["type"] == "replay_start"
    assert second["code"] == "rate_limited"


# Logins.


def test_attempts_are_counted_by_address_and_no_good_one_gives_any_back() -> None:
    with serving(rate_limit_logins="4/minute") as http:
        first = [log_in(http, f"nobody-{number}", "wrong password") for number in range(2)]
        good = log_in(http, "Ana", PASSWORD)
        rest = [log_in(http, f"nobody-{number}", "wrong password") for number in range(2, 4)]
        right_but_late = log_in(http, "Ana", PASSWORD)
        from_elsewhere = log_in(http, "Ana", PASSWORD, ELSEWHERE)

    assert [answer.status_code for answer in (*first, good, *rest)] == [401, 401, 200, 401, 429]
    assert (right_but_late.status_code, right_but_late.json()["code"]) == (429, "rate_limited")
    assert int(right_but_late.headers["retry-after"]) > 0
    assert from_elsewhere.status_code == 200


@pytest.mark.parametrize("name", ["Ana", "Nobody", "\u0001"])
def test_a_name_is_counted_wherever_it_is_tried_from_whether_or_not_anybody_has_it(name: str) -> None:
    spellings = [name, name.upper(), f" {name} "]
    with serving(rate_limit_logins="3/minute") as http:
        answers = [log_in(http, spellings[number % 3], "wrong password", f"203.0.113.{number}") for number in range(5)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert {answer.json()["detail"].rstrip("0123456789 s.") for answer in answers[3:]} == {
        "Demasiadas peticiones. Intenta de nuevo en"
    }


def test_names_are_counted_on_this_machine_too() -> None:
    with serving(rate_limit_logins="2/minute") as http:
        tried = [log_in(http, "Ana", "wrong password", "127.0.0.1").status_code for _ in range(3)]
        others = [log_in(http, f"nobody-{n}", "wrong password", "127.0.0.1").status_code for n in range(3)]

    assert (tried, others) == ([401, 401, 429], [401, 401, 401])


def test_who_is_logged_in_stays_so_while_somebody_tries_the_name() -> None:
    with serving(rate_limit_logins="2/minute") as http:
        login = log_in(http, "Ana", PASSWORD).json()
        for number in range(3):
            log_in(http, "Ana", "wrong password", f"203.0.113.{number}")
        renewed = http.post("/auth/refresh", json={"refresh_token": login["refresh_token"]})

    assert renewed.status_code == 200


# While the counter that processes share is away.


class Away:
    """A counter that cannot be reached."""

    async def hit(self, rate: Rate, key: str) -> Verdict:
        raise StoreError


def test_nobody_is_locked_out_and_nobody_tries_passwords_without_end_while_the_counter_is_away() -> None:
    with serving(rates=FallbackRateCounter(Away(), MemoryRateCounter()), rate_limit_logins="3/minute") as http:
        requests = [http.get("/openapi.json") for _ in range(5)]
        turn = http.post("/api/v1/chat", json={"text": "Hola"})
        tried = [log_in(http, "Ana", "wrong password").status_code for _ in range(5)]

    assert {answer.status_code for answer in (*requests, turn)} == {200}
    assert tried == [401, 401, 401, 429, 429]


# Bodies.


@pytest.mark.parametrize("path", ["/api/v1/chat", "/auth/login", "/api/v1/dispatch/webhook"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_body_that_is_too_large_is_not_read(path: str, in_pieces: bool) -> None:
    body = b'{"text": "' + b"x" * 2000 + b'"}'
    with serving(max_body_bytes=1000, dispatch_secret="whsec_" + "A" * 44) as http:
        refused = http.post(path, content=iter([body]) if in_pieces else body)
        after = http.post("/api/v1/chat", json={"text": "Hola"})

    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["x-request-id"]
    assert after.status_code == 200
