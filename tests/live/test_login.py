"""Who gets in, over HTTP and over the WebSocket, and whose a thread is."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from tests.live.server import ROOT, Rider, Server, add_users, rider, running_server

pytestmark = pytest.mark.live

SECRET = "a secret that is long enough for HS256"
ROUTES = [
    ("POST", "/api/v1/chat", {"text": "Hola", "thread_id": "anas"}),
    ("POST", "/api/v1/chat/", {"MESSAGE": "Hola", "USER_ID": "ana", "THREAD_ID": "anas"}),
    ("GET", "/api/v1/threads/anas", None),
    ("GET", "/api/v1/threads/anas/events", None),
    ("DELETE", "/api/v1/threads/anas", None),
    ("GET", "/api/v1/bookings?thread_id=anas", None),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets in who is logged in."""
    with running_server(tmp_path_factory.mktemp("login"), AUTH_REQUIRED="true", JWT_SECRET=SECRET) as started:
        add_users(started, "ana", "eva")
        yield started


def log_in(server: Server, name: str) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/auth/login", json={"username": name, "password": f"{name}'s password"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def forge(**changes: Any) -> str:
    said = {"iss": "voztaxi", "aud": "voztaxi", "sub": "ana", "exp": 2_000_000_000} | changes
    return jwt.encode(said, SECRET, algorithm="HS256")


def unsigned() -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"iss": "voztaxi", "aud": "voztaxi", "sub": "ana", "exp": 2_000_000_000})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


async def closed(client: Rider) -> tuple[str, int]:
    """Return why a client is closed: the code that it is told, and that of the close."""
    code = ""
    with pytest.raises(ConnectionClosed) as closing:
        while True:
            code = (await client.receive())["code"]
    assert closing.value.rcvd is not None
    return code, closing.value.rcvd.code


def test_login_answers_as_the_protocol_has_it(server: Server) -> None:
    login = log_in(server, "ana")
    assert (login["token_type"], login["expires_in"]) == ("bearer", 900)
    me = httpx.get(f"{server.url}/auth/me", headers=bearer(login["access_token"])).json()
    assert me["username"] == "ana"
    again = httpx.post(f"{server.url}/auth/refresh", json={"refresh_token": login["refresh_token"]}).json()
    assert httpx.get(f"{server.url}/auth/me", headers=bearer(again["access_token"])).json()["user_id"] == me["user_id"]
    assert httpx.post(f"{server.url}/auth/logout", json={"refresh_token": again["refresh_token"]}).status_code == 204
    ended = httpx.post(f"{server.url}/auth/refresh", json={"refresh_token": again["refresh_token"]})
    assert (ended.status_code, ended.json()["code"]) == (401, "invalid_token")
    for name, password in (("ana", "wrong"), ("nobody", "wrong")):
        refused = httpx.post(f"{server.url}/auth/login", json={"username": name, "password": password})
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_credentials")
        assert refused.headers["content-type"] == "application/problem+json"
    assert "password" not in server.log.read_text()


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
        (f"Bearer {unsigned()}", "invalid_token"),
    ],
)
def test_without_a_good_token_no_route_answers(server: Server, header: str | None, code: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path, body in [*ROUTES, ("GET", "/api/v1/bookings/x", None), ("GET", "/auth/me", None)]:
        answer = httpx.request(method, server.url + path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, code), path
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/health", "/ready", "/metrics", "/", "/openapi.json", "/api/v1/ws/health"):
        assert httpx.get(server.url + path, headers=headers).status_code == 200


async def test_what_one_account_opened_no_other_gets_into_by_any_way(server: Server) -> None:
    ana, eva = (log_in(server, name)["access_token"] for name in ("ana", "eva"))
    async with rider(server.ws, additional_headers=bearer(ana)) as client:
        for text in ("Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo"):
            ended = (await client.say(text, thread_id="anas"))[-1]
    booking_id = ended["booking_id"]
    routes = [
        *ROUTES,
        ("GET", f"/api/v1/bookings/{booking_id}", None),
        ("POST", f"/api/v1/bookings/{booking_id}/cancel", None),
    ]
    for method, path, body in routes:
        answer = httpx.request(method, server.url + path, json=body, headers=bearer(eva))
        assert answer.status_code in (403, 404), path
        assert answer.json()["code"] in ("forbidden_thread", "not_found")
    async with rider(server.ws, additional_headers=bearer(eva)) as client:
        for frame in (
            {"type": "user_input", "text": "Hola", "thread_id": "anas"},
            {"type": "user_input", "text": "Hola", "thread_id": "anas", "user_id": "ana"},
            {"type": "replay", "thread_id": "anas", "after_seq": 0},
            {"type": "cancel", "thread_id": "anas"},
            {"type": "pause", "thread_id": "anas"},
        ):
            await client.send(**frame)
            assert (await client.until("system_message", level="error"))[-1]["code"] == "forbidden_thread"
        assert (await client.say("Hola", thread_id="evas"))[-1]["status"] == "completed"
    mine = httpx.get(f"{server.url}/api/v1/bookings?thread_id=anas", headers=bearer(ana)).json()["bookings"]
    assert [each["booking_id"] for each in mine] == [booking_id]
    assert "owner" not in mine[0]
    assert httpx.delete(f"{server.url}/api/v1/threads/anas", headers=bearer(ana)).status_code == 200
    gone = httpx.get(f"{server.url}/api/v1/bookings/{booking_id}", headers=bearer(eva))
    assert gone.status_code == 404  # also of a thread that is no more


async def test_who_listens_before_a_thread_is_opened_hears_nothing_of_somebody_elses(server: Server) -> None:
    ana, eva = (log_in(server, name)["access_token"] for name in ("ana", "eva"))
    async with (
        rider(server.ws, additional_headers=bearer(eva)) as early,
        rider(server.ws, additional_headers=bearer(ana)) as client,
    ):
        await early.until("system_message", code="authenticated")
        await early.send(type="replay", thread_id="new", after_seq=0)
        await early.until("replay_start")
        assert (await client.say("Hola", thread_id="new"))[-1]["status"] == "completed"
        assert (await early.receive())["code"] == "forbidden_thread"
        assert (await early.say("Hola", thread_id="evas"))[-1]["status"] == "completed"
        assert {frame.get("thread_id") for frame in early.frames} <= {None, "new", "evas"}
        assert [frame["type"] for frame in early.frames if frame.get("thread_id") == "new"] == ["replay_start"]


async def test_a_browser_logs_in_by_a_subprotocol_or_by_its_first_message(server: Server) -> None:
    token = log_in(server, "ana")["access_token"]
    async with rider(server.ws, subprotocols=["voztaxi.v1", f"bearer.{token}"]) as client:
        assert client.socket.subprotocol == "voztaxi.v1"
        assert (await client.receive())["code"] == "authenticated"
        assert (await client.say("Hola", thread_id="browsers"))[-1]["status"] == "completed"
    async with rider(server.ws) as client:
        assert (await client.receive())["code"] == "not_authenticated"
        await client.send(type="auth", token=token)
        assert (await client.receive())["code"] == "authenticated"
        assert (await client.say("Hola", thread_id="browsers"))[-1]["status"] == "completed"
        await client.send(type="auth", token=log_in(server, "ana")["access_token"])
        assert (await client.receive())["code"] == "authenticated"
        await client.send(type="auth", token=log_in(server, "eva")["access_token"])
        assert await closed(client) == ("invalid_token", 4401)
    assert token not in server.log.read_text()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"type": "user_input", "text": "Hola"}, "not_authenticated"),
        ({"type": "replay", "thread_id": "anas", "after_seq": 0}, "not_authenticated"),
        ({"type": "auth", "token": "x"}, "invalid_token"),
        ({"type": "auth", "token": forge(exp=1)}, "token_expired"),
    ],
)
async def test_who_does_not_log_in_first_is_closed(server: Server, frame: dict[str, Any], code: str) -> None:
    async with rider(server.ws) as client:
        await client.send(**frame)
        assert await closed(client) == (code, 4401)


@pytest.mark.parametrize("options", [{"additional_headers": bearer("x")}, {"subprotocols": ["voztaxi.v1", "bearer.x"]}])
async def test_who_comes_with_a_bad_token_is_closed(server: Server, options: dict[str, Any]) -> None:
    async with rider(server.ws, **options) as client:
        assert await closed(client) == ("invalid_token", 4401)


async def test_where_nobody_needs_to_log_in_an_account_still_keeps_its_threads(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        await anyio.to_thread.run_sync(add_users, server, "ana")
        token = log_in(server, "ana")["access_token"]
        async with rider(server.ws) as nobody, rider(server.ws, additional_headers=bearer(token)) as ana:
            assert (await nobody.say("Hola", thread_id="open"))[-1]["status"] == "completed"
            assert (await ana.say("Hola", thread_id="anas"))[-1]["status"] == "completed"
            assert (await ana.say("Hola", thread_id="open"))[-1]["status"] == "completed"
            await nobody.send(type="replay", thread_id="anas", after_seq=0)
            assert (await nobody.until("system_message"))[-1]["code"] == "forbidden_thread"
            assert (await nobody.say("Hola", thread_id="open"))[-1]["status"] == "completed"
        assert httpx.get(f"{server.url}/api/v1/threads/anas").status_code == 403
        assert httpx.get(f"{server.url}/api/v1/threads/open").status_code == 200
        refused = httpx.get(f"{server.url}/api/v1/threads/open", headers=bearer("x"))
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")


def test_a_login_outlives_the_server_and_its_secret_is_nobodys_to_think_of(tmp_path: Path) -> None:
    with running_server(tmp_path, AUTH_REQUIRED="true") as server:
        add_users(server, "ana")
        token = log_in(server, "ana")["access_token"]
        server.stop()
        server.start()
        assert httpx.get(f"{server.url}/auth/me", headers=bearer(token)).status_code == 200


@pytest.mark.timeout(300)
def test_operators_look_after_accounts(tmp_path: Path) -> None:
    with running_server(tmp_path, AUTH_REQUIRED="true") as server:
        assert server.run("users", "add", "ana", "--password", "ana's password").returncode == 0
        taken = server.run("users", "add", "ANA", "--password", "ana's password")
        assert (taken.returncode, "Traceback" in taken.stderr) == (1, False)
        short = server.run("users", "add", "eva", "--password", "x")
        assert (short.returncode, "8 to 256" in short.stderr) == (1, True)
        assert server.run("users", "list").stdout.split()[1:] == ["ana"]
        assert server.run("users", "password", "ana", "--password", "another password").returncode == 0
        old = httpx.post(f"{server.url}/auth/login", json={"username": "ana", "password": "ana's password"})
        assert old.status_code == 401
        assert server.run("users", "remove", "ana").returncode == 0
        assert server.run("users", "remove", "ana").returncode == 1


def test_the_terminal_talks_for_who_has_a_token(server: Server) -> None:
    token = log_in(server, "ana")["access_token"]
    command = [sys.executable, "-m", "app.cli", "chat", "--url", server.ws]

    def talk(**env: str) -> subprocess.CompletedProcess[str]:
        given = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        return subprocess.run(command, input="Hola\n", capture_output=True, text=True, env=given, check=False)

    let_in, turned_away = talk(VOZTAXI_TOKEN=token), talk()

    assert (let_in.returncode, "RECEPCIONISTA: ¡Hola!" in let_in.stdout) == (0, True)
    assert (turned_away.returncode, turned_away.stdout) == (1, "")
    assert "iniciar sesión" in turned_away.stderr
    assert "Traceback" not in turned_away.stderr
