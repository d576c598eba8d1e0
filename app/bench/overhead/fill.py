"""Fills the log of events, through the stores of the server that opens them next.

``python -m app.bench.overhead.fill FIRST EVENTS`` runs with the environment and in the folder of a server that is
stopped. Turns would take hours to log a million events; what is written is the same.
"""

import sys
from collections.abc import Iterator

import anyio
import uvloop

from app.bootstrap.stores import Stores, open_stores
from app.core.clock import new_id, now_ms
from app.core.config import Settings
from app.models.events import AgentChunk

_EVENTS_OF_CONVERSATION = 1_000
_EVENTS_OF_TURN = 10
_AT_A_TIME = 20
"""Conversations that are written together."""


async def fill(stores: Stores, first: int, count: int) -> None:
    """Log events of conversations, and return when they are stored.

    Args:
        stores: Open.
        first: Number of the first conversation: those of one filling are not those of another.
        count: How many events.
    """
    sizes = [min(_EVENTS_OF_CONVERSATION, count - at) for at in range(0, count, _EVENTS_OF_CONVERSATION)]
    conversations = enumerate(sizes, first)

    async def work() -> None:
        for number, size in conversations:
            await _converse(stores, f"filled-{number}", size)

    async with anyio.create_task_group() as group:
        for _ in range(_AT_A_TIME):
            group.start_soon(work)


async def _converse(stores: Stores, thread_id: str, size: int) -> None:
    stores.event_log.begin(thread_id)
    async with stores.lanes.take(thread_id):
        for said in _turns(thread_id, size):
            await stores.event_log.append(thread_id, said)
        while stores.event_log.backlog:  # noqa: ASYNC110 - a log does not tell when it has written
            await anyio.sleep(0.005)


def _turns(thread_id: str, size: int) -> Iterator[list[AgentChunk]]:
    for start in range(0, size, _EVENTS_OF_TURN):
        yield [
            AgentChunk(
                ts=now_ms(),
                thread_id=thread_id,
                turn_id=f"{thread_id}-{start}",
                text=f" palabra {number}",
                agent="RECEPCIONISTA",
            )
            for number in range(start, min(start + _EVENTS_OF_TURN, size))
        ]


async def _main(first: int, count: int) -> None:
    async with open_stores(Settings(), now_ms=now_ms, new_id=new_id) as stores:
        await fill(stores, first, count)


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), int(sys.argv[2])))
