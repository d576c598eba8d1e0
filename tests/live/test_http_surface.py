"""The whole HTTP surface, as its OpenAPI document has it, under generated and under bad input."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from app.cli.fleet import DEVELOPMENT_SECRET
from tests.live.server import ROOT, Server, add_users, running_server

pytestmark = pytest.mark.live

SECRET = "a secret that is long enough for HS256"
EVENTS = "/api/v1/threads/{thread_id}/events"
"""Answers without end: its answers are read as far as their headers, in a test of their own."""
OPEN = {"/health", "/ready", "/metrics", "/asyncapi.json", "/api/v1/ws/health", "/api/v1/voice", "/auth/logout"}
"""Succeed without a token; whatever else the document has may not. (Logging out says the same of any token.)"""
OTHERWISE_KEPT = {"/auth/login", "/auth/refresh", "/api/chat/realtime/shared/{token}", "/api/v1/dispatch/webhook"}
"""Ask for no access token, but for a password, a secret or a signature."""
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,"
    "allow_header_conformance,use_after_free,ensure_resource_availability,ignored_auth,refusals_are_problems"
)
SETTINGS = """[checks]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
"""
"""413 is what is longer than it may be."""
VALUES = dict.fromkeys(("session_id", "thread_id", "message_id", "booking_id", "token", "chatId"), "none") | {
    "recording_id": f"{'0' * 32}-{'0' * 32}"
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets in who is logged in."""
    given = {"AUTH_REQUIRED": "true", "JWT_SECRET": SECRET, "DISPATCH_SECRET": DEVELOPMENT_SECRET}
    with running_server(tmp_path_factory.mktemp("surface"), RECORDINGS_FOLDER="recordings", **given) as started:
        add_users(started, "ana")
        yield started


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    answer = httpx.post(f"{server.url}/auth/login", json={"username": "ana", "password": "ana's password"})
    found: str = answer.json()["access_token"]
    return found


@pytest.fixture(scope="module")
def operations(server: Server) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of all that the document has."""
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    return [(method.upper(), path, each) for path, methods in paths.items() for method, each in methods.items()]


def generate(server: Server, folder: Path, *arguments: str) -> None:
    """Run ``schemathesis`` over the document, and expect it to find nothing."""
    (folder / "schemathesis.toml").write_text(SETTINGS)
    found = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--seed", "1"),
            *("--no-color", "--suppress-health-check", "all", "--generation-database", "none", "--warnings", "off"),
            *("--request-timeout", "20", "--continue-on-failure", *arguments),
        ],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.live.schemathesis_checks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]


def forge(algorithm: str = "HS256", **changes: Any) -> str:
    said = {"iss": "voztaxi", "aud": "voztaxi", "sub": "ana", "exp": int(time.time()) + 3600} | changes
    return jwt.encode(said, SECRET if algorithm == "HS256" else None, algorithm=algorithm)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """Expect a problem."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["code"] == code, answer.text


def test_whatever_is_sent_with_a_token_meets_no_server_error_and_is_answered_as_the_document_says(
    server: Server, token: str, tmp_path: Path
) -> None:
    header = f"Authorization: Bearer {token}"
    phases = "examples,coverage,fuzzing,stateful"
    asked = ("-H", header, "--phases", phases, "--max-examples", "25", "--checks", CHECKS, "--exclude-path", EVENTS)

    generate(server, tmp_path, *asked)

    assert "request failed unexpectedly" not in server.log.read_text()


def test_whatever_is_sent_without_a_token_nobody_is_let_in(server: Server, tmp_path: Path) -> None:
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,nobody_is_let_in"
    left_out = [argument for path in sorted(OPEN) for argument in ("--exclude-path", path)]

    generate(server, tmp_path, "--max-examples", "15", "--checks", f"{checks},refusals_are_problems", *left_out)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_stream_of_a_thread_begins_or_is_refused_whatever_is_asked(
    server: Server, token: str, mode: GenerationMode
) -> None:
    operation = schemathesis.openapi.from_url(f"{server.url}/openapi.json")[EVENTS]["GET"]

    @given(data=st.data())
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def ask(data: st.DataObject) -> None:
        case: Case = data.draw(operation.as_strategy(generation_mode=mode))
        case.headers["Authorization"] = f"Bearer {token}"
        asked = case.as_transport_kwargs(base_url=server.url)
        with requests.request(**asked, stream=True, timeout=20) as answer:
            stream = answer.status_code == 200
            kind = "text/event-stream; charset=utf-8" if stream else "application/problem+json"
            assert (answer.status_code in (200, 403, 404, 422), answer.headers["content-type"]) == (True, kind)

    ask()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "not_authenticated"),
        ("Basic YW5hOmFuYQ==", "invalid_token"),
        ("Bearer", "invalid_token"),
        ("Bearer x", "invalid_token"),
        (f"Bearer {forge(exp=1)}", "token_expired"),
        (f"Bearer {forge()[:-4]}AAAA", "invalid_token"),
        (f"Bearer {forge(aud='another')}", "invalid_token"),
        (f"Bearer {forge('none')}", "invalid_token"),
    ],
)
def test_without_a_good_token_every_route_says_why(
    server: Server, operations: list[tuple[str, str, dict[str, Any]]], header: str | None, code: str
) -> None:
    kept = [(method, path) for method, path, each in operations if "security" in each]
    headers = {} if header is None else {"Authorization": header}

    assert {path for _, path, each in operations if "security" not in each} == OPEN | OTHERWISE_KEPT
    for method, path in kept:
        answer = httpx.request(method, server.url + path.format_map(VALUES), headers=headers)
        refused(answer, 401, code)
        assert answer.headers["www-authenticate"] == "Bearer", path


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 422, "invalid_json"),
        (b"\xff", "application/json", 422, "invalid_json"),
        (b"", "application/json", 422, "invalid_message"),
        (b"[]", "application/json", 422, "invalid_message"),
        (b"[" * 100_000, "application/json", 422, "invalid_json"),
        (b"{}", "text/plain", 422, "invalid_message"),
        (b"a=b", "application/x-www-form-urlencoded", 422, "invalid_message"),
        (b"x" * 1_048_577, "application/json", 413, "body_too_large"),
    ],
    ids=lambda value: repr(value[:8]) if isinstance(value, bytes) else None,
)
def test_no_route_takes_a_body_that_is_none(
    server: Server,
    token: str,
    operations: list[tuple[str, str, dict[str, Any]]],
    body: bytes,
    kind: str,
    status: int,
    code: str,
) -> None:
    taking = [(method, path) for method, path, each in operations if "requestBody" in each and "webhook" not in path]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}

    assert len(taking) >= 9
    for method, path in taking:
        answer = httpx.request(method, server.url + path.format_map(VALUES), content=body, headers=headers)
        refused(answer, status, code)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [("", 422, "invalid_message"), (" \n\t", 422, "invalid_message"), ("x" * 4001, 413, "text_too_long")],
    ids=["empty", "blank", "long"],
)
def test_no_route_takes_words_that_are_none_or_too_many(
    server: Server, token: str, content: str, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    session = httpx.post(f"{server.url}/api/chat/realtime/sessions", json={}, headers=headers).json()["id"]
    sessions = f"/api/chat/realtime/sessions/{session}"
    said = httpx.post(f"{server.url}{sessions}/stream", json={"content": "Hola"}, headers=headers)
    before = httpx.get(f"{server.url}{sessions}/messages", headers=headers).json()["messages"]

    assert said.status_code == 200
    for method, path, name in (
        ("POST", "/api/v1/chat", "text"),
        ("POST", "/stream/chat", "message"),
        ("POST", "/api/chat", "content"),
        ("POST", "/api/v1/chats/trip/messages", "content"),
        ("POST", f"{sessions}/stream", "content"),
        ("PUT", f"{sessions}/messages/{before[0]['id']}", "content"),
    ):
        refused(httpx.request(method, server.url + path, json={name: content}, headers=headers), status, code)
    phone = {"MESSAGE": content, "USER_ID": "ana"}
    refused(httpx.post(f"{server.url}/api/v1/chat/", json=phone, headers=headers), status, code)
    assert httpx.get(f"{server.url}{sessions}/messages", headers=headers).json()["messages"] == before


def test_what_the_fleet_has_not_signed_is_refused_whatever_it_is(server: Server) -> None:
    for body in (b"{", b"", b"\xff", json.dumps({"type": "booking.assigned"}).encode()):
        refused(httpx.post(f"{server.url}/api/v1/dispatch/webhook", content=body), 401, "bad_signature")


def test_an_address_says_all_that_may_be_done_there(server: Server) -> None:
    for path, allowed in {
        "/api/chat/realtime/sessions": "GET, POST",
        "/api/chat/realtime/sessions/s": "DELETE, GET, PATCH",
        "/api/chat/realtime/sessions/s/share": "DELETE, POST",
        "/api/v1/threads/t": "DELETE, GET",
        "/auth/login": "POST",
    }.items():
        answer = httpx.request("TRACE", server.url + path)
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed


def test_the_event_stream_refuses_what_is_no_position(server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for query in ("after=-1", "after=x", "after=99999999999999999999", f"epoch={'e' * 129}"):
        refused(httpx.get(f"{server.url}/api/v1/threads/t/events?{query}", headers=headers), 422, "invalid_message")
    for header in ("-1", "x", "٣", "99999999999999999999"):
        given = {**headers, "Last-Event-ID": header.encode()}
        refused(httpx.get(f"{server.url}/api/v1/threads/t/events", headers=given), 422, "invalid_message")
