"""A chat on two server processes: said at one, heard at the other, taken up anywhere, ended once."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.live.server import Server, running_server
from tests.live.socketio_clients import Event, listener

pytestmark = pytest.mark.live

ENDS = ("ai-response-end", "error")


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that share what they keep."""
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "AUTO_MIGRATE": "true"}
    env |= {"OFFLINE_WORD_DELAY_MS": "60", "LEASE_SECONDS": "1"}
    with running_server(tmp_path / "a", **env) as a, running_server(tmp_path / "b", **env) as b:
        yield a, b


async def post(server: Server, content: str) -> str:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/api/v1/chats/c/messages", json={"content": content})
    message_id: str = answer.json()["messageId"]
    return message_id


def names(events: list[Event]) -> list[str]:
    """Return what came, the chunks as one."""
    found = [name for name, _ in events]
    return [name for n, name in enumerate(found) if n == 0 or name != found[n - 1]]


def spoken(events: list[Event]) -> str:
    return "".join(payload["chunk"] for name, payload in events if name == "ai-response-chunk")


@pytest.mark.timeout(400)
async def test_what_is_said_at_one_process_is_heard_once_at_each_and_taken_up_at_the_other(
    pair: tuple[Server, Server],
) -> None:
    a, b = pair
    async with listener(a.url) as here, listener(b.url, "javascript") as there:
        for each in (here, there):
            await each.emit("join-chat", {"chatId": "c"})
        message_id = await post(a, "Hola")
        async with listener(b.url) as lost:
            await lost.emit("join-chat", {"chatId": "c"})
            while len(lost.heard) < 3:
                await lost.receive()
            had = list(lost.heard)
        async with listener(a.url) as again:
            place = {"messageId": message_id, "chunkIndex": had[-1][1]["chunkIndex"]}
            await again.emit("join-chat", {"chatId": "c", **place})
            rest = await again.until(*ENDS)
        whole = await here.until(*ENDS)

        assert names(whole) == ["ai-response-start", "ai-response-chunk", "ai-response-end"]
        assert whole[-1][1]["message"]["answer"] == spoken(whole)
        assert await there.until(*ENDS) == whole
        assert had + rest == whole


async def test_an_answer_whose_process_is_killed_ends_once_with_an_error_for_who_listens_and_who_comes_back(
    pair: tuple[Server, Server],
) -> None:
    a, b = pair
    async with listener(b.url) as there:
        await there.emit("join-chat", {"chatId": "c"})
        async with listener(a.url) as here:
            await here.emit("join-chat", {"chatId": "c"})
            message_id = await post(a, "Necesito un taxi")
            await here.until("ai-response-chunk")
            a.kill()
            await here.until("disconnected")
        had = here.heard[:-1]
        whole = await there.until(*ENDS)
        async with listener(b.url) as again:
            place = {"messageId": message_id, "chunkIndex": had[-1][1]["chunkIndex"]}
            await again.emit("join-chat", {"chatId": "c", **place})
            rest = await again.until(*ENDS)
        await post(b, "Gracias")
        after = await there.until(*ENDS)

    assert names(whole) == ["ai-response-start", "ai-response-chunk", "error"]
    assert whole[-1][1]["errorCode"] == "worker_lost"
    assert had + rest == whole
    assert names(after) == ["ai-response-start", "ai-response-chunk", "ai-response-end"]
