"""Chat sessions over HTTP, with the clients that web pages have, on a real server."""

import io
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from app.cli.users import add
from app.core.config import Settings
from tests.live.server import ROOT, Server, rider, running_server

pytestmark = pytest.mark.live

SESSIONS = "/api/chat/realtime/sessions"
PASSWORD = "una contraseña larga"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SLOW_MS = 15


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("s")
    for name in ("ana", "eva"):
        add(Settings(database_url=f"sqlite+aiosqlite:///{folder}/voztaxi.db"), name, PASSWORD)
    with running_server(folder, OFFLINE_WORD_DELAY_MS=str(SLOW_MS)) as running:
        yield running


def bearer(server: Server, name: str) -> dict[str, str]:
    answer = httpx.post(f"{server.url}/auth/login", json={"username": name, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def tokens(server: Server) -> dict[str, dict[str, str]]:
    return {name: bearer(server, name) for name in ("ana", "eva")}


@pytest.fixture
async def ana(server: Server, tokens: dict[str, dict[str, str]]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=tokens["ana"], timeout=30) as client:
        yield client


@pytest.fixture
async def eva(server: Server, tokens: dict[str, dict[str, str]]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=tokens["eva"], timeout=30) as client:
        yield client


@pytest.fixture
async def session(ana: httpx.AsyncClient) -> str:
    made = await ana.post(SESSIONS, json={"title": "Mi conversación"})
    session_id: str = made.json()["id"]
    return f"{SESSIONS}/{session_id}"


def frames(body: str) -> list[dict[str, Any]]:
    """Read a stream as existing clients do: ``data:`` lines and nothing else."""
    return [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")]


async def say(client: httpx.AsyncClient, session: str, content: str) -> list[dict[str, Any]]:
    answer = await client.post(f"{session}/stream", json={"content": content})
    assert answer.status_code == 200
    return frames(answer.text)


async def messages(client: httpx.AsyncClient, session: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"{session}/messages")).json()["messages"]
    return found


class TestSessions:
    async def test_a_session_has_what_its_clients_expect(
        self, ana: httpx.AsyncClient, tokens: dict[str, dict[str, str]]
    ) -> None:
        made = await ana.post(SESSIONS, json={"title": "Mi conversación"})
        session = made.json()

        assert made.status_code == 201
        assert set(session) == {"id", "user_id", "title", "created_at", "updated_at"}
        assert session["title"] == "Mi conversación"
        assert session["user_id"] == (await ana.get("/auth/me")).json()["user_id"]
        assert TIME.fullmatch(session["created_at"])
        assert TIME.fullmatch(session["updated_at"])
        assert (await ana.get(f"{SESSIONS}/{session['id']}")).json() == session

    @pytest.mark.parametrize("body", [{}, {"title": None}, {"title": "  "}, {"initial_message": ""}])
    async def test_a_title_is_not_needed(self, ana: httpx.AsyncClient, body: dict[str, Any]) -> None:
        made = await ana.post(SESSIONS, json=body)

        assert made.status_code == 201
        assert made.json()["title"] == "Nueva conversación"

    async def test_a_first_message_is_answered_by_the_time_the_session_is_there(self, ana: httpx.AsyncClient) -> None:
        made = (await ana.post(SESSIONS, json={"initial_message": "Hola"})).json()
        said = await messages(ana, f"{SESSIONS}/{made['id']}")

        assert [(line["role"], line["partial"]) for line in said] == [("user", False), ("assistant", False)]
        assert said[0]["content"] == "Hola"

    async def test_sessions_are_listed_page_by_page_those_used_last_first(self, eva: httpx.AsyncClient) -> None:
        made = [(await eva.post(SESSIONS, json={"title": str(number)})).json()["id"] for number in range(5)]
        await say(eva, f"{SESSIONS}/{made[0]}", "Hola")
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await eva.get(SESSIONS, params={"limit": "2", **cursor})).json()
            seen += [each["id"] for each in page["sessions"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}

        assert seen[0] == made[0]
        assert set(seen) >= set(made)
        assert len(seen) == len(set(seen))
        assert (await eva.get(SESSIONS, params={"cursor": "x"})).status_code == 422

    async def test_a_session_is_renamed_and_forgotten(self, ana: httpx.AsyncClient, session: str) -> None:
        await say(ana, session, "Hola")
        renamed = await ana.patch(session, json={"title": "Otro\n título"})
        gone = await ana.delete(session)

        assert renamed.json()["title"] == "Otro título"
        assert gone.status_code == 204
        for answer in (await ana.get(session), await ana.get(f"{session}/messages"), await ana.delete(session)):
            assert answer.status_code == 404
            assert answer.json()["code"] == "not_found"


class TestStream:
    async def test_a_stream_is_start_content_done(self, ana: httpx.AsyncClient, session: str) -> None:
        answer = await ana.post(f"{session}/stream", json={"content": "Hola"})
        start, *content, done = frames(answer.text)
        said = await messages(ana, session)

        assert answer.headers["content-type"].startswith("text/event-stream")
        assert start == {"type": "start", "session_id": session.rpartition("/")[2]}
        assert len(content) > 3
        assert all(set(each) == {"type", "content"} and each["type"] == "content" for each in content)
        assert set(done) == {"type", "message_id", "full_content"}
        assert "".join(each["content"] for each in content) == done["full_content"]
        assert [line["role"] for line in said] == ["user", "assistant"]
        assert (said[1]["id"], said[1]["content"]) == (done["message_id"], done["full_content"])
        assert all(TIME.fullmatch(line["created_at"]) for line in said)
        assert not re.search(r"^event:", answer.text, re.MULTILINE)

    async def test_words_come_as_they_are_made(self, ana: httpx.AsyncClient, session: str) -> None:
        seen_before_the_end = 0
        async with ana.stream("POST", f"{session}/stream", json={"content": "Hola"}) as answer:
            async for chunk in answer.aiter_text():
                if '"done"' not in chunk:
                    seen_before_the_end += chunk.count('"content", ')

        assert seen_before_the_end > 0

    async def test_a_stream_that_broke_off_is_taken_up_and_nothing_is_said_twice(
        self, ana: httpx.AsyncClient, session: str
    ) -> None:
        body = {"content": "Necesito un taxi en la Calle 72 #43-25, El Prado"}
        had = ""
        async with ana.stream("POST", f"{session}/stream", json=body) as answer:
            async for chunk in answer.aiter_text():
                had += chunk
                if had.count('"type": "content"') >= 2:
                    break
        had = had[: had.rindex("\n\n") + 2]
        last_id = re.findall(r"^id: (.+)$", had, re.MULTILINE)[-1]
        again = await ana.post(f"{session}/stream", json=body, headers={"Last-Event-ID": last_id})
        late = await ana.post(f"{session}/stream", json=body, headers={"Last-Event-ID": last_id})
        *content, done = [*frames(had)[1:], *frames(again.text)]

        assert "".join(each["content"] for each in content) == done["full_content"]
        assert frames(late.text) == frames(again.text)
        assert [line["role"] for line in await messages(ana, session)] == ["user", "assistant"]

    @pytest.mark.parametrize(("place", "status"), [("x", 422), ("7", 422), ("nobody:1:0", 404)])
    async def test_a_place_that_is_none_says_nothing(
        self, ana: httpx.AsyncClient, session: str, place: str, status: int
    ) -> None:
        answer = await ana.post(f"{session}/stream", json={"content": "Hola"}, headers={"Last-Event-ID": place})

        assert answer.status_code == status
        assert await messages(ana, session) == []

    async def test_an_answer_that_another_message_interrupts_ends_in_an_error(
        self, ana: httpx.AsyncClient, session: str
    ) -> None:
        cut = ""
        async with ana.stream("POST", f"{session}/stream", json={"content": "Hola"}) as answer:
            async for chunk in answer.aiter_text():
                if not cut:
                    other = await say(ana, session, "Necesito un taxi")
                cut += chunk

        assert frames(cut)[-1]["type"] == "error"
        assert frames(cut)[-1]["code"] == "interrupted"
        assert other[-1]["type"] == "done"

    async def test_what_no_turn_can_be_made_of_is_refused_before_the_stream_begins(
        self, ana: httpx.AsyncClient, session: str
    ) -> None:
        for body, status, code in (
            ({"content": ""}, 422, "invalid_message"),
            ({"content": " \n"}, 422, "invalid_message"),
            ({"content": "x" * 4001}, 413, "text_too_long"),
            ({}, 422, "invalid_message"),
            ({"content": 7}, 422, "invalid_message"),
            ({"content": "Hola", "attachments": [{"name": "a.pdf"}]}, 415, "attachments_unsupported"),
        ):
            answer = await ana.post(f"{session}/stream", json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), body
        files = await ana.post(f"{session}/stream", files={"file": b"x"}, data={"content": "Hola"})

        assert (files.status_code, files.json()["code"]) == (415, "attachments_unsupported")
        assert await messages(ana, session) == []

    async def test_an_empty_list_of_attachments_is_none(self, ana: httpx.AsyncClient, session: str) -> None:
        answer = await ana.post(f"{session}/stream", json={"content": "Hola", "attachments": []})

        assert frames(answer.text)[-1]["type"] == "done"


class TestOtherTransports:
    async def test_a_session_goes_on_over_the_websocket_and_back(
        self, server: Server, ana: httpx.AsyncClient, session: str, tokens: dict[str, dict[str, str]]
    ) -> None:
        thread_id = session.rpartition("/")[2]
        await say(ana, session, "Necesito un taxi en la Calle 72 #43-25, El Prado")
        async with rider(server.ws, additional_headers=tokens["ana"]) as socket:
            over_socket = await socket.say("en efectivo", thread_id=thread_id)
        back = await say(ana, session, "No, nada más")
        said = await messages(ana, session)

        assert over_socket[-1]["status"] == "completed"
        assert "efectivo" in back[-1]["full_content"]
        assert "Calle 72 #43-25" in back[-1]["full_content"]
        assert [line["content"] for line in said[2:4]] == ["en efectivo", over_socket[-1]["text"]]

    async def test_a_conversation_of_the_websocket_is_a_session(
        self, server: Server, ana: httpx.AsyncClient, tokens: dict[str, dict[str, str]]
    ) -> None:
        async with rider(server.ws, additional_headers=tokens["ana"]) as socket:
            begun = await socket.say("Necesito un taxi", thread_id="hilo/de-ana")
        thread_id = begun[-1]["thread_id"]
        listed = [each["id"] for each in (await ana.get(SESSIONS)).json()["sessions"]]
        answer = await say(ana, f"{SESSIONS}/{thread_id}", "Calle 72 #43-25, El Prado")

        assert listed[0] == thread_id
        assert answer[-1]["type"] == "done"
        assert [line["role"] for line in await messages(ana, f"{SESSIONS}/{thread_id}")] == ["user", "assistant"] * 2

    async def test_whoever_listens_on_the_websocket_hears_what_is_said_here(
        self, server: Server, ana: httpx.AsyncClient, session: str, tokens: dict[str, dict[str, str]]
    ) -> None:
        async with rider(server.ws, additional_headers=tokens["ana"]) as socket:
            await socket.send(type="replay", thread_id=session.rpartition("/")[2], after_seq=0)
            await socket.until("replay_start")
            done = (await say(ana, session, "Hola"))[-1]
            heard = await socket.until("turn_end")

        assert heard[-1]["text"] == done["full_content"]

    async def test_a_conversation_of_nobody_is_nobodys_session(self, server: Server, ana: httpx.AsyncClient) -> None:
        async with rider(server.ws) as socket:
            await socket.say("Hola", thread_id="de-nadie")

        assert (await ana.get(f"{SESSIONS}/de-nadie/messages")).status_code == 404
        assert (await ana.post(f"{SESSIONS}/de-nadie/stream", json={"content": "x"})).status_code == 404


class TestCorrections:
    async def test_an_answer_is_made_again_and_a_message_put_otherwise(
        self, ana: httpx.AsyncClient, session: str
    ) -> None:
        await say(ana, session, "Hola")
        await say(ana, session, "Necesito un taxi")
        before = await messages(ana, session)
        again = frames((await ana.post(f"{session}/messages/{before[3]['id']}/regenerate")).text)
        regenerated = await messages(ana, session)
        edited = frames((await ana.put(f"{session}/messages/{before[0]['id']}", json={"content": "¡Buenas!"})).text)
        after = await messages(ana, session)

        assert again[0]["type"] == edited[0]["type"] == "start"
        assert [line["id"] for line in regenerated[:3]] == [line["id"] for line in before[:3]]
        assert regenerated[3]["id"] == again[-1]["message_id"] != before[3]["id"]
        assert len(regenerated) == 4
        assert [(line["id"], line["content"]) for line in after] == [
            (before[0]["id"], "¡Buenas!"),
            (edited[-1]["message_id"], edited[-1]["full_content"]),
        ]

    async def test_a_correction_that_broke_off_is_taken_up_and_not_made_twice(
        self, ana: httpx.AsyncClient, session: str
    ) -> None:
        await say(ana, session, "Hola")
        asked = (await messages(ana, session))[0]["id"]
        for method, path, body in (
            ("PUT", f"{session}/messages/{asked}", {"content": "¡Buenas!"}),
            ("POST", f"{session}/messages/{asked}/regenerate", None),
        ):
            first = await ana.request(method, path, json=body)
            last_id = re.findall(r"^id: (.+)$", first.text, re.MULTILINE)[0]
            again = await ana.request(method, path, json=body, headers={"Last-Event-ID": last_id})
            assert frames(again.text) == frames(first.text)[1:]

    async def test_what_sent_a_taxi_is_not_taken_back(self, ana: httpx.AsyncClient, session: str) -> None:
        for content in ("Un taxi en la Calle 72 #43-25, El Prado", "en efectivo", "No, nada más", "Sí, confirmo"):
            await say(ana, session, content)
        said = await messages(ana, session)
        answers = [
            await ana.post(f"{session}/messages/{said[-1]['id']}/regenerate"),
            await ana.put(f"{session}/messages/{said[0]['id']}", json={"content": "Hola"}),
        ]

        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "has_booking")] * 2
        assert await messages(ana, session) == said

    async def test_only_ones_own_words_are_changed_and_only_where_they_are(
        self, ana: httpx.AsyncClient, session: str
    ) -> None:
        await say(ana, session, "Hola")
        said = await messages(ana, session)
        of_answer = await ana.put(f"{session}/messages/{said[1]['id']}", json={"content": "x"})
        unknown = await ana.put(f"{session}/messages/nothing", json={"content": "x"})
        empty = await ana.put(f"{session}/messages/{said[0]['id']}", json={"content": ""})

        assert [answer.status_code for answer in (of_answer, unknown, empty)] == [422, 404, 422]
        assert await messages(ana, session) == said


class TestExport:
    async def test_a_conversation_is_exported_as_markdown_and_pdf(self, ana: httpx.AsyncClient, session: str) -> None:
        answer = (await say(ana, session, "Hola, soy Iñaki 🚕"))[-1]["full_content"]
        markdown = await ana.get(f"{session}/export")
        pdf = await ana.get(f"{session}/export", params={"format": "pdf"})
        pages = PdfReader(io.BytesIO(pdf.content)).pages
        text = " ".join(" ".join(page.extract_text() for page in pages).split())

        assert markdown.headers["content-type"].startswith("text/markdown")
        assert markdown.text.startswith("# Mi conversación\n")
        assert "> Hola, soy Iñaki 🚕" in markdown.text
        assert pdf.headers["content-type"] == "application/pdf"
        assert "attachment" in pdf.headers["content-disposition"]
        assert "Hola, soy Iñaki ?" in text
        assert " ".join(answer.split()) in text
        assert (await ana.get(f"{session}/export", params={"format": "docx"})).status_code == 422


class TestSharing:
    async def test_a_link_shows_the_conversation_until_it_ends(
        self, server: Server, ana: httpx.AsyncClient, session: str
    ) -> None:
        await say(ana, session, "Hola <b>amigo</b>")
        made = await ana.post(f"{session}/share")
        url = made.json()["url"]
        async with httpx.AsyncClient() as anybody:
            shown = await anybody.get(url)
            page = await anybody.get(url, headers={"Accept": "text/html,application/xhtml+xml"})
            writes = await anybody.post(url, json={"content": "x"})
            newer = (await ana.post(f"{session}/share")).json()["url"]
            older = await anybody.get(url)
            revoked = await ana.delete(f"{session}/share")
            after = await anybody.get(newer)
        me = (await ana.get("/auth/me")).json()

        assert made.status_code == 201
        assert url.startswith(f"{server.url}/api/chat/realtime/shared/")
        assert set(shown.json()) == {"title", "created_at", "updated_at", "messages"}
        assert [set(each) for each in shown.json()["messages"]] == [{"role", "content", "partial", "created_at"}] * 2
        assert me["user_id"] not in shown.text + page.text
        assert session.rpartition("/")[2] not in shown.text + page.text
        assert "Hola &lt;b&gt;amigo&lt;/b&gt;" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["cache-control"] == shown.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert writes.status_code == 405
        assert [older.status_code, revoked.status_code, after.status_code] == [404, 204, 404]

    async def test_the_secret_of_a_link_is_neither_stored_nor_logged(
        self, server: Server, ana: httpx.AsyncClient, session: str
    ) -> None:
        token = (await ana.post(f"{session}/share")).json()["token"]
        async with httpx.AsyncClient(base_url=server.url) as anybody:
            await anybody.get(f"/api/chat/realtime/shared/{token}")
        kept = b"".join(path.read_bytes() for path in server.folder.glob("voztaxi.db*"))

        assert token.encode() not in kept
        assert token not in server.log.read_text()

    async def test_a_link_of_a_forgotten_session_leads_nowhere(self, ana: httpx.AsyncClient, session: str) -> None:
        url = (await ana.post(f"{session}/share")).json()["url"]
        await ana.delete(session)

        assert httpx.get(url).status_code == 404


class TestChat:
    async def test_the_whole_answer_comes_at_once_in_a_session_of_its_own_or_a_given_one(
        self, ana: httpx.AsyncClient
    ) -> None:
        first = (await ana.post("/api/chat", json={"content": "Necesito un taxi"})).json()
        given = {"content": "Calle 72 #43-25, El Prado", "session_id": first["session_id"]}
        second = (await ana.post("/api/chat", json=given)).json()
        said = await messages(ana, f"{SESSIONS}/{first['session_id']}")

        assert set(first) == {"session_id", "message_id", "user_message_id", "content"}
        assert second["session_id"] == first["session_id"]
        assert [(line["id"], line["content"]) for line in said] == [
            (first["user_message_id"], "Necesito un taxi"),
            (first["message_id"], first["content"]),
            (second["user_message_id"], "Calle 72 #43-25, El Prado"),
            (second["message_id"], second["content"]),
        ]

    async def test_what_cannot_be_taken_opens_no_session(self, ana: httpx.AsyncClient) -> None:
        before = (await ana.get(SESSIONS)).json()["sessions"][:1]
        answers = [
            await ana.post("/api/chat", json={"content": " "}),
            await ana.post("/api/chat", json={"content": "x" * 4001}),
            await ana.post("/api/chat", json={"content": "x", "attachments": ["a"]}),
            await ana.post("/api/chat", json={"content": "x", "session_id": "nobody's"}),
            await ana.post(SESSIONS, json={"initial_message": "x" * 4001}),
        ]

        assert [answer.status_code for answer in answers] == [422, 413, 415, 404, 413]
        assert (await ana.get(SESSIONS)).json()["sessions"][:1] == before


ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"title": "x"}),
    ("DELETE", "", None),
    ("GET", "/messages", None),
    ("POST", "/stream", {"content": "x"}),
    ("POST", "/messages/{message}/regenerate", None),
    ("PUT", "/messages/{message}", {"content": "x"}),
    ("GET", "/export?format=md", None),
    ("GET", "/export?format=pdf", None),
    ("POST", "/share", None),
    ("DELETE", "/share", None),
]
OPEN = {("GET", "/api/chat/realtime/shared/{token}")}
"""What needs no account."""


class TestOwners:
    @pytest.mark.parametrize(("method", "path", "body"), ROUTES)
    async def test_to_anybody_else_a_session_is_not_there(
        self, ana: httpx.AsyncClient, eva: httpx.AsyncClient, session: str, method: str, path: str, body: Any
    ) -> None:
        await say(ana, session, "Hola")
        before = (await ana.get(session)).json(), await messages(ana, session)
        url = session + path.replace("{message}", before[1][0]["id"])
        as_another = await eva.request(method, url, json=body)
        async with httpx.AsyncClient(base_url=ana.base_url) as nobody:
            as_nobody = await nobody.request(method, url, json=body)
        unknown = await ana.request(method, url.replace(session, f"{SESSIONS}/unknown"), json=body)

        assert (as_another.status_code, as_another.json()["code"]) == (404, "not_found")
        assert (unknown.status_code, unknown.json()) == (404, as_another.json())
        assert (as_nobody.status_code, as_nobody.json()["code"]) == (401, "not_authenticated")
        assert as_nobody.headers["www-authenticate"] == "Bearer"
        assert ((await ana.get(session)).json(), await messages(ana, session)) == before

    async def test_the_blocking_twin_and_the_list_are_the_owners_too(
        self, ana: httpx.AsyncClient, eva: httpx.AsyncClient, session: str
    ) -> None:
        session_id = session.rpartition("/")[2]
        as_another = await eva.post("/api/chat", json={"content": "x", "session_id": session_id})
        listed = [each["id"] for each in (await eva.get(SESSIONS, params={"limit": "100"})).json()["sessions"]]
        async with httpx.AsyncClient(base_url=ana.base_url) as nobody:
            refused = [
                await nobody.post("/api/chat", json={"content": "x"}),
                await nobody.post("/api/chat", files={"file": b"x"}),
                await nobody.post(SESSIONS, json={}),
                await nobody.get(SESSIONS),
            ]

        assert as_another.status_code == 404
        assert session_id not in listed
        assert [answer.status_code for answer in refused] == [401] * 4

    async def test_no_route_is_left_out_of_the_table(self, ana: httpx.AsyncClient) -> None:
        paths = (await ana.get("/openapi.json")).json()["paths"]
        served = {
            (method.upper(), path)
            for path, methods in paths.items()
            for method in methods
            if path.startswith("/api/chat")
        }
        told = {
            (method, (f"{SESSIONS}/{{session_id}}" + path.partition("?")[0]).replace("{message}", "{message_id}"))
            for method, path, _ in ROUTES
        }

        assert served - OPEN == told | {("POST", "/api/chat"), ("POST", SESSIONS), ("GET", SESSIONS)}


def test_the_example_of_the_protocol_does_what_it_says(server: Server, tokens: dict[str, dict[str, str]]) -> None:
    section = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8").partition("### Chat sessions")[2]
    (example,) = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    token = tokens["ana"]["Authorization"].removeprefix("Bearer ")
    command = ["bash", "-euo", "pipefail", "-c", example.replace("http://127.0.0.1:8000", server.url)]
    ran = subprocess.run(
        command, env={**os.environ, "TOKEN": token}, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert [frame["type"] for frame in frames(ran.stdout)][:: len(frames(ran.stdout)) - 1] == ["start", "done"]
    assert "# Al aeropuerto\n" in ran.stdout
    assert "> Necesito un taxi en la Calle 72 #43-25, El Prado" in ran.stdout
