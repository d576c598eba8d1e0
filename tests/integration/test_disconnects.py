"""A client that leaves in the middle of a stream takes nothing with it: the turn runs on, and nothing is left over."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from fastapi import FastAPI

from app.api.dialects.realtime import RealtimeDialect
from app.api.dialects.stream_chat import StreamChatDialect
from app.api.sse import EventStream, Tap
from app.main import create_app
from app.models.account import Caller
from app.models.events import TurnEnd
from tests.asgi import Call, calling
from tests.desk import Desk, make_settings, open_desk

pytestmark = pytest.mark.integration

PASSWORD = "una contraseña larga"
SESSIONS = "/api/chat/realtime/sessions"
SETTINGS = {"offline_word_delay_ms": 5}
TIMES = 10


class Here:
    """The application, and somebody who is logged in."""

    def __init__(self, desk: Desk, app: FastAPI, owner: Caller, token: str) -> None:
        self.desk, self.app, self.owner = desk, app, owner
        self.headers = {"authorization": f"Bearer {token}"}

    async def session(self) -> tuple[str, str]:
        """Return a session with a turn in it, and its first message."""
        sessions = self.desk.services.sessions
        session, turn = await sessions.begin(self.owner, "Hola")
        await self.ends(session.thread_id)
        return session.thread_id, turn.message_id

    async def ends(self, thread_id: str, turns: int = 1) -> list[TurnEnd]:
        """Return the ends of a thread's turns, once there are so many."""
        found: list[TurnEnd] = []
        async with self.desk.services.streaming.subscribe(thread_id, after_seq=0, caller=self.owner) as reader:
            while len(found) < turns:
                found += [each.event for each in await reader.read() if isinstance(each.event, TurnEnd)]
        return found


@asynccontextmanager
async def opened() -> AsyncIterator[Here]:
    async with open_desk(**SETTINGS) as desk:
        app = create_app(make_settings(**SETTINGS))
        app.state.services = desk.services
        accounts = desk.services.accounts
        account = await accounts.add("ana", PASSWORD)
        login = await accounts.log_in("ana", PASSWORD)
        yield Here(desk, app, Caller(account_id=account.account_id), login.access_token)


async def leave(here: Here, method: str, path: str, body: object) -> None:
    """Begin a stream, and leave as soon as a word of it came."""
    async with calling(here.app, method, path, body, here.headers) as call:
        while b"content" not in call.body:
            assert not call.ended.is_set(), call.body
            await anyio.lowlevel.checkpoint()
        assert not call.is_whole


@pytest.mark.parametrize("how", ["say", "regenerate", "edit", "stream_chat"])
async def test_the_turn_of_who_leaves_ends_once_is_saved_and_nothing_is_left(how: str) -> None:
    async with opened() as here:
        services = here.desk.services
        threads = [await here.session() for _ in range(TIMES)]
        await anyio.wait_all_tasks_blocked()
        tasks = len(asyncio.all_tasks())
        for thread_id, message_id in threads:
            session = f"{SESSIONS}/{thread_id}"
            match how:
                case "say":
                    await leave(here, "POST", f"{session}/stream", {"content": "Un taxi"})
                case "regenerate":
                    await leave(here, "POST", f"{session}/messages/{message_id}/regenerate", None)
                case "edit":
                    await leave(here, "PUT", f"{session}/messages/{message_id}", {"content": "Un taxi"})
                case _:
                    await leave(here, "POST", "/stream/chat", {"message": "Un taxi", "conversation_id": thread_id})
        for thread_id, _ in threads:
            ends = await here.ends(thread_id, turns=2)
            lines = await services.sessions.lines(here.owner, thread_id)

            assert [each.status for each in ends] == ["completed", "completed"]
            assert lines[-1].content == ends[-1].text
            assert not lines[-1].partial
            assert len(lines) == (4 if how in ("say", "stream_chat") else 2)
        await anyio.wait_all_tasks_blocked()
        gc.collect()
        kinds = EventStream | Tap | StreamChatDialect | RealtimeDialect | Call

        assert [each for each in gc.get_objects() if isinstance(each, kinds)] == []
        assert len(asyncio.all_tasks()) == tasks
        assert (services.connections.streams, services.streaming.active_turns) == (0, 0)
        assert services.streaming._lanes == {}
