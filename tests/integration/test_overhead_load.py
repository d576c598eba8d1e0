"""The clients of the measurement of overhead say why a turn of theirs did not end."""

import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from app.bench.overhead.load import Order, run

pytestmark = pytest.mark.integration


def order(port: int) -> Order:
    return Order(
        port=port,
        path="/",
        say="$THREAD",
        token="word",
        end="over",
        tokens=1,
        connections=2,
        seconds=0,
        limit_seconds=0.5,
    )


async def test_a_client_that_was_refused_tells_what_it_was_told() -> None:
    async def answer(client: ServerConnection) -> None:
        async for said in client:
            is_first = str(said).split("-")[-2] == "0"
            await client.send(json.dumps({"text": "word"} if is_first else {"code": "store_failed"}))
            if is_first:
                await client.send("over")

    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError, match=r"1 of 2 wait, one of them heard last: \{\"code\": \"store_failed\"\}"):
            await run(order(port))
