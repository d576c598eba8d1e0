"""The largest body that is read, whatever reads it."""

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.body_limit import BodyLimit

pytestmark = pytest.mark.unit

MAX = 10


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await PlainTextResponse(str(size))(scope, receive, send)


async def hide(scope: Scope, receive: Receive, send: Send) -> None:
    """Make another answer of whatever goes wrong, as a framework does."""
    try:
        await echo(scope, receive, send)
    except Exception:
        await PlainTextResponse("hidden", 400)(scope, receive, send)


async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading."""
    await PlainTextResponse("unread")(scope, receive, send)


async def post(app: object, *pieces: bytes, told: int | None = None) -> httpx.Response:
    """Send a body in pieces, with its length or without."""

    async def body():  # type: ignore[no-untyped-def]
        for piece in pieces:
            yield piece

    headers = {} if told is None else {"content-length": str(told)}
    transport = httpx.ASGITransport(app=BodyLimit(app, MAX))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.post("/", content=body(), headers=headers)


@pytest.mark.parametrize("app", [echo, hide])
@pytest.mark.parametrize("told", [True, False])
async def test_a_body_is_read_up_to_the_limit_and_not_one_byte_further(app: object, told: bool) -> None:
    fits = await post(app, b"x" * 6, b"x" * 4, told=10 if told else None)
    answer = await post(app, b"x" * 6, b"x" * 5, told=11 if told else None)

    assert (fits.status_code, fits.text) == (200, "10")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_says_less_than_it_has_is_found_out() -> None:
    assert (await post(echo, b"x" * 100, told=5)).status_code == 413


@pytest.mark.parametrize("told", [11, 10**30])
async def test_a_body_that_is_too_large_by_its_own_account_is_refused_unread(told: int) -> None:
    assert (await post(ignore, told=told)).status_code == 413


async def test_what_is_not_read_is_not_counted() -> None:
    assert (await post(ignore, b"x" * 100)).text == "unread"


async def test_who_goes_on_sending_under_an_answer_is_cut_off() -> None:
    heard: list[Message] = []
    sent = iter([{"type": "http.request", "body": b"x" * 6, "more_body": True}] * 3)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def pieces():  # type: ignore[no-untyped-def]
            heard.extend([await receive(), await receive()])
            yield b"on"

        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece})

    async def receive() -> Message:
        return next(sent)

    answer: list[Message] = []

    async def send(message: Message) -> None:
        answer.append(message)

    await BodyLimit(app, MAX)({"type": "http", "headers": []}, receive, send)

    assert [message["type"] for message in heard] == ["http.request", "http.disconnect"]
    assert [message["type"] for message in answer] == ["http.response.start", "http.response.body"]


async def test_a_websocket_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await BodyLimit(app, MAX)({"type": "websocket", "headers": []}, None, None)  # type: ignore[arg-type]

    assert seen == ["websocket"]
