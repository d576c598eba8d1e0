"""/metrics of real servers: what is counted, by how many processes, and that it never grows with who comes."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from app.chaos.services import free_port
from tests.live.server import ROOT, Server, rider, running_server

pytestmark = pytest.mark.live

CONNECTIONS = 10
"""More than one rider needs: a busy server may count who has just hung up for a moment."""

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(
        tmp_path_factory.mktemp("metrics"), MAX_CONNECTIONS=str(CONNECTIONS), DATABASE_URL="memory://"
    ) as running:
        yield running


def scrape(url: str) -> Series:
    """Return every series with its value."""
    answer = httpx.get(f"{url}/metrics", timeout=60)
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(found: Series, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


async def visit(server: Server, http: httpx.AsyncClient, name: str) -> None:
    """Do what riders, browsers and idle hands do, each under names of their own."""
    async with rider(server.ws) as socket:
        names = {"thread_id": name, "user_id": f"user-{name}", "client_id": f"client-{name}", "message_id": name}
        await socket.say(f"Necesito un taxi a la calle {sum(map(ord, name))} #43-25", **names)
        await socket.send(type="replay", thread_id=name, after_seq=1)
        await socket.until("replay_start")
    chat = {"text": "Hola", "thread_id": f"http-{name}", "user_id": name}
    assert (await http.post("/api/v1/chat", json=chat)).status_code == 200
    await http.get(f"/api/v1/threads/{name}")
    await http.get(f"/api/v1/threads/{name}/nothing/{name}")
    await http.get(f"/nowhere/{name}", headers={"user-agent": name, "x-request-id": name})
    await http.delete(f"/api/v1/threads/{name}")


async def test_the_number_of_series_does_not_grow_with_riders(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        for number in range(5):
            await visit(server, http, f"early-{number}")
        scrape(server.url)
        early = scrape(server.url)
        for number in range(55):
            await visit(server, http, f"late-{number}")
        late = scrape(server.url)

    turns = {"name": "voztaxi_turns_total", "status": "completed", "code": ""}
    assert figure(late, **turns) - figure(early, **turns) == 55 * 2
    # An outcome that the early riders did not meet may come once; a name of a rider comes 55 times.
    assert len(set(late) - set(early)) < 10, set(late) - set(early)
    assert len(late) < 450, len(late)
    print(f"{len(late)} series")
    assert not [key for key in late if "late-" in str(key) or "early-" in str(key)]


async def test_connections_refusals_and_replays_are_counted(server: Server) -> None:
    before = scrape(server.url)
    async with AsyncExitStack() as stack:
        riders = [await stack.enter_async_context(rider(server.ws)) for _ in range(CONNECTIONS)]
        first, second = riders[:2]
        with pytest.raises(InvalidStatus):
            async with rider(server.ws):
                pass
        await first.say("Hola", thread_id="counted")
        await second.send(type="replay", thread_id="counted", after_seq=0)
        await second.until("turn_end")
        await second.send(type="replay", thread_id="counted", after_seq=0, epoch="of another life")
        await second.until("replay_start")
        during = scrape(server.url)
    async with rider(server.ws) as other:
        await other.send(type="ping")
        await other.until("pong")
        while figure(scrape(server.url), "voztaxi_connections", transport="websocket") != 1:
            time.sleep(0.02)

    def grown(name: str, **labels: str) -> float:
        return figure(during, name, **labels) - figure(before, name, **labels)

    assert figure(during, "voztaxi_connections", transport="websocket") == CONNECTIONS
    assert figure(during, "voztaxi_connections_limit") == CONNECTIONS
    assert figure(during, "voztaxi_ready") == 1
    assert grown("voztaxi_connections_refused_total", code="overloaded") == 1
    assert grown("voztaxi_replays_total", recovered="true") == 1
    assert grown("voztaxi_replays_total", recovered="false") == 1


async def test_an_event_stream_is_a_connection_while_it_is_open(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        await http.post("/api/v1/chat", json={"text": "Hola", "thread_id": "stream"})
        async with http.stream("GET", "/api/v1/threads/stream/events") as answer:
            async for line in answer.aiter_lines():
                if "turn_end" in line:
                    break
            during = scrape(server.url)
        while figure(scrape(server.url), "voztaxi_connections", transport="sse"):
            time.sleep(0.02)

    route = {"route": "/api/v1/threads/{thread_id:path}/events", "method": "GET"}
    assert figure(during, "voztaxi_connections", transport="sse") == 1
    assert figure(scrape(server.url), "voztaxi_http_requests_total", **route, status="2xx") == 1


def test_a_client_that_takes_nothing_is_counted(tmp_path: Path) -> None:
    with running_server(tmp_path, SEND_TIMEOUT_SECONDS="0.2", MAX_TEXT_CHARS="30000") as server:
        asks = b'{"type":"user_input","text":"%s","thread_id":"slow"}' % (b"Hola. " * 4000)
        again = b'{"type":"replay","thread_id":"slow","after_seq":0}'
        with _deaf_websocket(server.port) as deaf:
            deaf.sendall(_frame(asks))
            while not figure(scrape(server.url), "voztaxi_slow_clients_total"):
                try:
                    deaf.send(_frame(again) * 20)  # each answer holds all that was said, and is not taken
                except OSError:
                    break
        assert figure(scrape(server.url), "voztaxi_slow_clients_total") == 1


@contextmanager
def _deaf_websocket(port: int) -> Iterator[socket.socket]:
    """Open a WebSocket with a tiny buffer that is never read."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(
            b"GET /api/v1/ws/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b"101" in deaf.recv(64)
        yield deaf


def _frame(text: bytes) -> bytes:
    """Return a text frame, masked with zeros."""
    return bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text


@contextmanager
def running_workers(folder: Path, count: int) -> Iterator[tuple[str, psutil.Process]]:
    """Run the application as uvicorn's own workers, which share a folder for their figures."""
    shared = folder / "figures"
    shared.mkdir()
    port = free_port()
    settings = {"DATABASE_URL": "memory://", "PYTHONPATH": str(ROOT), "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--workers", str(count)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(40)


def until_all_answer(folder: Path, count: int) -> None:
    """Wait until so many workers are ready."""
    while (folder / "server.log").read_text(errors="replace").count('"event": "ready"') < count:
        time.sleep(0.1)


async def test_any_worker_answers_for_all_and_not_for_the_dead(tmp_path: Path) -> None:
    with running_workers(tmp_path, 2) as (url, supervisor):
        until_all_answer(tmp_path, 2)
        for _ in range(20):  # a connection each: they reach one worker or the other
            assert httpx.post(f"{url}/api/v1/chat", json={"text": "Hola"}).status_code == 200
        found = [scrape(url) for _ in range(6)]
        async with rider(f"{url.replace('http', 'ws')}/api/v1/ws/chat") as guest:
            await guest.say("Hola")
            during = scrape(url)
            for worker in supervisor.children():
                if "spawn_main" in " ".join(worker.cmdline()):
                    worker.kill()
        until_all_answer(tmp_path, 4)
        after = scrape(url)

    chats = {"route": "/api/v1/chat", "method": "POST", "status": "2xx"}
    assert {figure(each, "voztaxi_http_requests_total", **chats) for each in found} == {20}
    assert {figure(each, "voztaxi_turns_total", status="completed", code="") for each in found} == {20}
    assert figure(during, "voztaxi_connections", transport="websocket") == 1
    assert figure(after, "voztaxi_connections", transport="websocket") == 0
    assert figure(after, "voztaxi_connections_limit") == 2 * 5000
    assert figure(after, "voztaxi_turns_total", status="completed", code="") == 21
