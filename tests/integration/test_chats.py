"""Chats on a connection: what is owed is sent before the end, what is lost is told, what fails hurts nobody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from app.api.socketio.base import ClientGone, Connection, Payload
from app.api.socketio.chats import Chats
from app.core.errors import RateLimited
from app.models.chats import JoinChat, LeaveChat
from app.services.streaming_service import StreamingService
from tests.desk import Desk, open_desk

pytestmark = pytest.mark.integration


class Client:
    """A client that takes what it is sent, if it does."""

    def __init__(self, desk: Desk) -> None:
        self.heard: list[tuple[str, Payload]] = []
        self.reads = anyio.Event()
        self.reads.set()
        self.is_gone = False
        self.connection = Connection("1", desk.services, "127.0.0.1", self._emit)
        self.chats = Chats(self.connection)
        self._told = anyio.Event()

    async def join(self, chat_id: str) -> None:
        await self.chats.take(JoinChat(chat_id=chat_id))

    async def until(self, name: str) -> list[tuple[str, Payload]]:
        """Return what it was sent, once this is the newest of it."""
        while not self.heard or self.heard[-1][0] != name:
            self._told = anyio.Event()
            await self._told.wait()
        return self.heard

    async def _emit(self, name: str, payload: Payload) -> None:
        await self.reads.wait()
        if self.is_gone:
            raise ClientGone
        self.heard.append((name, payload))
        self._told.set()


@asynccontextmanager
async def connected(desk: Desk) -> AsyncIterator[Client]:
    client = Client(desk)
    async with anyio.create_task_group() as tasks:
        await tasks.start(client.connection.serve)
        yield client
        await client.connection.close()


def streaming(desk: Desk) -> StreamingService:
    return desk.services.streaming


async def test_before_a_restart_a_client_is_sent_all_that_was_logged() -> None:
    async with open_desk() as desk, connected(desk) as client:
        await client.join("c")
        client.reads = anyio.Event()
        await desk.say("Hola", thread_id="c")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.chats.flush)
            await anyio.wait_all_tasks_blocked()
            heard_before = list(client.heard)
            client.reads.set()

        assert heard_before == []
        assert client.heard[-1][0] == "ai-response-end"


async def test_a_message_whose_log_is_deleted_ends_once_with_an_error_and_the_next_one_is_told() -> None:
    async with open_desk(offline_word_delay_ms=20) as desk, connected(desk) as client:
        await client.join("c")
        await streaming(desk).submit("Hola", thread_id="c")
        await client.until("ai-response-chunk")
        await desk.stores.event_log.forget("c")
        await client.until("error")
        lost = [payload["errorCode"] for name, payload in client.heard if name == "error"]
        first = client.heard[-1][1]["messageId"]
        client.heard.clear()
        await streaming(desk).submit("Gracias", thread_id="c", strategy="enqueue")
        await client.until("ai-response-end")

    assert lost == ["log_truncated"]
    assert [name for name, _ in client.heard].count("ai-response-start") == 1
    assert first not in {payload["messageId"] for _, payload in client.heard}


async def test_a_client_that_is_gone_ends_its_connection_and_nobody_elses() -> None:
    async with open_desk() as desk, connected(desk) as there, connected(desk) as here:
        await here.join("c")
        await there.join("c")
        here.is_gone = True
        await desk.say("Hola", thread_id="c")
        await there.until("ai-response-end")

        assert here.connection.has_left
        assert here.heard == []
        assert desk.services.connections.active == 1


async def test_a_connection_follows_so_many_chats_and_one_more_once_it_has_left_one() -> None:
    async with open_desk(max_threads_per_connection=2) as desk, connected(desk) as client:
        await client.join("a")
        await client.join("b")
        with pytest.raises(RateLimited):
            await client.join("c")
        await client.chats.take(LeaveChat(chat_id="a"))
        await client.join("c")
        await desk.say("Hola", thread_id="c")
        await client.until("ai-response-end")

    assert {payload["chatId"] for _, payload in client.heard} == {"c"}
