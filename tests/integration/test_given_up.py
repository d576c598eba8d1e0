"""A turn that is given up before it begins leaves nobody waiting."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import httpx
import pytest

from app.core.errors import StoreError
from app.main import create_app
from app.stores.memory import MemoryLanes, MemoryLease
from tests.desk import make_settings, make_stores, open_desk

pytestmark = pytest.mark.integration


class LostLanes(MemoryLanes):
    """Lanes whose store is away."""

    @asynccontextmanager
    async def take(self, thread_id: str, **_asked: Any) -> AsyncIterator[MemoryLease]:
        """Fail."""
        raise StoreError
        yield


@pytest.mark.parametrize("path", ["/api/v1/chat", "/api/v1/chat/"])
async def test_where_the_store_stays_away_a_whole_answer_is_a_problem_and_no_silence(path: str) -> None:
    settings = {"turn_timeout_seconds": 0.1}
    async with open_desk(stores=replace(make_stores(), lanes=LostLanes()), **settings) as desk:
        app = create_app(make_settings(**settings))
        app.state.services = desk.services
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            with anyio.fail_after(20):
                answer = await client.post(path, json={"text": "Hola"})

        assert (answer.status_code, answer.json()["code"]) == (503, "store_failed")
        assert answer.headers["retry-after"] == "5"
        assert desk.services.streaming.active_turns == 0
