"""POST /stream/chat with the clients that people have: curl, cut off and come back, and a browser's fetch."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jwt
import pytest

from app.chaos.services import free_port
from tests.asgi import SentEvent, read_events
from tests.live.nginx import run_nginx
from tests.live.server import ROOT, Server, running_server

pytestmark = pytest.mark.live

SECRET = "a secret that is long enough for HS256"
SLOW = {"OFFLINE_WORD_DELAY_MS": "60", "JWT_SECRET": SECRET}
PAGE = """
const [url, token] = process.argv.slice(2);
const answer = await fetch(url, {
  method: "POST",
  headers: {"Content-Type": "application/json", Authorization: `Bearer ${token}`, Accept: "text/event-stream"},
  body: JSON.stringify({message: "Hola", metadata: {}}),
});
const reader = answer.body.getReader();
const decoder = new TextDecoder();
let stream = "";
let reads = 0;
while (true) {
  const {done, value} = await reader.read();
  if (done) break;
  stream += decoder.decode(value, {stream: true});
  reads += 1;
}
console.log(JSON.stringify({coding: answer.headers.get("content-encoding"), reads, stream}));
"""
"""As a page does it that uses the fetch of its browser; node has the same."""
LINES = ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")
TOKEN = jwt.encode({"iss": "voztaxi", "aud": "voztaxi", "sub": "ana", "exp": 4_000_000_000}, SECRET)


def command(url: str, message: str, *options: str, **fields: str) -> list[str]:
    """Return the curl that sends a message."""
    body = json.dumps({"message": message, **fields})
    return [
        *("curl", "--silent", "--show-error", "--no-buffer", "--max-time", "60", *options),
        *("-H", f"Authorization: Bearer {TOKEN}", "-H", "Content-Type: application/json"),
        *("-d", body, f"{url}/stream/chat"),
    ]


def post(url: str, message: str, *options: str, **fields: str) -> list[SentEvent]:
    """Return the events of a whole stream."""
    ran = subprocess.run(command(url, message, *options, **fields), capture_output=True, check=True)
    return read_events(ran.stdout)


@contextmanager
def open_stream(url: str, message: str, **fields: str) -> Iterator[subprocess.Popen[bytes]]:
    """Begin a stream; curl is killed when the block is left."""
    with subprocess.Popen(command(url, message, **fields), stdout=subprocess.PIPE) as curl:
        try:
            yield curl
        finally:
            curl.kill()


def read(curl: subprocess.Popen[bytes], chunks: int) -> list[SentEvent]:
    """Read until there were so many chunks."""
    assert curl.stdout is not None
    stream = b""
    while stream.count(b"event: chunk") < chunks or not stream.endswith(b"\n\n"):
        line = curl.stdout.readline()
        assert line, stream
        stream += line
    return read_events(stream)


def resume(url: str, seen: list[SentEvent]) -> list[SentEvent]:
    """Return the rest of a stream."""
    return post(url, "Hola", "-H", f"Last-Event-ID: {seen[-1].id}")


def words(events: list[SentEvent]) -> str:
    return "".join(event.data["content"] for event in events if event.name == "chunk")


def raws(events: list[SentEvent]) -> list[bytes]:
    return [event.raw for event in events]


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that share what they keep."""
    assert shutil.which("curl"), "curl is needed: install it"
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "AUTO_MIGRATE": "true", **SLOW}
    with running_server(tmp_path / "a", **env) as a, running_server(tmp_path / "b", **env) as b:
        yield a, b


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process on its own; each test has conversations of its own."""
    assert shutil.which("curl"), "curl is needed: install it"
    with running_server(tmp_path_factory.mktemp("server"), STREAM_COMPRESSION="true", **SLOW) as started:
        yield started


def test_a_taxi_is_booked_by_streams(server: Server) -> None:
    answers = [post(server.url, line, conversation_id="booking") for line in LINES]

    assert [answer[-1].name for answer in answers] == ["end"] * len(LINES)
    assert "Tu taxi va en camino" in words(answers[-1])
    headers = {"Authorization": f"Bearer {TOKEN}"}
    booked = httpx.get(f"{server.url}/api/v1/bookings", params={"thread_id": "booking"}, headers=headers).json()
    assert len(booked["bookings"]) == 1


@pytest.mark.parametrize("chunks", [1, 2, 4])
def test_a_curl_that_was_killed_is_followed_by_one_that_has_the_rest(server: Server, chunks: int) -> None:
    thread_id = f"killed-{chunks}"
    with open_stream(server.url, "Hola", conversation_id=thread_id) as curl:
        seen = read(curl, chunks)
    rest = resume(server.url, seen)

    assert rest[-1].name == "end"
    assert raws(seen[:1] + resume(server.url, seen[:1])) == raws(seen + rest)
    thread = httpx.get(f"{server.url}/api/v1/threads/{thread_id}", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert [message["content"] for message in thread["messages"]] == ["Hola", words(seen + rest)]


def test_a_stream_goes_on_in_another_process_byte_for_byte(pair: tuple[Server, Server]) -> None:
    a, b = pair
    with open_stream(a.url, "Hola", conversation_id="t") as curl:
        seen = read(curl, 2)
    rest = resume(b.url, seen)

    assert rest[-1].name == "end"
    assert raws(seen[:1] + resume(a.url, seen[:1])) == raws(seen + rest)
    assert raws(resume(b.url, seen)) == raws(rest)


def test_a_stream_whose_process_is_killed_ends_in_another_one_with_an_error(pair: tuple[Server, Server]) -> None:
    a, b = pair
    with open_stream(a.url, "Hola", conversation_id="t") as curl:
        seen = read(curl, 2)
        a.kill()
    rest = resume(b.url, seen)

    assert (rest[-1].name, rest[-1].data["code"]) == ("error", "worker_lost")
    indexes = [event.data["chunk_index"] for event in seen + rest if event.name == "chunk"]
    assert indexes == list(range(len(indexes)))


def test_a_stream_of_a_server_that_is_stopped_comes_to_its_end(tmp_path: Path) -> None:
    with running_server(tmp_path, **SLOW) as stopped, open_stream(stopped.url, "Hola", conversation_id="t") as curl:
        seen = read(curl, 1)
        stopped.signal(signal.SIGTERM)
        assert curl.stdout is not None
        rest = read_events(curl.stdout.read())
        stopped.wait()

    assert rest[-1].name == "end"
    assert [event.data["chunk_index"] for event in (seen + rest)[1:-1]] == list(range(len(seen + rest) - 2))


async def test_a_hundred_streams_at_once_are_whole(server: Server) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as client:

        async def ask(number: int) -> list[SentEvent]:
            said = {"message": "Hola", "conversation_id": f"t{number}"}
            answer = await client.post("/stream/chat", json=said, headers={"Authorization": f"Bearer {TOKEN}"})
            return read_events(answer.content)

        answers = await asyncio.gather(*(ask(number) for number in range(100)))

    for answer in answers:
        assert [event.name for event in answer] == ["start", *["chunk"] * (len(answer) - 2), "end"]
        assert [event.data["chunk_index"] for event in answer[1:-1]] == list(range(len(answer) - 2))


def test_a_page_that_reads_its_stream_as_it_comes_has_it_unpacked_piece_by_piece(server: Server) -> None:
    node = Path(sys.executable).parent / "node"
    given = [f"{server.url}/stream/chat", TOKEN]
    ran = subprocess.run(
        [node, "--input-type=module", "-", *given], input=PAGE, capture_output=True, text=True, check=True
    )
    page = json.loads(ran.stdout)

    assert page["coding"] == "gzip"
    assert page["reads"] > 4
    events = read_events(page["stream"].encode())
    assert [event.name for event in events] == ["start", *["chunk"] * (len(events) - 2), "end"]


def test_a_proxy_passes_the_stream_on_as_it_comes_and_a_cut_one_goes_on_through_it(server: Server) -> None:
    with run_nginx([server.port, server.port]) as nginx:
        with open_stream(nginx.url, "Hola", conversation_id="proxied") as curl:
            seen = read(curl, 1)
        thread = httpx.get(f"{server.url}/api/v1/threads/proxied", headers={"Authorization": f"Bearer {TOKEN}"}).json()
        rest = resume(nginx.url, seen)

    assert len(thread["messages"]) == 1, "the first words were there before the answer was"
    assert rest[-1].name == "end"
    assert raws(seen[:1] + resume(server.url, seen[:1])) == raws(seen + rest)


def test_the_script_that_shows_a_cut_stream_ends_with_its_proof() -> None:
    env = {**os.environ, "PORT": str(free_port())}
    ran = subprocess.run([ROOT / "scripts" / "show_resume"], env=env, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("The text of the stream is the saved answer.\n")


def test_the_script_that_measures_streams_reports_what_it_saw(server: Server, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    script = [sys.executable, ROOT / "scripts" / "test_stream_performance.py", "--token", TOKEN, "--url", server.url]
    ran = subprocess.run(
        [*script, "--concurrency", "5", "--requests", "10", "--no-compare", "--message", "Adiós", "--report", report],
        capture_output=True,
        text=True,
        check=False,
    )
    refused = subprocess.run([*script[:-1], "https://example.org"], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(report.read_text())
    assert (figures["many"]["streams"], figures["many"]["ends"]) == (10, {"end": 10})
    assert figures["many"]["gap"]["median_ms"] > 0
    assert "gap between chunks" in ran.stdout
    assert refused.returncode == 2
    assert "--anywhere" in refused.stderr


def test_a_web_page_may_ask_and_resume_where_its_origin_is_allowed(server: Server) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key, last-event-id",
    }
    local, foreign = (
        httpx.options(f"{server.url}/stream/chat", headers={"Origin": origin, **asks})
        for origin in ("http://localhost:3000", "https://evil.example")
    )

    assert local.status_code == 200
    assert local.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert foreign.status_code == 400
    assert "access-control-allow-origin" not in foreign.headers
