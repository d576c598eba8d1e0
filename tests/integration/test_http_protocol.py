"""Connections on which a request does not come, or an answer is not taken."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from prometheus_client import REGISTRY
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from app.api.http_protocol import http_protocol
from app.chaos.services import free_port
from tests.desk import make_settings

pytestmark = pytest.mark.integration

SECONDS = 0.2
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


class Application:
    """Answers in a few ways, and notes who went."""

    def __init__(self) -> None:
        self.gone = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
            return
        response = Response("small")
        match scope["path"]:
            case "/echo":
                try:
                    response = Response(await Request(scope, receive).body())
                except ClientDisconnect:
                    self.gone.set()
                    return
            case "/large":
                response = Response(b"x" * 50_000_000)
            case "/slow":
                response = StreamingResponse(self.drip())
        await response(scope, receive, send)

    async def drip(self) -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x"
            await anyio.sleep(SECONDS / 2)


class Client:
    """A connection of which every byte is the test's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def problem(self) -> tuple[int, str]:
        """Return status and code of the last answer; the connection is closed after it."""
        head, _, body = (await self.reader.read()).partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        assert b"connection: close" in head.lower()
        return int(head.split()[1]), json.loads(body)["code"]


class Here:
    """A running server."""

    def __init__(self, port: int, application: Application, server: uvicorn.Server) -> None:
        self.port, self.application, self.server = port, application, server

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(seconds: float = SECONDS, **settings: Any) -> AsyncIterator[Here]:
    application, port = Application(), free_port()
    protocol = http_protocol(make_settings(request_timeout_seconds=seconds, **settings))
    given = {"lifespan": "off", "log_config": None, "access_log": False, "ws": "websockets-sansio"}
    server = uvicorn.Server(uvicorn.Config(application, port=port, http=protocol, **given))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server._serve)
        while not server.started:
            await anyio.lowlevel.checkpoint()
        yield Here(port, application, server)
        server.should_exit = True
    assert protocol.half_open == {}


def unfinished(reason: str) -> float:
    return REGISTRY.get_sample_value("voztaxi_requests_unfinished_total", {"reason": reason}) or 0


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET",
        HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n",
        HEAD + b"Content-Length: 9\r\n\r\n12345678",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n",
    ],
    ids=["nothing", "a word", "half a head", "no body", "half a body", "no last piece"],
)
async def test_a_request_that_does_not_come_whole_is_refused_in_time(begun: bytes) -> None:
    before = unfinished("slow")
    async with serving() as here, here.client() as client:
        await client.send(begun)

        assert await client.problem() == (408, "request_timeout")
        if b"\r\n\r\n" in begun:
            await here.application.gone.wait()
    assert unfinished("slow") == before + 1


async def test_a_second_request_has_its_time_too() -> None:
    async with serving() as here, here.client() as client:
        await client.send(GET)
        assert (await client.head()).startswith("HTTP/1.1 200")
        await client.reader.readexactly(5)
        await client.send(b"GET /sm")

        assert await client.problem() == (408, "request_timeout")


async def test_who_goes_on_sending_what_was_answered_already_is_closed() -> None:
    async with serving() as here, here.client() as client:
        await client.send(b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n1")
        assert (await client.head()).startswith("HTTP/1.1 200")
        await client.reader.readexactly(5)

        assert await client.problem() == (408, "request_timeout")


async def test_what_came_whole_may_be_answered_for_longer() -> None:
    async with serving() as here, here.client() as client, connect(f"ws://127.0.0.1:{here.port}/") as socket:
        await client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await socket.send("still")

        assert answer.count(b"1\r\nx") == 4
        assert await socket.recv() == "still"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 70_000,
        HEAD + b"X: " + b"x" * 70_000,
        HEAD + b"X: x\r\n" * 12_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 9 + b"\r\nx\r\n" * 20_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 12_000,
    ],
    ids=["line", "header", "headers", "pieces", "trailers"],
)
async def test_what_is_no_body_has_its_bound(request_: bytes) -> None:
    async with serving(seconds=60) as here, here.client() as client:
        await client.send(request_)

        assert (await client.problem())[0] in (400, 431)


async def test_a_large_body_is_no_head() -> None:
    body = b"x" * 300_000
    async with serving(seconds=60) as here, here.client() as client:
        for _ in range(2):
            await client.send(HEAD + b"Content-Length: 300000\r\n\r\n" + body)
            await client.head()
            assert await client.reader.readexactly(300_000) == body


async def test_what_is_no_http_is_a_problem() -> None:
    async with serving(seconds=60) as here, here.client() as client:
        await client.send(b"\x16\x03\x01 hello\r\n\r\n")

        assert await client.problem() == (400, "bad_request")


async def test_however_many_say_nothing_who_says_something_is_answered() -> None:
    async with serving(seconds=60, max_half_open=2) as here, here.client() as first, here.client() as second:
        await first.send(b"GET /sm")
        await second.send(b"GET /sm")
        async with here.client() as third:
            assert await first.problem() == (408, "request_timeout")
            await third.send(GET)
            assert (await third.head()).startswith("HTTP/1.1 200")
            await second.send(GET.removeprefix(b"GET /sm"))
            assert (await second.head()).startswith("HTTP/1.1 200")


@pytest.mark.parametrize("how", [b"keep-alive", b"close"])
async def test_who_does_not_take_an_answer_is_cut_off(how: bytes) -> None:
    async with serving(seconds=60, send_timeout_seconds=SECONDS) as here, here.client() as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: " + how + b"\r\n\r\n")
        await client.head()
        while here.server.server_state.connections:
            await anyio.lowlevel.checkpoint()

        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.reader.readexactly(50_000_000)
