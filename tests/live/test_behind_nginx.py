"""Two server processes behind the nginx of ``deploy/``: a rider has one address, and any process may be behind it."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.chaos.services import Postgres, Redis
from tests.live.nginx import run_nginx
from tests.live.server import Rider, Server, rider, running_server
from tests.live.socketio_clients import listener

pytestmark = pytest.mark.live

LINES = ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")
MIB = 1024 * 1024
FRAME_BYTES = 1000
"""So small that a frame over the limit is there at once: a server that closes with more of it on the way is cut off
by its own system before nginx has read the close code."""


@dataclass
class Front:
    """nginx, and what is behind it."""

    url: str
    servers: tuple[Server, Server]
    thread_id: str = "t"

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1) + "/api/v1/ws/chat"

    def serving(self, what: str = "active_connections") -> Server:
        """Return the one process that has something to do."""
        [busy] = [each for each in self.servers if httpx.get(f"{each.url}/health").json()[what]]
        return busy

    def said(self) -> list[str]:
        """Return what the rider said, as it was saved."""
        thread = httpx.get(f"{self.url}/api/v1/threads/{self.thread_id}").json()
        return [line["content"] for line in thread["messages"] if line["role"] == "user"]

    def bookings(self) -> list[dict[str, Any]]:
        found = httpx.get(f"{self.url}/api/v1/bookings", params={"thread_id": self.thread_id}).json()
        bookings: list[dict[str, Any]] = found["bookings"]
        return bookings

    # One rider's frames, on the thread of the test.

    async def say(self, here: Rider, text: str) -> list[dict[str, Any]]:
        return await here.say(text, thread_id=self.thread_id)

    async def begin(self, here: Rider, text: str) -> tuple[str, str]:
        """Say something and wait until the answer begins; return the turn and the epoch."""
        await here.send(type="user_input", text=text, thread_id=self.thread_id)
        start = (await here.until("turn_start"))[-1]
        await here.until("agent_chunk")
        return start["turn_id"], start["epoch"]

    async def replay(self, here: Rider, seq: int, epoch: str | None = None) -> dict[str, Any]:
        """Ask for what follows ``seq``; return the frame that begins it."""
        await here.send(type="replay", thread_id=self.thread_id, after_seq=seq, epoch=epoch)
        return (await here.until("replay_start"))[-1]


@contextmanager
def running_front(folder: Path, **env: str) -> Iterator[Front]:
    """Run two processes and nginx."""
    quick = {"LEASE_SECONDS": "1", "OFFLINE_WORD_DELAY_MS": "40", "MAX_FRAME_BYTES": str(FRAME_BYTES)}
    given = {"AUTO_MIGRATE": "true", "LOG_FORMAT": "json", **quick, **env}
    with (
        running_server(folder / "a", **given) as a,
        running_server(folder / "b", **given) as b,
        run_nginx([a.port, b.port]) as nginx,
    ):
        yield Front(nginx.url, (a, b))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis) -> Iterator[Front]:
    redis_server.clear()
    with postgres.new_database() as url:
        folder = tmp_path_factory.mktemp("front")
        with running_front(folder, DATABASE_URL=url, REDIS_URL=redis_server.url) as running:
            yield running


@pytest.fixture
def front(shared: Front, request: pytest.FixtureRequest) -> Front:
    """Both processes, whatever became of them in the test before, and a thread of the test's own."""
    for server in shared.servers:
        if not server.is_running:
            server.start()
    return Front(shared.url, shared.servers, thread_id=request.node.name)


def ends(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["status"] for frame in frames if frame["type"] == "turn_end"]


def numbers(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames if "seq" in frame]


def until_draining(server: Server) -> None:
    """Wait until a process takes nothing any more; the turn that it has keeps it there."""
    while httpx.get(f"{server.url}/health").status_code != 503:
        time.sleep(0.01)


async def test_a_taxi_is_booked_with_a_new_connection_for_every_line(front: Front) -> None:
    frames: list[dict[str, Any]] = []
    for line in LINES:
        async with rider(front.ws) as here:
            frames += await front.say(here, line)

    assert ends(frames) == ["completed"] * len(LINES)
    assert numbers(frames) == list(range(1, len(numbers(frames)) + 1))
    assert [booking["pickup"]["address"] for booking in front.bookings()] == ["Calle 72 #43-25"]
    for server in front.servers:
        assert "turn ended" in server.log.read_text(), "one process had it all"


async def test_an_event_stream_is_not_held_back(front: Front) -> None:
    async with rider(front.ws) as here, httpx.AsyncClient(base_url=front.url, timeout=30) as client:
        await front.begin(here, "Hola")
        await here.send(type="pause")
        async with client.stream("GET", f"/api/v1/threads/{front.thread_id}/events", params={"after": 0}) as answer:
            lines = answer.aiter_lines()
            # The turn is held: whatever comes now comes before its end.
            first = [json.loads(line[6:])["type"] async for line in _until(lines, "agent_chunk")]
            await here.send(type="resume")
            rest = [json.loads(line[6:])["type"] async for line in _until(lines, "turn_end")]
        assert ends(await here.until("turn_end")) == ["completed"]

    assert first[0].startswith("stt_")
    assert "turn_end" not in first
    assert rest[-1] == "turn_end"


async def _until(lines: Any, kind: str) -> Any:
    """Yield the data of a stream up to the first event of a kind."""
    async for line in lines:
        if line.startswith("data: "):
            yield line
            if f'"type":"{kind}"' in line:
                return


async def test_a_killed_process_costs_its_riders_one_answer_and_nothing_else(front: Front) -> None:
    async with rider(front.ws) as here:
        turn_id, epoch = await front.begin(here, "Necesito un taxi")
        await here.send(type="pause")  # a busy machine looks for the process longer than the answer takes
        front.serving().kill()
        with pytest.raises(ConnectionClosed):
            await here.until("turn_end")
        seen = numbers(here.frames)
    async with rider(front.ws) as there:
        assert (await front.replay(there, seen[-1], epoch))["recovered"]
        rest = await there.until("turn_end")
        for line in LINES[1:]:
            assert ends(await front.say(there, line)) == ["completed"]

    assert (rest[-1]["turn_id"], rest[-1]["status"]) == (turn_id, "failed")
    assert [frame["code"] for frame in rest if frame["type"] == "agent_error"] == ["worker_lost"]
    assert seen + numbers(rest) == list(range(1, numbers(rest)[-1] + 1))
    assert len(front.bookings()) == 1


async def test_a_process_that_is_told_to_stop_hands_its_riders_on(front: Front) -> None:
    async with rider(front.ws) as here:
        turn_id, epoch = await front.begin(here, "Necesito un taxi")
        await here.send(type="pause")
        stopping = front.serving()
        stopping.signal(signal.SIGTERM)
        until_draining(stopping)
        for _ in range(4):  # it refuses, and nginx asks the other
            async with rider(front.ws) as there:
                await there.send(type="ping")
                await there.until("pong")
        await here.send(type="resume")
        assert ends(await here.until("turn_end", turn_id=turn_id)) == ["completed"]
        with pytest.raises(ConnectionClosed) as closed:
            await here.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    seen = numbers(here.frames)
    async with rider(front.ws) as there:
        assert (await front.replay(there, seen[-1], epoch))["last_seq"] == seen[-1]
        assert ends(await front.say(there, "Calle 72 #43-25")) == ["completed"]
    stopping.wait()


async def test_a_post_whose_process_is_killed_is_not_sent_to_the_other(front: Front) -> None:
    async with httpx.AsyncClient(base_url=front.url, timeout=30) as client, rider(front.ws) as there:
        await front.replay(there, 0)
        asked = asyncio.create_task(client.post("/api/v1/chat", json={"text": "Hola", "thread_id": front.thread_id}))
        await there.until("agent_chunk")
        front.serving("active_turns").kill()
        answer = await asked
    async with rider(front.ws) as there:
        await front.replay(there, 0)
        frames = await there.until("turn_end")

    assert answer.status_code == 502
    assert ends(frames) == ["failed"]
    assert front.said() == ["Hola"]


async def test_what_is_too_large_is_refused_in_the_same_words_by_nginx_and_the_server(front: Front) -> None:
    async with httpx.AsyncClient(base_url=front.url) as client:
        for text, code in (("x" * 4001, "text_too_long"), ("x" * (2 * MIB), "body_too_large")):
            answer = await client.post("/api/v1/chat", json={"text": text})
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == code
    async with rider(front.ws) as here:
        await here.send(type="user_input", text="x" * (2 * FRAME_BYTES))
        with pytest.raises(ConnectionClosed) as closed:
            await here.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_requests_keep_their_ids_and_figures_stay_inside(front: Front) -> None:
    async with httpx.AsyncClient(base_url=front.url) as client:
        given = await client.get("/health", headers={"X-Request-ID": "mine-1"})
        made = await client.get("/health", headers={"X-Request-ID": "not well formed"})
        figures = await client.get("/metrics")

    assert given.headers.get_list("x-request-id") == ["mine-1"]
    assert len(made.headers["x-request-id"]) == 32
    assert figures.status_code == 404


async def test_a_refusal_comes_through_where_every_process_refuses(
    tmp_path: Path, postgres_url: str, redis_url: str
) -> None:
    limits = {"MAX_CONNECTIONS": "2", "MAX_ACTIVE_TURNS": "1", "SHUTDOWN_GRACE_SECONDS": "0"}
    with running_front(tmp_path, DATABASE_URL=postgres_url, REDIS_URL=redis_url, **limits) as front:
        async with rider(front.ws) as one, rider(front.ws) as two, rider(front.ws) as three, rider(front.ws):
            for number, here in enumerate((one, two)):  # the least loaded has the next: one of each process
                await here.send(type="user_input", text="Hola", thread_id=f"t{number}")
                await here.until("agent_chunk")
                await here.send(type="pause", thread_id=f"t{number}")
            for _ in range(3):
                with pytest.raises(InvalidStatus) as refused:
                    async with rider(front.ws):
                        pass
                response = refused.value.response
                assert response.status_code == 503
                assert response.headers["Retry-After"] == "5"
                assert json.loads(response.body or b"")["code"] == "overloaded"
            async with httpx.AsyncClient(base_url=front.url) as client:
                answer = await client.post("/api/v1/chat", json={"text": "Hola"})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            await three.send(type="user_input", text="Hola", thread_id="t3")
            with pytest.raises(ConnectionClosed) as closed:
                await three.until("turn_end")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013


@pytest.mark.timeout(400)
@pytest.mark.parametrize("transports", ["polling", "polling,websocket"])
async def test_a_socketio_client_that_polls_stays_with_the_process_that_knows_it(front: Front, transports: str) -> None:
    chat_id = f"c-{transports}"
    async with listener(front.url, "javascript", transports) as here:
        await here.emit("join-chat", {"chatId": chat_id})
        async with httpx.AsyncClient(base_url=front.url) as client:
            answer = await client.post(f"/api/v1/chats/{chat_id}/messages", json={"content": "Hola"})
        events = await here.until("ai-response-end", "error")

    assert answer.status_code == 202
    assert [name for name, _ in events if name != "ai-response-chunk"] == ["ai-response-start", "ai-response-end"]
