"""Two server processes with one database and one Redis: a rider does not see which one is there."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.server import Rider, Server, rider, running_server

pytestmark = pytest.mark.live

LINES = ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")
SLOW = {"OFFLINE_WORD_DELAY_MS": "60"}


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that share what they keep."""
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "AUTO_MIGRATE": "true", **SLOW}
    with running_server(tmp_path / "a", **env) as a, running_server(tmp_path / "b", **env) as b:
        yield a, b


def ends(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["status"] for frame in frames if frame["type"] == "turn_end"]


def numbers(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames if "seq" in frame]


def bookings(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/api/v1/bookings", params={"thread_id": "t"}).json()[
        "bookings"
    ]
    return found


async def replay(here: Rider, thread_id: str, seq: int, epoch: str) -> dict[str, Any]:
    """Ask for what follows ``seq``; return the frame that begins it."""
    await here.send(type="replay", thread_id=thread_id, after_seq=seq, epoch=epoch)
    return (await here.until("replay_start"))[-1]


async def begin(here: Rider, text: str, **fields: Any) -> tuple[str, str]:
    """Say something and wait until the answer begins; return the turn and the epoch."""
    await here.send(type="user_input", text=text, **fields)
    start = (await here.until("turn_start"))[-1]
    await here.until("agent_chunk")
    return start["turn_id"], start["epoch"]


async def test_every_line_of_a_conversation_goes_to_another_process(pair: tuple[Server, Server]) -> None:
    frames: list[dict[str, Any]] = []
    for number, line in enumerate(LINES):
        async with rider(pair[number % 2].ws) as here:
            frames += await here.say(line, thread_id="t")
    assert ends(frames) == ["completed"] * len(LINES)
    assert numbers(frames) == list(range(1, len(numbers(frames)) + 1))
    for server in pair:
        [booking] = bookings(server)
        assert booking["pickup"]["address"] == "Calle 72 #43-25"


async def test_an_answer_is_read_on_from_another_process_while_it_runs(pair: tuple[Server, Server]) -> None:
    a, b = pair
    async with rider(a.ws) as here:
        _, epoch = await begin(here, "Hola", thread_id="t")
        seen = numbers(here.frames)
    async with rider(b.ws) as there:
        started = await replay(there, "t", seen[-1], epoch)
        assert started["recovered"]
        rest = await there.until("turn_end")
    assert ends(rest) == ["completed"]
    assert seen + numbers(rest) == list(range(1, numbers(rest)[-1] + 1))


@pytest.mark.parametrize("command", ["cancel", "new input"])
async def test_a_turn_is_ended_from_another_process(pair: tuple[Server, Server], command: str) -> None:
    a, b = pair
    async with rider(a.ws) as here, rider(b.ws) as there:
        turn_id, _ = await begin(here, "Hola", thread_id="t")
        if command == "cancel":
            await there.send(type="cancel", thread_id="t")
        else:
            await there.send(type="user_input", text="Necesito un taxi", thread_id="t")
        frames = await here.until("turn_end", turn_id=turn_id)
        assert frames[-1]["status"] == "interrupted"
        if command == "new input":
            assert ends(await there.until("turn_end", status="completed"))[-1] == "completed"


async def test_a_turn_is_paused_and_resumed_from_another_process(pair: tuple[Server, Server]) -> None:
    a, b = pair
    async with rider(a.ws) as here, rider(b.ws) as there:
        await begin(here, "Hola", thread_id="t")
        await there.send(type="pause", thread_id="t")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.7):
                await here.until("turn_end")
        held = len(here.frames)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await here.receive()
        assert len(here.frames) == held
        await there.send(type="resume", thread_id="t")
        assert ends(await here.until("turn_end")) == ["completed"]


async def test_a_turn_whose_process_is_killed_ends_once_and_the_rider_goes_on(pair: tuple[Server, Server]) -> None:
    a, b = pair
    async with rider(b.ws) as there:
        async with rider(a.ws) as here:
            turn_id, epoch = await begin(here, "Necesito un taxi", thread_id="t")
            seen = numbers(here.frames)
            a.kill()
        assert (await replay(there, "t", seen[-1], epoch))["recovered"]
        rest = await there.until("turn_end")
        assert (rest[-1]["turn_id"], rest[-1]["status"]) == (turn_id, "failed")
        assert [frame["code"] for frame in rest if frame["type"] == "agent_error"] == ["worker_lost"]
        assert seen + numbers(rest) == list(range(1, numbers(rest)[-1] + 1))
        for line in LINES[1:]:
            assert ends(await there.say(line, thread_id="t")) == ["completed"]
    assert len(bookings(b)) == 1
    a.start()
    async with rider(a.ws) as here:
        await here.send(type="replay", thread_id="t", after_seq=0)
        whole = await here.until("turn_end", text=there.frames[-1]["text"])
    assert ends(whole).count("failed") == 1


async def test_a_process_that_stood_still_for_longer_than_its_lease_is_held_off(pair: tuple[Server, Server]) -> None:
    a, b = pair
    async with rider(a.ws) as here, rider(b.ws) as there:
        turn_id, epoch = await begin(here, "Hola", thread_id="t")
        a.signal(signal.SIGSTOP)
        try:
            await replay(there, "t", 0, epoch)
            first = await there.until("turn_end")
            assert (first[-1]["turn_id"], first[-1]["status"]) == (turn_id, "failed")
        finally:
            a.signal(signal.SIGCONT)
        assert ends(await there.say("Necesito un taxi", thread_id="t")) == ["completed"]
        await replay(there, "t", 0, epoch)
        again = await there.until("turn_end", status="completed")
        assert ends(again) == ["failed", "completed"]
        # What the one that stood still says now reaches the same log, and nothing is added to the old turn.
        assert ends(await here.until("turn_end", turn_id=turn_id)) == ["failed"]


async def test_a_turn_runs_on_while_it_is_heard_in_another_process(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "AUTO_MIGRATE": "true", "TURN_GRACE_SECONDS": "0.3"}
    with running_server(tmp_path / "a", **env, **SLOW) as a, running_server(tmp_path / "b", **env, **SLOW) as b:
        async with rider(b.ws) as there:
            async with rider(a.ws) as here:
                _, epoch = await begin(here, "Hola", thread_id="t")
                await replay(there, "t", 0, epoch)
            assert ends(await there.until("turn_end")) == ["completed"]


async def test_a_message_that_is_sent_again_to_another_process_runs_once(pair: tuple[Server, Server]) -> None:
    a, b = pair
    async with rider(a.ws) as here, rider(b.ws) as there:
        turn_id, epoch = await begin(here, "Hola", thread_id="t", message_id="m-1")
        await there.send(type="user_input", text="Hola", thread_id="t", message_id="m-1")
        *_, known = await there.until("system_message")  # it listens by then, and may hear words of the answer first
        assert (known["level"], known["code"], known["turn_id"]) == ("info", "duplicate_message", turn_id)
        assert ends(await here.until("turn_end")) == ["completed"]
        said = {"text": "Hola", "thread_id": "t", "message_id": "m-1"}
        async with httpx.AsyncClient(base_url=b.url) as client:
            answer = await client.post("/api/v1/chat", json=said)
        assert (answer.status_code, answer.json()["turn_id"]) == (200, turn_id)
        await replay(there, "t", 0, epoch)
        assert ends(await there.until("turn_end")) == ["completed"]


async def test_a_stopped_process_hands_its_riders_on(pair: tuple[Server, Server]) -> None:
    a, b = pair
    async with rider(a.ws) as here:
        _, epoch = await begin(here, "Hola", thread_id="t")
        a.signal(signal.SIGTERM)
        assert ends(await here.until("turn_end")) == ["completed"]
        seen = numbers(here.frames)
    async with rider(b.ws) as there:
        assert (await replay(there, "t", seen[-1], epoch))["last_seq"] == seen[-1]
        assert ends(await there.say("Necesito un taxi", thread_id="t")) == ["completed"]
    a.wait()
