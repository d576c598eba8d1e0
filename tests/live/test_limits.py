"""What a process does with more than it may take."""

import json
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.live.server import Server, rider, running_server

pytestmark = pytest.mark.live

SLOW = {"OFFLINE_WORD_DELAY_MS": "150"}


async def until_connections(server: Server, count: int) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        while (await client.get("/api/v1/ws/health")).json()["active_connections"] != count:
            await anyio.lowlevel.checkpoint()


async def test_a_client_that_does_not_read_is_closed_and_recovers_everything_by_replay(tmp_path: Path) -> None:
    with running_server(tmp_path, SEND_TIMEOUT_SECONDS="1") as server:
        async with rider(server.ws) as here:
            for number in range(3):
                await here.say(f"{number} " + "bla " * 900, thread_id="t")
            whole = [frame["seq"] for frame in here.frames if "seq" in frame]
        async with connect(server.ws, max_size=None, max_queue=1) as lazy:
            await until_connections(server, 1)
            async with anyio.create_task_group() as tasks:

                async def ask_again_and_again() -> None:
                    while True:  # each answer is the whole log, of which nothing is read
                        try:
                            await lazy.send(json.dumps({"type": "replay", "thread_id": "t", "after_seq": 0}))
                        except ConnectionClosed:
                            return
                        await anyio.lowlevel.checkpoint()

                tasks.start_soon(ask_again_and_again)
                await until_connections(server, 0)
                tasks.cancel_scope.cancel()
        async with rider(server.ws) as here:
            await here.send(type="replay", thread_id="t", after_seq=0)
            [start] = await here.until("replay_start")
            assert start["recovered"]
            while start["last_seq"] not in [frame.get("seq") for frame in here.frames]:
                await here.receive()
            assert [frame["seq"] for frame in here.frames if "seq" in frame] == whole


async def test_more_turns_than_the_process_may_run_are_sent_elsewhere(tmp_path: Path) -> None:
    with running_server(tmp_path, MAX_ACTIVE_TURNS="1", **SLOW) as server:
        async with rider(server.ws) as here, rider(server.ws) as there:
            await here.send(type="user_input", text="Hola", thread_id="a")
            await here.until("agent_chunk")
            async with httpx.AsyncClient(base_url=server.url) as client:
                refused = await client.post("/api/v1/chat", json={"text": "Hola", "thread_id": "b"})
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert int(refused.headers["retry-after"]) > 0
            await there.send(type="user_input", text="Hola", thread_id="b")
            with pytest.raises(ConnectionClosed) as closed:
                await there.receive()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
            await here.until("turn_end")
        frames: list[dict[str, Any]] = []
        while not frames:  # there is room a moment after the end was told
            async with rider(server.ws) as again:
                with suppress(ConnectionClosed):
                    frames = await again.say("Hola", thread_id="b")
        assert frames[-1]["status"] == "completed"


async def test_more_clients_than_the_process_may_have_are_refused_until_one_leaves(tmp_path: Path) -> None:
    with running_server(tmp_path, MAX_CONNECTIONS="1") as server:
        async with rider(server.ws):
            await until_connections(server, 1)
            problem = await refusal(server)
            assert (problem["status"], problem["code"]) == (503, "overloaded")
        await until_connections(server, 0)
        async with rider(server.ws) as again:
            assert (await again.say("Hola"))[-1]["status"] == "completed"


async def test_a_server_that_drains_lets_nobody_in(tmp_path: Path) -> None:
    with running_server(tmp_path, **SLOW) as server:
        async with rider(server.ws) as here:
            await here.send(type="user_input", text="Hola", thread_id="a")
            await here.until("agent_chunk")
            server.signal(signal.SIGTERM)
            async with httpx.AsyncClient(base_url=server.url) as client:
                while (await client.get("/ready")).status_code == 200:
                    await anyio.lowlevel.checkpoint()
            assert (await refusal(server))["code"] == "draining"
            assert (await here.until("turn_end"))[-1]["status"] == "completed"


async def refusal(server: Server) -> dict[str, Any]:
    """Return the problem with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(server.ws):
            pass
    response = refused.value.response
    assert int(response.headers["retry-after"]) > 0
    found: dict[str, Any] = json.loads(response.body)
    return found
