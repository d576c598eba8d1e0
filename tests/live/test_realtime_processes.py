"""A chat session on two server processes: one may begin what the other goes on with, corrects or ends."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.users import add
from app.core.config import Settings
from tests.live.server import Server, running_server

pytestmark = pytest.mark.live

PASSWORD = "una contraseña larga"
SESSIONS = "/api/chat/realtime/sessions"


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[tuple[Server, Server]]:
    """Two processes that share what they keep, and an account."""
    add(Settings(database_url=postgres_url, auto_migrate=True), "ana", PASSWORD)
    env = {"DATABASE_URL": postgres_url, "REDIS_URL": redis_url, "AUTO_MIGRATE": "true"}
    env |= {"OFFLINE_WORD_DELAY_MS": "60", "LEASE_SECONDS": "1"}
    with running_server(tmp_path / "a", **env) as a, running_server(tmp_path / "b", **env) as b:
        yield a, b


class Streamed:
    """What came of a stream so far."""

    def __init__(self) -> None:
        self.text = ""

    @property
    def frames(self) -> list[dict[str, Any]]:
        whole = self.text[: self.text.rfind("\n\n") + 1]
        return [json.loads(data) for data in re.findall(r"^data: (.+)$", whole, re.MULTILINE)]

    @property
    def last_id(self) -> str:
        found: str = re.findall(r"^id: (.+)\n\n", self.text, re.MULTILINE)[-1]
        return found


async def test_what_one_process_streams_another_goes_on_with_corrects_and_ends(pair: tuple[Server, Server]) -> None:
    credentials = {"username": "ana", "password": PASSWORD}
    token = httpx.post(f"{pair[0].url}/auth/login", json=credentials).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=pair[0].url, headers=headers, timeout=30) as a,
        httpx.AsyncClient(base_url=pair[1].url, headers=headers, timeout=30) as b,
    ):
        session = f"{SESSIONS}/{(await a.post(SESSIONS, json={})).json()['id']}"
        body = {"content": "Hola"}

        # Gone on with.
        had = Streamed()
        async with a.stream("POST", f"{session}/stream", json=body) as answer:
            async for chunk in answer.aiter_text():
                had.text += chunk
                if len(had.frames) >= 3:
                    break
        rest = Streamed()
        rest.text = (await b.post(f"{session}/stream", json=body, headers={"Last-Event-ID": had.last_id})).text
        frames = had.frames + rest.frames

        assert "".join(frame["content"] for frame in frames[1:-1]) == frames[-1]["full_content"]

        # Corrected while it runs.
        cut, edited = Streamed(), Streamed()
        async with a.stream("POST", f"{session}/stream", json={"content": "Necesito un taxi"}) as answer:
            async for chunk in answer.aiter_text():
                cut.text += chunk
                if len(cut.frames) == 2:
                    asked = (await b.get(f"{session}/messages")).json()["messages"][-1]["id"]
                    edited.text = (await b.put(f"{session}/messages/{asked}", json={"content": "Gracias"})).text
        said = [(await each.get(f"{session}/messages")).json()["messages"] for each in (a, b)]

        assert cut.frames[-1]["code"] == "interrupted"
        assert edited.frames[-1]["type"] == "done"
        assert said[0] == said[1]
        assert [line["content"] for line in said[0]] == [
            "Hola",
            frames[-1]["full_content"],
            "Gracias",
            edited.frames[-1]["full_content"],
        ]

        # Ended, since who began it is dead.
        lost = Streamed()
        with pytest.raises(httpx.TransportError):
            async with a.stream("POST", f"{session}/stream", json=body) as answer:
                async for chunk in answer.aiter_text():
                    lost.text += chunk
                    if len(lost.frames) == 3 and pair[0].is_running:
                        pair[0].kill()
        end = Streamed()
        end.text = (await b.post(f"{session}/stream", json=body, headers={"Last-Event-ID": lost.last_id})).text
        last = (await b.get(f"{session}/messages")).json()["messages"][-1]

        assert end.frames[-1]["code"] == "worker_lost"
        assert last["partial"]
        assert last["content"].startswith("".join(frame["content"] for frame in lost.frames[1:]))
