"""Explanations on real servers, with the official client and python-socketio's: told, paused, resumed anywhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.core.clock import now_ms
from app.engines.identity.local import LocalIdentity, secret_key
from app.models.account import Claims
from app.models.explanations import SavedAnswer
from app.services.questions import read_question
from app.stores.sql.answers import SqlAnswerStore
from app.stores.sql.database import Database
from tests.live.server import Server, running_server
from tests.live.socketio_clients import Event, Kind, Listener, listener
from tests.live.test_explainer_model import GOOD, Oracle, said

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

SECRET = "a secret of the test's own, long enough"
QUESTION = "¿Cómo se cobra una carrera?"
ENDS = ("explanation_complete", "error")
CLIENTS: list[tuple[Kind, str]] = [
    ("javascript", "websocket"),
    ("javascript", "polling,websocket"),
    ("python", "websocket"),
    ("python", "polling"),
]
may_install = pytest.mark.timeout(400)
"""The first test that needs the official client installs it where it is not there yet."""


def token(user: str, *, seconds: int = 600) -> str:
    identity = LocalIdentity(secret_key(SecretStr(SECRET)), issuer="voztaxi", audience="voztaxi")
    return identity.make(
        Claims(account_id=user, name=None, expires_at=now_ms() + seconds * 1000), token_id="t", now=now_ms()
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("explanations")
    with running_server(folder, JWT_SECRET=SECRET, EXPLANATION_CHUNK_DELAY_MS="20") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def oracle() -> AsyncIterator[Oracle]:
    model = Oracle()
    await model.start()
    yield model
    await model.stop()


@pytest.fixture
def asking(oracle: Oracle, tmp_path: Path) -> Iterator[Server]:
    """A server that asks a model."""
    env = {"LLM": "openai", "OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": oracle.base_url, "JWT_SECRET": SECRET}
    with running_server(tmp_path / "asking", EXPLANATION_CREDITS="2/day", **env) as running:
        yield running


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that share what they keep."""
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "AUTO_MIGRATE": "true", "JWT_SECRET": SECRET}
    env |= {"EXPLANATION_CHUNK_DELAY_MS": "40", "LEASE_SECONDS": "1"}
    with running_server(tmp_path / "a", **env) as a, running_server(tmp_path / "b", **env) as b:
        yield a, b


async def ask(client: Listener, user: str, question: object = QUESTION, **fields: Any) -> None:
    await client.emit("ask_question", {"token": token(user), "question": question, **fields})


async def chunks(client: Listener, count: int) -> list[Event]:
    """Return the events up to the chunk that comes as the ``count``-th from now on."""
    events: list[Event] = []
    for _ in range(count):
        events += await client.until("content_chunk")
    return events


async def saved(url: str, question: str = QUESTION) -> SavedAnswer:
    question_hash = read_question(question, None, max_characters=4000).question_hash
    async with Database(url) as database:
        answer = await SqlAnswerStore(database).find(question_hash)
    assert answer is not None
    return answer


def folder_url(server: Server) -> str:
    return f"sqlite+aiosqlite:///{server.folder}/voztaxi.db"


def told(events: list[Event], steps: int) -> list[str]:
    """Return what the chunks say of each step; they must follow one another without a gap."""
    contents = [""] * steps
    for name, data in events:
        if name == "content_chunk":
            assert data["position"] == len(contents[data["step"] - 1])
            assert data["chunk"]
            contents[data["step"] - 1] += data["chunk"]
    return contents


def names(events: list[Event]) -> list[str]:
    return [name for name, _ in events]


def codes(events: list[Event]) -> list[str]:
    return [data["code"] for name, data in events if name == "error"]


@may_install
@pytest.mark.parametrize(("kind", "transports"), CLIENTS)
async def test_what_every_client_is_told_is_what_was_saved(server: Server, kind: Kind, transports: str) -> None:
    async with listener(server.url, kind, transports) as client:
        await ask(client, "ana")
        events = await client.until(*ENDS)
        await ask(client, "ana", "  como se COBRA una carrera ")
        again = await client.until(*ENDS)
    answer = await saved(folder_url(server))
    steps = answer.explanation.steps

    assert told(events, len(steps)) == told(again, len(steps)) == [step.content for step in steps]
    assert again[0] == (
        "explanation_start",
        {
            "total_steps": len(steps),
            "estimated_duration": answer.explanation.total_duration,
            "question_hash": answer.question_hash,
        },
    )
    assert [data for name, data in again if name == "step_start"] == [
        {"step": number, "title": step.title, "type": step.type} for number, step in enumerate(steps, 1)
    ]
    assert [data["is_final"] for name, data in again if name == "content_chunk"].count(True) == len(steps)
    assert {"step", "command"} == {key for name, data in again if name == "canvas_command" for key in data}
    assert names(again).count("canvas_command") == sum(len(step.canvas_commands) for step in steps)
    assert again[-2:] == [
        ("step_complete", {"step": len(steps)}),
        (
            "explanation_complete",
            {"total_duration": answer.explanation.total_duration, "steps_completed": len(steps)},
        ),
    ]


@may_install
@pytest.mark.parametrize(("kind", "transports"), CLIENTS[:1] + CLIENTS[2:3])
async def test_a_client_pauses_leaves_comes_back_and_is_told_the_rest(
    server: Server, kind: Kind, transports: str
) -> None:
    mine = {"token": token(f"pauses-{kind}")}
    async with listener(server.url, kind, transports) as client:
        await ask(client, f"pauses-{kind}")
        events = await chunks(client, 3)
        await client.emit("pause_explanation", mine)
        events += await client.until("streaming_paused")
        await client.emit("resume_explanation", mine)
        events += await client.until("streaming_resumed")
        events += await chunks(client, 2)
        await client.emit("pause_explanation", mine)
        events += await client.until("streaming_paused")
    async with listener(server.url, kind, transports) as client:
        await client.emit("resume_explanation", mine)
        events += await client.until("streaming_resumed")
        events += await chunks(client, 2)
    # Gone without a word. What was under way is lost with the connection, so it says what it has.
    _, last = events[-1]
    place = {"step": last["step"], "position": last["position"] + len(last["chunk"])}
    question_hash = next(data["question_hash"] for name, data in events if name == "explanation_start")
    async with listener(server.url, kind, transports) as client:
        await client.emit("resume_explanation", {**mine, "answer_data": {"question_hash": question_hash, **place}})
        [resumed] = await client.until("streaming_resumed", "error")
        rest = await client.until(*ENDS)
    steps = (await saved(folder_url(server))).explanation.steps

    assert resumed == ("streaming_resumed", place)
    assert told([*events, *rest], len(steps)) == [step.content for step in steps]
    assert names(events).count("streaming_paused") == names(events).count("streaming_resumed") == 2
    assert names([*events, *rest]).count("step_start") == len(steps)
    assert not codes([*events, *rest])


async def test_bad_input_is_an_error_and_what_is_told_goes_on(server: Server) -> None:
    mine = {"token": token("bad")}
    bad: list[tuple[str, Any, str]] = [
        ("ask_question", {"question": QUESTION}, "not_authenticated"),
        ("ask_question", {"question": QUESTION, "token": "x.y.z"}, "invalid_token"),
        ("ask_question", {"question": QUESTION, "token": token("bad", seconds=-3600)}, "token_expired"),
        ("ask_question", {**mine, "question": ""}, "empty_question"),
        ("ask_question", {**mine, "question": "a" * 4001}, "text_too_long"),
        ("ask_question", {**mine, "question": {"$ne": 1}}, "invalid_message"),
        ("ask_question", {**mine}, "invalid_message"),
        ("ask_question", {**mine, "question": "a", "context": "b"}, "invalid_message"),
        ("ask_question", "hola", "invalid_message"),
        ("pause_explanation", None, "invalid_message"),
        ("pause_explanation", {}, "not_authenticated"),
        ("pause_explanation", {"token": token("somebody else")}, "not_streaming"),
        ("resume_explanation", {"token": token("somebody else")}, "nothing_to_resume"),
        ("resume_explanation", {**mine, "answer_data": {"step": 0}}, "invalid_message"),
        ("resume_explanation", mine, "not_paused"),
        ("explain_that", mine, "unknown_type"),
    ]
    async with listener(server.url) as client:
        await ask(client, "bad")
        events = await client.until("explanation_start")
        for name, payload, _ in bad:
            await client.emit(name, payload)
        events += await client.until("explanation_complete")
        await client.emit("pause_explanation", mine)
        await client.emit("resume_explanation", mine)
        after = [await client.receive(), await client.receive()]
    steps = (await saved(folder_url(server))).explanation.steps

    assert codes(events) == [code for _, _, code in bad]
    assert all(set(data) == {"code", "message"} for name, data in events if name == "error")
    assert told(events, len(steps)) == [step.content for step in steps]
    assert codes(after) == ["not_streaming", "nothing_to_resume"]


async def test_a_flood_is_refused_and_the_connection_stays_open(tmp_path: Path) -> None:
    limits = {"RATE_LIMIT_EXEMPT": "none", "RATE_LIMIT_QUESTIONS": "3/minute", "RATE_LIMIT_REQUESTS": "60/minute"}
    with running_server(tmp_path / "flooded", JWT_SECRET=SECRET, **limits) as server:
        async with listener(server.url) as client:
            for number in range(5):
                await ask(client, "ana", f"{QUESTION} {number}")
            events = await client.until("explanation_complete")
            assert codes(events) == ["rate_limited"] * 2
            for _ in range(80):
                await client.emit("pause_explanation", {"token": token("ana")})
            found = codes([await client.receive() for _ in range(80)])

    assert set(found) == {"not_streaming", "rate_limited"}
    assert found[-1] == "rate_limited"


async def test_two_who_ask_the_same_at_once_are_answered_by_one_request(asking: Server, oracle: Oracle) -> None:
    oracle.answers.append(said(GOOD))
    async with listener(asking.url) as ana, listener(asking.url) as beto:
        await asyncio.gather(ask(ana, "ana"), ask(beto, "beto"))
        heard = await asyncio.gather(ana.until(*ENDS), beto.until(*ENDS))

    assert len(oracle.requests) == 1
    assert all(told(events, 2) == [step["content"] for step in GOOD["steps"]] for events in heard)


async def test_what_a_model_says_that_is_no_explanation_is_an_error_and_costs_nothing(
    asking: Server, oracle: Oracle
) -> None:
    thousand = {**GOOD, "steps": GOOD["steps"] * 500}
    unknown = {**GOOD, "steps": [{**GOOD["steps"][0], "type": "video"}]}
    async with listener(asking.url) as client:
        for number, broken in enumerate(("no JSON {", {"steps": [], "total_duration": 3}, thousand, unknown)):
            oracle.answers += [said(broken), said(broken)]
            await ask(client, "ana", f"pregunta {number}")
            events = await client.until(*ENDS)
            assert names(events) == ["waiting_phrase", "error"]
            assert codes(events) == ["bad_explanation"]
        for number, expected in enumerate((None, None, "no_credits")):
            oracle.answers.append(said(GOOD))
            await ask(client, "ana", f"otra {number}")
            events = await client.until(*ENDS)
            assert codes(events) == ([] if expected is None else [expected])
        await ask(client, "ana", "otra 0")
        assert names(await client.until(*ENDS))[0] == "explanation_start", "what is saved costs nothing"


@may_install
async def test_an_explanation_goes_from_process_to_process(pair: tuple[Server, Server], postgres_url: str) -> None:
    a, b = pair
    mine = {"token": token("ana")}
    async with listener(a.url, "javascript") as here, listener(b.url) as there:
        await ask(here, "ana")
        events = await chunks(here, 3)
        await there.emit("resume_explanation", mine)
        events += await here.until("error")
        assert codes(events) == ["taken_over"]
        events += await there.until("streaming_resumed")
        events += await chunks(there, 3)
        await here.emit("pause_explanation", mine)
        events += await there.until("streaming_paused")
        assert names(await here.until("streaming_paused")) == ["streaming_paused"]
        await here.emit("resume_explanation", mine)
        events += await here.until(*ENDS)
    steps = (await saved(postgres_url)).explanation.steps

    assert told(events, len(steps)) == [step.content for step in steps]
    assert names(events).count("step_start") == names(events).count("step_complete") == len(steps)


async def test_a_process_that_is_killed_loses_nothing_of_an_explanation(
    pair: tuple[Server, Server], postgres_url: str
) -> None:
    a, b = pair
    async with listener(b.url) as there:
        async with listener(a.url) as here:
            await ask(here, "ana")
            events = await chunks(here, 4)
            a.kill()
        _, last = events[-1]
        place = {"step": last["step"], "position": last["position"] + len(last["chunk"])}
        await there.emit("resume_explanation", {"token": token("ana"), "answer_data": place})
        events += await there.until(*ENDS)
    steps = (await saved(postgres_url)).explanation.steps

    assert told(events, len(steps)) == [step.content for step in steps]


async def test_a_process_that_is_stopped_leaves_the_explanation_to_the_others(
    pair: tuple[Server, Server], postgres_url: str
) -> None:
    a, b = pair
    async with listener(b.url) as there:
        async with listener(a.url) as here:
            await ask(here, "ana")
            events = await chunks(here, 4)
            a.stop()
            events += [each for each in await here.until("disconnected") if each[0] == "content_chunk"]
        _, last = events[-1]
        place = {"step": last["step"], "position": last["position"] + len(last["chunk"])}
        await there.emit("resume_explanation", {"token": token("ana"), "answer_data": place})
        events += await there.until(*ENDS)
    steps = (await saved(postgres_url)).explanation.steps

    assert told(events, len(steps)) == [step.content for step in steps]
