"""Guaranteed answers over Socket.IO, with the clients that others wrote, and a model that misbehaves."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.live.openai_server import Answer, Hold, ScriptedModel
from tests.live.server import Server, add_users, running_server
from tests.live.socketio_clients import PROGRAM, Event, Kind, listener

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

ENDS = ("ai-response-end", "error")
NOBODY = 'voztaxi_connections{transport="socketio"} 0.0'
CLIENTS: list[tuple[Kind, str]] = [
    ("javascript", "websocket"),
    ("javascript", "polling"),
    ("javascript", "polling,websocket"),
    ("python", "websocket"),
    ("python", "polling"),
]

may_install = pytest.mark.timeout(400)
"""The first test that needs the official client installs it where it is not there yet."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("chats"), OFFLINE_WORD_DELAY_MS="20") as running:
        add_users(running, "ana", "eva")
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    await model.start()
    yield model
    await model.stop()


@pytest.fixture(scope="module")
def scripted(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    asked = {"LLM": "openai", "OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": model.base_url, "LLM_TIMEOUT_SECONDS": "1"}
    with running_server(tmp_path_factory.mktemp("scripted"), **asked) as running:
        yield running


def token_of(server: Server, name: str) -> str:
    answer = httpx.post(f"{server.url}/auth/login", json={"username": name, "password": f"{name}'s password"})
    token: str = answer.json()["access_token"]
    return token


async def post(server: Server, chat_id: str, content: str, **headers: str) -> str:
    """Send a message and return its id."""
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        answer = await client.post(f"/api/v1/chats/{chat_id}/messages", json={"content": content})
    assert answer.status_code == 202, answer.text
    assert answer.json()["chatId"] == chat_id
    message_id: str = answer.json()["messageId"]
    return message_id


async def saved(server: Server, chat_id: str) -> list[tuple[str, str]]:
    async with httpx.AsyncClient(base_url=server.url) as client:
        messages = (await client.get(f"/api/v1/threads/{chat_id}")).json()["messages"]
    return [
        (message["role"], message["content"])
        for message in messages
        if message["role"] != "tool" and message["content"]
    ]


async def until_told(server: Server, line: str) -> None:
    """Wait until this is among the server's figures."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        while line not in (await client.get("/metrics")).text.splitlines():
            await anyio.lowlevel.checkpoint()


def spoken(events: list[Event]) -> str:
    return "".join(payload["chunk"] for name, payload in events if name == "ai-response-chunk")


def check(events: list[Event], chat_id: str, message_id: str) -> None:
    """Check what holds of every answer, however it ended."""
    names = [name for name, _ in events]
    chunks = [payload for name, payload in events if name == "ai-response-chunk"]
    assert names == ["ai-response-start", *["ai-response-chunk"] * len(chunks), names[-1]]
    assert names[-1] in ENDS
    assert {(payload["chatId"], payload["messageId"]) for _, payload in events} == {(chat_id, message_id)}
    assert [chunk["chunkIndex"] for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk["chunk"] for chunk in chunks)


@may_install
@pytest.mark.parametrize(("kind", "transports"), CLIENTS)
async def test_a_message_is_answered_with_a_start_chunks_and_one_end(
    server: Server, kind: Kind, transports: str
) -> None:
    chat_id = f"whole-{kind}-{transports}"
    async with listener(server.url, kind, transports) as here:
        await here.emit("join-chat", {"chatId": chat_id})
        for content in ("¿Hola?", "Necesito un taxi"):
            message_id = await post(server, chat_id, content)
            events = await here.until(*ENDS)
            lines = await saved(server, chat_id)

            check(events, chat_id, message_id)
            name, end = events[-1]
            assert name == "ai-response-end"
            assert set(end) == {"chatId", "message", "completedSuccessfully", "totalCharacters", "messageId"}
            assert end["completedSuccessfully"] is True
            assert end["message"] == {
                "content": content,
                "answer": spoken(events),
                "timestamp": end["message"]["timestamp"],
            }
            assert end["totalCharacters"] == len(spoken(events))
            assert lines[-2:] == [("user", content), ("assistant", spoken(events))]


@may_install
@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        pytest.param(Answer("¡Hola! ¿A dónde vamos?"), None, "¡Hola! ¿A dónde vamos?", id="streaming normal"),
        pytest.param(Answer(status=400, body={"error": {"message": "no"}}), "model_error", "", id="model error"),
        pytest.param(
            Answer("¡Hola! ¿A", last={"error": {"message": "no"}}), "model_error", None, id="model error within"
        ),
        pytest.param(Answer("¡Hola! ¿A", finish=None), "model_incomplete", None, id="connection lost without an end"),
        pytest.param(
            Answer("¡Hola! ¿Qué tal?", has_id=False), None, "¡Hola! ¿Qué tal?", id="conversation id is missing"
        ),
        pytest.param(Answer("¡Hola! ¿A", hold=Hold()), "model_error", None, id="timeout"),
    ],
)
async def test_each_scenario_of_the_model_ends_as_the_table_says(
    scripted: Server, model: ScriptedModel, request: pytest.FixtureRequest, answer: Answer, code: str | None, text: str
) -> None:
    scenario = request.node.callspec.id.replace(" ", "-")
    chat_id, content = f"scenario-{scenario}", f"Escenario {scenario}"
    model.when(content, *[answer] * 8)
    async with AsyncExitStack() as stack:
        here = [await stack.enter_async_context(listener(scripted.url, *client)) for client in CLIENTS[2:4]]
        for each in here:
            await each.emit("join-chat", {"chatId": chat_id})
        message_id = await post(scripted, chat_id, content)
        heard = [await each.until(*ENDS) for each in here]
    events = heard[0]
    name, end = events[-1]

    assert heard[1] == events
    check(events, chat_id, message_id)
    if code is None:
        assert name == "ai-response-end"
        assert (end["message"]["answer"], spoken(events)) == (text, text)
        assert end["message"]["content"] == content
    else:
        assert name == "error"
        assert end == {**end, "chatId": chat_id, "errorCode": code}
        assert end["error"]
        assert text is None or spoken(events) == text
    assert not model.problems


async def test_a_chat_has_what_it_is_sent_whoever_listens_and_however_often_they_join(server: Server) -> None:
    async with listener(server.url) as here, listener(server.url, transports="polling") as there:
        for each in (here, there, here):
            await each.emit("join-chat", {"chatId": "shared"})
        await here.emit("join-chat", {"chatId": "another"})
        message_id, other_id = await asyncio.gather(post(server, "shared", "Hola"), post(server, "another", "Hola"))
        heard = [*await here.until(*ENDS), *await here.until(*ENDS)]
        theirs = await there.until(*ENDS)
        of = [[event for event in heard if event[1]["chatId"] == chat_id] for chat_id in ("shared", "another")]

        check(of[0], "shared", message_id)
        check(of[1], "another", other_id)
        assert theirs == of[0]

        await here.emit("leave-chat", {"chatId": "shared"})
        await post(server, "shared", "Gracias")
        await there.until(*ENDS)
        await here.emit("join-chat", {})  # an answer to this comes after whatever is on its way
        assert (await here.receive())[1]["errorCode"] == "invalid_message"


@may_install
@pytest.mark.parametrize("kind", ["javascript", "python"])
@pytest.mark.parametrize("by", ["chunkIndex", "position"])
async def test_a_client_that_comes_back_gets_exactly_the_rest(server: Server, kind: Kind, by: str) -> None:
    chat_id = f"back-{kind}-{by}"
    async with listener(server.url) as witness:
        await witness.emit("join-chat", {"chatId": chat_id})
        async with listener(server.url, kind) as here:
            await here.emit("join-chat", {"chatId": chat_id})
            message_id = await post(server, chat_id, "Hola")
            while len(here.heard) < 4:
                await here.receive()
            had = list(here.heard)
        place = {"chunkIndex": had[-1][1]["chunkIndex"]} if by == "chunkIndex" else {"position": len(spoken(had))}
        async with listener(server.url, kind) as again:
            await again.emit("join-chat", {"chatId": chat_id, **place})
            rest = await again.until(*ENDS)
        whole = await witness.until(*ENDS)
        async with listener(server.url, kind) as late:  # the answer has ended meanwhile
            await late.emit("join-chat", {"chatId": chat_id, "messageId": message_id, **place})
            late_rest = await late.until(*ENDS)
            await late.emit("join-chat", {"chatId": chat_id, "messageId": "nobody's", **place})
            unknown = await late.receive()

    check(whole, chat_id, message_id)
    assert had + rest == whole
    assert late_rest == rest
    assert unknown[1]["errorCode"] == "not_found"


async def test_who_has_a_message_whole_gets_what_came_after_it(server: Server) -> None:
    first = await post(server, "after", "Hola")
    async with listener(server.url) as here:
        await here.emit("join-chat", {"chatId": "after", "messageId": first, "chunkIndex": -1})
        await here.until(*ENDS)
    second = await post(server, "after", "Gracias")
    async with listener(server.url) as again:
        await again.emit("join-chat", {"chatId": "after", "messageId": first})
        events = await again.until(*ENDS)

    check(events, "after", second)


async def test_a_message_that_another_one_interrupts_ends_with_an_error_and_the_other_is_answered(
    server: Server,
) -> None:
    async with listener(server.url) as here:
        await here.emit("join-chat", {"chatId": "two"})
        first = await post(server, "two", "Hola")
        await here.until("ai-response-chunk")
        second = await post(server, "two", "Gracias")
        await here.until("error")
        check(here.heard, "two", first)
        assert here.heard[-1][1]["errorCode"] == "interrupted"
        check(await here.until(*ENDS), "two", second)


async def test_a_message_that_is_sent_again_is_answered_once(server: Server) -> None:
    async with listener(server.url) as here:
        await here.emit("join-chat", {"chatId": "once"})
        ids = {await post(server, "once", "Hola", **{"Idempotency-Key": "k"}) for _ in range(3)}
        events = await here.until(*ENDS)
        last = await post(server, "once", "Gracias")
        after = await here.until(*ENDS)

    assert len(ids) == 1
    check(events, "once", ids.pop())
    check(after, "once", last)


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        ("join-chat", None, {"chatId": None, "errorCode": "invalid_message"}),
        ("join-chat", "c", {"chatId": None, "errorCode": "invalid_message"}),
        ("join-chat", {}, {"chatId": None, "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": 5}, {"chatId": None, "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": "a b"}, {"chatId": "a b", "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": "c" * 129}, {"chatId": "c" * 128, "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": b"c"}, {"chatId": None, "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": "c", "chunkIndex": "1"}, {"chatId": "c", "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": "c", "position": -1}, {"chatId": "c", "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": "c", "chunkIndex": 0}, {"chatId": "c", "errorCode": "not_found"}),
        ("join-chat", {"chatId": "c", "token": 7}, {"chatId": "c", "errorCode": "invalid_message"}),
        ("join-chat", {"chatId": "c", "token": "x"}, {"chatId": "c", "errorCode": "invalid_token"}),
        ("leave-chat", {"chatId": []}, {"chatId": None, "errorCode": "invalid_message"}),
        ("nonsense", {"chatId": "c"}, {"code": "unknown_type"}),
        ("connect", {"chatId": "c"}, {"code": "unknown_type"}),
        ("disconnect", None, {"code": "unknown_type"}),
    ],
)
async def test_bad_input_is_an_error_and_the_connection_stays(
    server: Server, event: str, payload: Any, expected: dict[str, Any]
) -> None:
    async with listener(server.url) as here:
        await here.emit(event, payload)
        name, error = await here.receive()
        await here.emit("join-chat", {"chatId": "good"})
        await post(server, "good", "Hola")
        after = await here.until(*ENDS)

    assert name == "error"
    assert error == {**error, **expected}
    assert after[-1][0] == "ai-response-end"


async def test_somebody_elses_chat_is_neither_read_nor_written(server: Server) -> None:
    ana, eva = token_of(server, "ana"), token_of(server, "eva")
    async with listener(server.url) as hers, listener(server.url) as here:
        await hers.emit("join-chat", {"chatId": "anas", "token": ana})
        await here.emit("join-chat", {"chatId": "anas", "token": eva})  # nobody's yet
        await post(server, "anas", "Hola", Authorization=f"Bearer {ana}")
        refused = [await here.receive()]
        for token in (eva, ""):
            await here.emit("join-chat", {"chatId": "anas", "token": token})
            refused.append(await here.receive())
        async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {eva}"}) as client:
            written = await client.post("/api/v1/chats/anas/messages", json={"content": "Hola"})
        heard = await hers.until(*ENDS)

    assert [error["errorCode"] for _, error in refused] == ["forbidden_thread"] * 3
    assert (written.status_code, written.json()["code"]) == (403, "forbidden_thread")
    assert heard[-1][0] == "ai-response-end"


@pytest.mark.parametrize("body", [{}, {"content": ""}, {"content": "  "}, {"content": 5}, {"content": "x" * 4001}, []])
async def test_a_message_that_is_none_is_refused(server: Server, body: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/api/v1/chats/c/messages", json=body)

    assert answer.status_code in (413, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_where_a_login_is_needed_each_join_needs_a_token_that_is_still_good(tmp_path: Path) -> None:
    with running_server(tmp_path, AUTH_REQUIRED="true", ACCESS_TOKEN_SECONDS="1") as server:
        await asyncio.to_thread(add_users, server, "ana")
        token = token_of(server, "ana")
        async with listener(server.url) as here:
            await here.emit("join-chat", {"chatId": "c"})
            _, without = await here.receive()
            async with anyio.create_task_group() as tasks:

                async def join_again_and_again() -> None:
                    while True:
                        await here.emit("join-chat", {"chatId": "c", "token": token})

                tasks.start_soon(join_again_and_again)
                _, expired = await here.receive()
                tasks.cancel_scope.cancel()
        async with httpx.AsyncClient(base_url=server.url) as client:
            unsaid = await client.post("/api/v1/chats/c/messages", json={"content": "Hola"})

        assert without["errorCode"] == "not_authenticated"
        assert expired["errorCode"] == "token_expired"
        assert (unsaid.status_code, unsaid.json()["code"]) == (401, "not_authenticated")
        assert token not in server.log.read_text()


class TestLimits:
    async def test_events_are_limited_and_polls_are_not(self, tmp_path: Path) -> None:
        limits = {"RATE_LIMIT_REQUESTS": "12/minute", "RATE_LIMIT_EXEMPT": "none", "OFFLINE_WORD_DELAY_MS": "20"}
        with running_server(tmp_path, **limits) as server:
            async with listener(server.url, transports="polling") as here:
                await here.emit("join-chat", {"chatId": "c"})
                message_id = await post(server, "c", "Hola")
                events = await here.until(*ENDS)
                while here.heard[-1][0] != "error":
                    await here.emit("leave-chat", {"chatId": "c"})
                    await here.emit("nonsense")
                    await here.receive()
                    if here.heard[-1][1].get("code") == "unknown_type":
                        here.heard.append(("", None))
                flooded = here.heard[-1][1]
                async with httpx.AsyncClient(base_url=server.url) as client:
                    another = await client.get("/socket.io/", params={"EIO": "4", "transport": "polling"})

        check(events, "c", message_id)
        assert events[-1][0] == "ai-response-end"
        assert "rate_limited" in (flooded.get("code"), flooded.get("errorCode"))
        assert another.status_code == 429

    async def test_a_page_from_elsewhere_is_not_let_in_nor_is_its_script(self, server: Server) -> None:
        opening = {"EIO": "4", "transport": "polling"}
        async with httpx.AsyncClient(base_url=server.url) as client:
            elsewhere = await client.get("/socket.io/", params=opening, headers={"Origin": "https://evil.example"})
            script = await client.get("/socket.io/", params={**opening, "j": "0"})
            here = await client.get("/socket.io/", params=opening, headers={"Origin": "http://localhost:3000"})

        assert (elsewhere.status_code, script.status_code, here.status_code) == (403, 400, 200)
        assert here.headers.get_list("access-control-allow-origin") == ["http://localhost:3000"]

    @pytest.mark.parametrize("frame", ["", "x", "bAAA", "4" + "[" * 100_000, '40{"', "42" + '["join-chat",' + "x", "9"])
    async def test_a_frame_that_makes_no_sense_leaves_nothing_behind(self, server: Server, frame: str) -> None:
        url = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
        async with connect(url, max_size=None) as socket:
            await socket.recv()
            await socket.send("40")
            await socket.recv()
            await socket.send(frame)
            await socket.send("1")
            with pytest.raises(ConnectionClosed):
                while True:
                    await socket.recv()
        await until_told(server, NOBODY)

        assert "Traceback" not in server.log.read_text()

    async def test_a_client_that_does_not_read_is_closed(self, tmp_path: Path) -> None:
        with running_server(tmp_path, SEND_TIMEOUT_SECONDS="1") as server:
            ids = [await post(server, "c", f"{number} " + "bla " * 900) for number in range(3)]
            url = f"ws://127.0.0.1:{server.port}/socket.io/?EIO=4&transport=websocket"
            join = json.dumps(["join-chat", {"chatId": "c", "messageId": ids[0], "position": 0}])
            async with connect(url, max_size=None, max_queue=1) as lazy:
                await lazy.recv()
                await lazy.send("40")
                await lazy.recv()

                async def ask_again_and_again() -> None:
                    while True:
                        await lazy.send(f"42{join}")

                asking = asyncio.create_task(ask_again_and_again())
                await until_told(server, "voztaxi_slow_clients_total 1.0")
                await until_told(server, NOBODY)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)


class TestRestart:
    @may_install
    @pytest.mark.parametrize("transports", ["websocket", "polling"])
    async def test_clients_get_the_end_of_the_answer_and_come_back_by_themselves(
        self, tmp_path: Path, transports: str
    ) -> None:
        with running_server(tmp_path, OFFLINE_WORD_DELAY_MS="60") as server:
            async with listener(server.url, "javascript", transports) as here:
                await here.emit("join-chat", {"chatId": "c"})
                message_id = await post(server, "c", "Hola")
                await here.until("ai-response-chunk")
                server.signal(signal.SIGTERM)
                await here.until("disconnected")
                answer = here.heard[:-1]
                await asyncio.to_thread(server.wait)
                await asyncio.to_thread(server.start)
                await here.until("connected")
                await here.emit("join-chat", {"chatId": "c", "messageId": message_id})
                here.heard.clear()
                second = await post(server, "c", "Gracias")
                after = await here.until(*ENDS)

        check(answer, "c", message_id)
        assert answer[-1][0] == "ai-response-end"
        check(after, "c", second)

    @may_install
    async def test_who_polls_once_more_gets_the_end_of_the_answer(self, tmp_path: Path) -> None:
        with running_server(tmp_path, OFFLINE_WORD_DELAY_MS="60") as server:
            poll = {"EIO": "4", "transport": "polling"}
            async with (
                listener(server.url, "javascript", "websocket") as other,
                httpx.AsyncClient(base_url=server.url) as client,
            ):
                await other.emit("join-chat", {"chatId": "c"})
                opened = await client.get("/socket.io/", params=poll)
                poll["sid"] = json.loads(opened.text[1:])["sid"]
                for packet in ("40", f"42{json.dumps(['join-chat', {'chatId': 'c'}])}"):
                    assert (await client.post("/socket.io/", params=poll, content=packet)).is_success
                message_id = await post(server, "c", "Hola")
                await other.until("ai-response-chunk")
                server.signal(signal.SIGTERM)
                await other.until("disconnected")
                late = await client.get("/socket.io/", params=poll)

        events: list[Event] = [
            (name, payload)
            for name, payload in (json.loads(packet[2:]) for packet in late.text.split("\x1e") if packet[:2] == "42")
        ]
        check(events, "c", message_id)
        assert events[-1][0] == "ai-response-end"
        assert events == other.heard[:-1]


async def test_the_lock_file_of_the_client_holds_no_address() -> None:
    assert "://" not in (PROGRAM / "package-lock.json").read_text(encoding="utf-8")
