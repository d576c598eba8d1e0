"""A session's stream ends as its turn did, also where the log was lost or the model broke."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from langchain_core.language_models import BaseChatModel

from app.engines.llm.function_model import Reply
from app.main import create_app
from app.models.account import Caller
from tests.desk import Desk, make_settings, open_desk
from tests.fakes import FaultyModel

pytestmark = pytest.mark.integration

SESSIONS = "/api/chat/realtime/sessions"
PASSWORD = "una contraseña larga"


class HeldModel(FaultyModel):
    """A chat model that stops in the middle of an answer until it is told to go on."""

    held_at: int = 2
    entered: Any = None
    go_on: Any = None

    async def astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        count = 0
        async for chunk in super().astream(*args, **kwargs):
            if count == self.held_at:
                self.entered.set()
                await self.go_on.wait()
            count += 1
            yield chunk


def talker(**faults: Any) -> FaultyModel:
    return FaultyModel(function=lambda _messages, _tools: Reply("uno dos tres cuatro"), **faults)


@asynccontextmanager
async def open_session(
    model: BaseChatModel | None = None, **settings: Any
) -> AsyncIterator[tuple[Desk, httpx.AsyncClient, str]]:
    """Open the application in this process, somebody's client and a session."""
    async with open_desk(model=model, **settings) as desk:
        app = create_app(make_settings(**settings))
        app.state.services = desk.services
        await desk.services.accounts.add("ana", PASSWORD)
        login = await desk.services.accounts.log_in("ana", PASSWORD)
        headers = {"Authorization": f"Bearer {login.access_token}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            made = await client.post(SESSIONS, json={})
            yield desk, client, made.json()["id"]


def frames(body: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")]


async def test_where_the_log_is_lost_in_the_middle_the_rest_comes_at_the_end() -> None:
    entered, go_on = anyio.Event(), anyio.Event()
    model = HeldModel(function=talker().function, entered=entered, go_on=go_on)
    async with open_session(model) as (desk, client, session):
        answers: list[httpx.Response] = []

        async def say() -> None:
            answers.append(await client.post(f"{SESSIONS}/{session}/stream", json={"content": "Hola"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say)
            await entered.wait()
            await anyio.wait_all_tasks_blocked()
            await desk.stores.event_log.forget(session)
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        start, *content, done = frames(answers[0].text)

    assert start["type"] == "start"
    assert done["type"] == "done"
    assert "".join(frame["content"] for frame in content) == done["full_content"] == "uno dos tres cuatro"


@pytest.mark.parametrize("has_log", [True, False])
@pytest.mark.parametrize("had", [1, 2, 3])
async def test_a_stream_is_taken_up_after_its_end_with_and_without_the_log(has_log: bool, had: int) -> None:
    async with open_session(talker()) as (desk, client, session):
        url = f"{SESSIONS}/{session}/stream"
        whole = (await client.post(url, json={"content": "Hola"})).text
        ids = [line.removeprefix("id: ") for line in whole.splitlines() if line.startswith("id: ")]
        if not has_log:
            await desk.stores.event_log.forget(session)
        again = await client.post(url, json={"content": "Hola"}, headers={"Last-Event-ID": ids[had - 1]})
        *content, done = [*frames(whole)[1:had], *frames(again.text)]

    assert done == frames(whole)[-1]
    assert "".join(frame["content"] for frame in content) == done["full_content"]


async def test_a_turn_that_fails_ends_in_its_own_code_on_every_route() -> None:
    async with open_session(talker(faults=dict.fromkeys(range(2, 90, 3), "raise"))) as (_, client, session):
        streamed = await client.post(f"{SESSIONS}/{session}/stream", json={"content": "Hola"})
        whole = await client.post("/api/chat", json={"content": "Hola", "session_id": session})
        lines = (await client.get(f"{SESSIONS}/{session}/messages")).json()["messages"]

    assert frames(streamed.text)[-1]["code"] == "model_error"
    assert frames(streamed.text)[0]["type"] == "start"
    assert (whole.status_code, whole.json()["code"]) == (502, "model_error")
    assert [(line["role"], line["partial"]) for line in lines[:2]] == [("user", False), ("assistant", True)]


@pytest.mark.parametrize("how", ["cancelled", "forgotten"])
async def test_a_whole_answer_that_is_cut_off_is_no_answer(how: str) -> None:
    entered, go_on = anyio.Event(), anyio.Event()
    model = HeldModel(function=talker().function, entered=entered, go_on=go_on)
    async with open_session(model) as (desk, client, session):
        answers: list[httpx.Response] = []

        async def say() -> None:
            answers.append(await client.post("/api/chat", json={"content": "Hola", "session_id": session}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say)
            await entered.wait()
            if how == "cancelled":
                conversation = await desk.stores.conversations.get(session)
                assert conversation is not None
                await desk.services.streaming.cancel(session, caller=Caller(account_id=conversation.owner))
            else:
                assert (await client.delete(f"{SESSIONS}/{session}")).status_code == 204
        [answer] = answers
        left = await desk.stores.conversations.get(session)

    told = (answer.status_code, answer.json()["code"])
    assert told == (409, "interrupted") if how == "cancelled" else told in [(409, "interrupted"), (404, "not_found")]
    assert (left is None) == (how == "forgotten")


@pytest.mark.parametrize("sign", ["\x85", "\u2028", "\u2029"])
async def test_signs_that_some_clients_take_for_the_end_of_a_line_end_none(sign: str) -> None:
    model = FaultyModel(function=lambda _messages, _tools: Reply(f"uno{sign}dos"))
    async with open_session(model) as (_, client, session):
        answer = await client.post(f"{SESSIONS}/{session}/stream", json={"content": "Hola"})

    assert frames(answer.text)[-1]["full_content"] == f"uno{sign}dos"


async def test_a_conversation_that_is_too_long_is_not_exported() -> None:
    async with open_session(talker()) as (desk, client, session):
        await client.post(f"{SESSIONS}/{session}/stream", json={"content": "x" * 4000})
        said = await desk.stores.conversations.messages(session)
        for number in range(60):
            line = said[0].model_copy(update={"id": f"m{number}", "turn_id": f"t{number}"})
            desk.stores.conversations._messages[session][line.id] = line
        answers = [await client.get(f"{SESSIONS}/{session}/export", params={"format": kind}) for kind in ("md", "pdf")]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(413, "export_too_large")] * 2


async def test_a_first_message_that_comes_too_often_leaves_no_session() -> None:
    async with open_session(talker(), rate_limit_turns="1/hour", rate_limit_exempt="none") as (_, client, session):
        await client.post("/api/chat", json={"content": "Hola", "session_id": session})
        answers = [
            await client.post("/api/chat", json={"content": "Hola"}),
            await client.post(SESSIONS, json={"initial_message": "Hola"}),
        ]
        listed = (await client.get(SESSIONS)).json()["sessions"]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(429, "rate_limited")] * 2
    assert [each["id"] for each in listed] == [session]


async def test_a_stream_for_which_there_is_no_room_says_nothing() -> None:
    async with open_session(talker(), max_streams=1) as (desk, client, session):
        with desk.services.connections.stream(1):
            refused = await client.post(f"{SESSIONS}/{session}/stream", json={"content": "Hola"})
        said = (await client.get(f"{SESSIONS}/{session}/messages")).json()["messages"]
        again = await client.post(f"{SESSIONS}/{session}/stream", json={"content": "Hola"})

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "5")
    assert said == []
    assert frames(again.text)[-1]["type"] == "done"
