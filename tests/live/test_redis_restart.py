"""Redis is killed and comes back: whoever reads a thread goes on where they were, and misses nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from app.chaos.services import Redis, run_redis
from tests.live.server import Server, rider, running_server

pytestmark = pytest.mark.live


@pytest.fixture
def redis_of_its_own() -> Iterator[Redis]:
    with run_redis() as redis:
        yield redis


@pytest.fixture
def server(tmp_path: Path, redis_of_its_own: Redis) -> Iterator[Server]:
    """Answers come word by word over a while, so that a restart falls in the middle."""
    settings = {"REDIS_URL": redis_of_its_own.url, "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/voztaxi.db"}
    with running_server(tmp_path / "server", OFFLINE_WORD_DELAY_MS="80", **settings) as running:
        yield running


def restart(redis: Redis) -> None:
    redis.kill()
    redis.start()


async def test_a_socket_goes_on_in_the_middle_of_a_turn(server: Server, redis_of_its_own: Redis) -> None:
    async with rider(server.ws) as client:
        await client.send(type="user_input", text="Hola", thread_id="t")
        await client.until("agent_chunk")
        restart(redis_of_its_own)
        frames = await client.until("turn_end")

    start = next(frame for frame in frames if frame["type"] == "replay_start")
    epochs = [frame["epoch"] for frame in client.frames if frame["type"] == "turn_start"]
    assert start["recovered"] is True
    assert start["epoch"] not in epochs, "the client learns the new life of the log"
    assert frames[-1]["status"] == "completed"
    numbers = [frame["seq"] for frame in client.frames if "seq" in frame]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_stream_goes_on_in_the_middle_of_a_turn(server: Server, redis_of_its_own: Redis) -> None:
    frames = []
    async with (
        rider(server.ws) as client,
        httpx.AsyncClient(timeout=30) as http,
        http.stream("GET", f"{server.url}/api/v1/threads/t/events?after=0") as response,
    ):
        await client.send(type="user_input", text="Hola", thread_id="t")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                frames.append(json.loads(line.removeprefix("data: ")))
                if frames[-1]["type"] == "turn_start":
                    restart(redis_of_its_own)
                if frames[-1]["type"] == "turn_end":
                    break

    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))


async def test_an_answer_over_http_is_whole(server: Server, redis_of_its_own: Redis) -> None:
    answers = []

    async def ask() -> None:
        async with httpx.AsyncClient(timeout=30) as http:
            answers.append(await http.post(f"{server.url}/api/v1/chat", json={"text": "Hola", "thread_id": "t"}))

    async with rider(server.ws) as client, anyio.create_task_group() as tasks:
        await client.send(type="replay", thread_id="t", after_seq=0)
        await client.until("replay_start")
        tasks.start_soon(ask)
        await client.until("agent_chunk")
        await anyio.to_thread.run_sync(redis_of_its_own.kill)
        redis_of_its_own.start()

    [answer] = answers
    assert answer.status_code == 200, answer.text
    end = httpx.get(f"{server.url}/api/v1/threads/t").json()["messages"][-1]
    assert answer.json()["text"] == end["content"]
