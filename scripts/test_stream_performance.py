#!/usr/bin/env python3
"""Measures POST /stream/chat: first bytes, gaps between chunks, streams at once, requests per second.

    .venv/bin/python scripts/test_stream_performance.py --token TOKEN [--url http://127.0.0.1:8000]

The server at ``--url`` is asked for whole answers, many at once. How many requests per second a stream costs
is measured against two servers that the script starts itself and stops again, one after the other: this one
with a chat model that says one word, and a bare FastAPI route that sends the same three events and does
nothing else. The clients run in this process, so on a small machine they take their share of it.
"""

import argparse
import asyncio
import json
import math
import os
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

FIRST_BYTE_MS, GAP_MS, AT_ONCE, REQUESTS_PER_SECOND = 200, 100, 100, 1000
"""What is aimed for."""
_MOST_REQUESTS, _MOST_AT_ONCE, _MOST_SECONDS = 20_000, 1000, 300
_START_SECONDS = 30
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(slots=True)
class Stream:
    """What was seen of one stream; times in seconds."""

    first_byte: float = math.nan
    whole: float = math.nan
    chunks: list[float] = field(default_factory=list)
    """When each chunk came."""
    end: str = "none"

    @property
    def gaps(self) -> list[float]:
        """The time between one chunk and the next, but for the last one."""
        return [later - earlier for earlier, later in pairwise(self.chunks[:-1])]

    @property
    def last(self) -> list[float]:
        """The time before the last chunk, which comes when the answer is saved and known to be whole."""
        return [self.chunks[-1] - self.chunks[-2]] if len(self.chunks) > 1 else []


class Client:
    """One connection that is used again and again. Does as little as it can: it shares the machine."""

    def __init__(self, url: str, token: str, message: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        body = json.dumps({"message": message}).encode()
        head = (
            f"POST {parts.path.rstrip('/')}/stream/chat HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> Stream:
        """Send the message and take the stream."""
        seen = Stream()
        if self._open is None:
            self._open = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        reader, writer = self._open
        started = time.perf_counter()
        writer.write(self._request)
        received = bytearray()
        counted = 0
        while not received.endswith(b"\r\n0\r\n\r\n"):
            piece = await reader.read(65536)
            now = time.perf_counter()
            if not piece:
                self.close()
                break
            received += piece
            head = received.find(b"\r\n\r\n")
            if head < 0:
                continue
            if not received.startswith(b"HTTP/1.1 200"):
                seen.end = f"HTTP {received[9:12].decode()}"
                self.close()
                break
            if math.isnan(seen.first_byte) and len(received) > head + 4:
                seen.first_byte = now - started
            came = received.count(b"event: chunk")
            seen.chunks += [now] * (came - counted)
            counted = came
        seen.whole = time.perf_counter() - started
        if seen.end == "none":
            seen.end = next((name for name in ("end", "error") if f"event: {name}\n".encode() in received), "none")
        return seen

    def close(self) -> None:
        """Leave."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


async def ask_many(url: str, token: str, message: str, *, requests: int, at_once: int) -> tuple[list[Stream], float]:
    """Ask ``requests`` times over ``at_once`` connections; return the streams and how long all took."""
    left = iter(range(requests))
    seen: list[Stream] = []

    async def client() -> None:
        mine = Client(url, token, message)
        try:
            for _ in left:
                seen.append(await mine.ask())  # noqa: PERF401 - several clients fill it at once
        finally:
            mine.close()

    started = time.perf_counter()
    async with asyncio.timeout(_MOST_SECONDS):
        await asyncio.gather(*(client() for _ in range(at_once)))
    return seen, time.perf_counter() - started


def quantiles(values: list[float]) -> dict[str, float] | None:
    """Return median, 99th percentile and the worst in milliseconds; None where there is nothing."""
    if not values:
        return None
    ordered = sorted(values)
    at = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.99) - 1)]
    return {
        "median_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(at * 1000, 1),
        "worst_ms": round(ordered[-1] * 1000, 1),
    }


def summary(seen: list[Stream], seconds: float) -> dict[str, Any]:
    """Return what a run is reported as."""
    good = [stream for stream in seen if stream.end == "end"]
    ends = {name: sum(stream.end == name for stream in seen) for name in sorted({stream.end for stream in seen})}
    return {
        "streams": len(seen),
        "ends": ends,
        "seconds": round(seconds, 2),
        "requests_per_second": round(len(good) / seconds, 1),
        "first_byte": quantiles([stream.first_byte for stream in good]),
        "gap": quantiles([gap for stream in good for gap in stream.gaps]),
        "last_chunk": quantiles([gap for stream in good for gap in stream.last]),
        "whole": quantiles([stream.whole for stream in good]),
    }


# The servers that are measured against each other.


def serve(kind: str, port: int, secret: str) -> None:
    """Run one of them; called in a process of its own."""
    import uvicorn

    app = bare_app() if kind == "bare" else one_word_app(kind, secret)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)


def bare_app() -> Any:
    """Return FastAPI with nothing behind it: the same three events."""
    from fastapi import FastAPI
    from fastapi.sse import EventSourceResponse, ServerSentEvent
    from pydantic import BaseModel

    class Message(BaseModel):
        message: str
        conversation_id: str | None = None

    app = FastAPI()

    @app.post("/stream/chat", response_class=EventSourceResponse)
    async def stream_chat(_message: Message) -> AsyncIterator[ServerSentEvent]:
        chunk = {"type": "content", "content": "Hola", "chunk_index": 0, "is_final": True}
        yield ServerSentEvent(event="start", id="0", data={"conversation_id": "c", "status": "processing"})
        yield ServerSentEvent(event="chunk", id="1", data=chunk)
        yield ServerSentEvent(
            event="end", id="2", data={"conversation_id": "c", "status": "completed", "message_count": 1}
        )

    return app


def one_word_app(kind: str, secret: str) -> Any:
    """Return this server with a chat model that says one word, in memory or with its default database."""
    from pydantic import SecretStr

    from app.bootstrap import open_services
    from app.core.config import Settings
    from app.engines.llm.function_model import FunctionChatModel, Reply
    from app.main import create_app

    where = {"database_url": "memory://"} if kind == "memory" else {}
    settings = Settings(_env_file=None, jwt_secret=SecretStr(secret), log_level="ERROR", **where)
    model = FunctionChatModel(function=lambda _messages, _tools: Reply("Hola"))
    return create_app(settings, open_services=partial(open_services, model=model))


@contextmanager
def running(kind: str, secret: str) -> Iterator[str]:
    """Start one of the servers in an empty folder; stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", kind, "--port", str(port)]
    environment = {**os.environ, "STREAM_PERFORMANCE_SECRET": secret}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, cwd=folder, env=environment) as server,
    ):
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Return when the port is open."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("a server to compare with did not start")


def compare(requests: int, at_once: int) -> dict[str, Any]:
    """Measure what a stream costs beside FastAPI's own."""
    import jwt

    secret = secrets.token_hex(32)
    said = {"iss": "voztaxi", "aud": "voztaxi", "sub": "measurer", "exp": int(time.time()) + 3600}
    token = jwt.encode(said, secret, algorithm="HS256")
    found: dict[str, Any] = {}
    for kind in ("bare", "memory", "sqlite"):
        with running(kind, secret) as url:
            asyncio.run(ask_many(url, token, "Hola", requests=min(100, requests), at_once=min(10, at_once)))
            found[kind] = summary(*asyncio.run(ask_many(url, token, "Hola", requests=requests, at_once=at_once)))
    bare = found["bare"]["requests_per_second"]
    for kind in ("memory", "sqlite"):
        found[kind]["of_bare"] = round(found[kind]["requests_per_second"] / bare, 3) if bare else None
    return found


# What is printed.


def show(title: str, run: dict[str, Any]) -> None:
    """Print a run."""
    ends = ", ".join(f"{count} {name}" for name, count in run["ends"].items())
    print(f"\n{title}: {run['streams']} streams in {run['seconds']} s ({ends})")
    print(f"  {'requests/s':<12} {run['requests_per_second']:>8}")
    for name in ("first_byte", "gap", "last_chunk", "whole"):
        if (times := run[name]) is not None:
            print(
                f"  {name:<12} {times['median_ms']:>8} ms median {times['p99_ms']:>8} ms p99 "
                f"{times['worst_ms']:>8} ms worst"
            )


def verdict(name: str, value: float | None, aim: float, *, at_most: bool = True) -> bool:
    """Print whether an aim was met."""
    met = value is not None and (value <= aim if at_most else value >= aim)
    print(f"  {'met   ' if met else 'missed'} {name}: {value} ({'at most' if at_most else 'at least'} {aim})")
    return met


def main() -> None:
    """Measure, print, and exit with 1 where a stream failed; aims that are missed are printed only."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--token", help="access token for the server, from POST /auth/login")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--message", default="Hola")
    parser.add_argument("--concurrency", type=int, default=AT_ONCE, help="streams at once")
    parser.add_argument("--requests", type=int, default=500, help="streams in all, of each server")
    parser.add_argument("--report", type=Path, help="write the figures to this file, as JSON")
    parser.add_argument("--no-compare", action="store_true", help="leave out the servers to compare with")
    parser.add_argument("--anywhere", action="store_true", help="measure a server that is not on this machine")
    parser.add_argument("--serve", choices=("bare", "memory", "sqlite"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port, os.environ["STREAM_PERFORMANCE_SECRET"])
        return
    if not given.token:
        parser.error("--token is needed; see POST /auth/login")
    if not given.anywhere and urlsplit(given.url).hostname not in _LOOPBACK:
        parser.error("--url is another machine's; say --anywhere if it may be put under load")
    at_once = max(1, min(given.concurrency, _MOST_AT_ONCE))
    requests = max(at_once, min(given.requests, _MOST_REQUESTS))

    one = summary(*asyncio.run(ask_many(given.url, given.token, given.message, requests=min(20, requests), at_once=1)))
    many = summary(*asyncio.run(ask_many(given.url, given.token, given.message, requests=requests, at_once=at_once)))
    figures: dict[str, Any] = {"one_at_a_time": one, "at_once": at_once, "many": many}
    show(f"{given.url}, one at a time", one)
    show(f"{given.url}, {at_once} at once", many)
    if not given.no_compare:
        figures["compared"] = compared = compare(requests, at_once)
        show(f"bare FastAPI, {at_once} at once", compared["bare"])
        show(f"one word, nothing kept, {at_once} at once", compared["memory"])
        show(f"one word, SQLite, {at_once} at once", compared["sqlite"])

    print("\naims")
    verdict("first byte, p99 in ms, one at a time", (one["first_byte"] or {}).get("p99_ms"), FIRST_BYTE_MS)
    verdict(f"first byte, p99 in ms, {at_once} at once", (many["first_byte"] or {}).get("p99_ms"), FIRST_BYTE_MS)
    verdict("gap between chunks, p99 in ms, one at a time", (one["gap"] or {}).get("p99_ms"), GAP_MS)
    verdict(f"gap between chunks, p99 in ms, {at_once} at once", (many["gap"] or {}).get("p99_ms"), GAP_MS)
    verdict("streams at once", at_once if set(many["ends"]) == {"end"} else 0, AT_ONCE, at_most=False)
    if not given.no_compare:
        speed = compared["memory"]["requests_per_second"]
        verdict("requests per second, one word", speed, REQUESTS_PER_SECOND, at_most=False)
        for kind, name in (("memory", "nothing kept"), ("sqlite", "SQLite")):
            print(f"         {name}: {compared[kind]['of_bare']} of bare FastAPI")
    if given.report:
        given.report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if set(one["ends"]) | set(many["ends"]) != {"end"}:
        sys.exit(1)


if __name__ == "__main__":
    main()
