"""The stage around the graph: what it raises is told, and it is stopped once, with time to end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from app.models.conversation import TurnInput
from app.models.events import AgentChunk, EventSource, SttOutput, ThreadEvent, TurnEvent
from app.pipeline.agent import AgentTurn, Emit

pytestmark = pytest.mark.unit

SOURCE = EventSource("t", "u", lambda: 1)
SAID = TurnInput(thread_id="t", turn_id="u", text="Hola", received_at=1)


class Graph:
    """A graph that does what a test says, and the agent around it."""

    mending_node = "agent"

    def __init__(self, work: Callable[[Emit], Awaitable[None]]) -> None:
        self.graph: Any = self
        self._work = work

    def context(self, said: TurnInput, source: EventSource, emit: Emit) -> Any:
        return emit

    def state(self, said: TurnInput, transcript: str) -> dict[str, Any]:
        return {}

    async def ainvoke(self, *_given: Any, context: Emit, **_named: Any) -> None:
        await self._work(context)


async def heard() -> AsyncIterator[TurnEvent]:
    yield SOURCE.make(SttOutput, text="Hola")


def word(text: str) -> AgentChunk:
    return SOURCE.make(AgentChunk, text=text, agent="NAVEGANTE")


@pytest.mark.parametrize("failure", [ValueError("broken"), asyncio.CancelledError()])
async def test_a_graph_that_fails_or_cancels_itself_is_told_and_nothing_it_said_is_lost(failure: BaseException) -> None:
    async def work(emit: Emit) -> None:
        await emit(word("uno"))
        raise failure

    turn = AgentTurn(Graph(work), SAID, SOURCE)
    taken: list[ThreadEvent] = []
    async with turn.open(heard()) as events:
        with pytest.raises(Exception, match=r"broken|cancelled"):
            async for event in events:
                taken.append(event)  # noqa: PERF401 - it raises in the middle

    told = [*taken, *turn.undelivered()]
    assert [type(each) for each in told] == [SttOutput, AgentChunk]


async def test_who_leaves_stops_the_graph_once_and_waits_for_what_it_protects() -> None:
    cancelled, ended = [], []

    async def work(emit: Emit) -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            cancelled.append(1)
            for _ in range(5):
                await asyncio.sleep(0)
            await emit(word("fin"))
            ended.append(1)
            raise

    turn = AgentTurn(Graph(work), SAID, SOURCE)
    with anyio.CancelScope() as scope:
        async with turn.open(heard()) as events:
            async for _ in events:
                await anyio.wait_all_tasks_blocked()
                scope.cancel()

    assert scope.cancelled_caught
    assert (cancelled, ended) == ([1], [1])
    assert [type(each) for each in turn.undelivered()] == [AgentChunk]
