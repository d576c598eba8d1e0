"""Collects what is left after the storm: the log over HTTP, the rows of the database, the agents' memory, Redis."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import httpx
import redis.asyncio
from langchain_core.messages import AIMessage, ToolMessage
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.bootstrap import open_checkpointer
from app.chaos.audit import StoredTurn, ThreadEvidence
from app.chaos.fleet import Fleet
from app.core.config import Settings

_AT_ONCE = 8
_READ_SECONDS = 60.0


async def settle(settings: Settings, fleet: Fleet, *, timeout: float) -> bool:
    """Wait until the fleet has told everything, no turn is open and the outbox is empty.

    Returns:
        Whether no turn is open and the outbox is empty; a fleet may give up telling.
    """
    with anyio.move_on_after(timeout / 2):
        while not await fleet.has_told():  # noqa: ASYNC110 - another process is asked
            await anyio.sleep(0.25)
    engine = create_async_engine(settings.database_url)
    try:
        with anyio.move_on_after(timeout / 2):
            while True:
                try:
                    async with engine.connect() as connection:
                        waiting = await connection.scalar(text("SELECT count(*) FROM turns WHERE NOT closed"))
                        waiting += await connection.scalar(text("SELECT count(*) FROM outbox WHERE state = 'pending'"))
                    if not waiting:
                        return True
                except (OSError, DBAPIError):  # its connections may just have been cut
                    pass
                await anyio.sleep(0.25)
        return False
    finally:
        await engine.dispose()


async def collect(evidence: Sequence[ThreadEvidence], settings: Settings, urls: Sequence[str], fleet: Fleet) -> None:
    """Fill in what the server and its stores have of each thread.

    Args:
        evidence: One for each rider.
        settings: Those of the servers.
        urls: The servers; each is asked for some of the threads.
        fleet: Their fleet.
    """
    engine = create_async_engine(settings.database_url)
    try:
        turns, bookings = await _stored_turns(engine), await _stored_bookings(engine)
    finally:
        await engine.dispose()
    taxis = await _taxis(fleet)
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    async with (
        httpx.AsyncClient(timeout=_READ_SECONDS, trust_env=False) as http,
        open_checkpointer(settings) as checkpointer,
        anyio.create_task_group() as tasks,
    ):

        async def fill(each: ThreadEvidence, url: str) -> None:
            async with limiter:
                thread_id = each.rider.thread_id
                answer = await http.get(f"{url}/api/v1/threads/{thread_id}")
                if answer.status_code == 200:
                    thread = answer.json()
                    each.messages = thread["messages"]
                    each.log = await _read_log(http, url, thread_id, thread["last_seq"])
                each.turns, each.bookings = turns[thread_id], bookings[thread_id]
                each.taxis_sent = sum(taxis.get(booking["booking_id"], 0) for booking in each.bookings)
                found = await checkpointer.aget_tuple({"configurable": {"thread_id": thread_id}})
                each.unanswered_calls = _unanswered(found.checkpoint["channel_values"] if found else {})

        for number, each in enumerate(evidence):
            tasks.start_soon(fill, each, urls[number % len(urls)])


async def lanes_held(settings: Settings) -> list[str]:
    """Return the keys in Redis that say that somebody runs a thread."""
    if settings.redis_url is None:
        return []
    client = redis.asyncio.Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True)
    try:
        return [key async for key in client.scan_iter("voztaxi:*:lane", count=1000)]
    finally:
        await client.aclose()


async def _read_log(http: httpx.AsyncClient, url: str, thread_id: str, last_seq: int) -> list[str]:
    """Read the whole log of a thread as anybody can."""
    frames: list[str] = []
    if not last_seq:
        return frames
    with anyio.fail_after(_READ_SECONDS):
        async with http.stream("GET", f"{url}/api/v1/threads/{thread_id}/events", params={"after": "0"}) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    frame = line.removeprefix("data: ")
                    read = json.loads(frame)
                    if "seq" in read:
                        frames.append(frame)
                    if read.get("seq", 0) >= last_seq or read["type"] == "replay_start":
                        return frames
    return frames


async def _stored_turns(engine: AsyncEngine) -> Mapping[str, list[StoredTurn]]:
    found: dict[str, list[StoredTurn]] = defaultdict(list)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT thread_id, turn_id, status, closed FROM turns"))
        for thread_id, turn_id, status, closed in rows:
            found[thread_id].append(StoredTurn(turn_id, status, bool(closed)))
    return found


async def _stored_bookings(engine: AsyncEngine) -> Mapping[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT thread_id, booking_id, document FROM bookings ORDER BY number"))
        for thread_id, booking_id, document in rows:
            found[thread_id].append({**json.loads(document), "booking_id": booking_id})
    return found


async def _taxis(fleet: Fleet) -> Mapping[str, int]:
    sent: dict[str, int] = defaultdict(int)
    for dispatch in await fleet.dispatches():
        sent[dispatch["booking_id"]] += dispatch["taxis"]
    return sent


def _unanswered(state: Mapping[str, Any]) -> list[str]:
    messages = state.get("messages", [])
    answered = {each.tool_call_id for each in messages if isinstance(each, ToolMessage)}
    called = [call["id"] for each in messages if isinstance(each, AIMessage) for call in each.tool_calls]
    return [str(call_id) for call_id in called if call_id not in answered]
