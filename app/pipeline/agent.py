"""The middle stage: a transcript becomes an answer. Knows LangGraph, not taxis."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog
from anyio import CancelScope
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph

from app.models.conversation import Message, TurnInput
from app.models.events import EventSource, SttOutput, ThreadEvent, TurnEvent
from app.pipeline.streams import Outlet

log = structlog.stdlib.get_logger("voztaxi.agent")

Emit = Callable[[ThreadEvent], Awaitable[None]]

_CANCEL_SECONDS = 10.0
"""How long a cancelled graph may take to finish what must not be cut."""
_CANCEL_TRIES = 5
_ROOM = 16
"""Events the graph may be ahead of what is delivered: enough to not switch tasks for each word."""


class GraphContext(Protocol):
    """What the stage needs of the runtime context that it hands to the graph's nodes."""

    def cut_off(self) -> dict[str, Any]:
        """Return the state update that puts the graph's memory right after a turn that was cut off."""
        ...


class AgentGraph(Protocol):
    """A compiled graph, and how a turn enters it."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    mending_node: str
    """What is put right between turns counts as this node's doing."""

    def context(self, said: TurnInput, source: EventSource, emit: Emit) -> GraphContext:
        """Return the runtime context of a turn."""
        ...

    def state(self, said: TurnInput, transcript: str) -> dict[str, Any]:
        """Return the input of a turn; its message has the turn's id."""
        ...


class AgentTurn:
    """One turn of the agent."""

    def __init__(self, agent: AgentGraph, said: TurnInput, source: EventSource) -> None:
        self._agent = agent
        self._said = said
        self._outlet: Outlet[ThreadEvent] = Outlet(_ROOM)
        self._context = agent.context(said, source, self._outlet.put)
        self._config: RunnableConfig = {"configurable": {"thread_id": said.thread_id}}

    @asynccontextmanager
    async def open(self, transcripts: AsyncIterable[TurnEvent]) -> AsyncIterator[AsyncIterable[ThreadEvent]]:
        """Open the stage over the transcripts; on leaving the block the graph has stopped.

        What the graph raises is raised where the next event would be taken. It runs in a task of asyncio's own:
        anyio cancels again and again until a scope is left, LangGraph expects to be cancelled once. It gets the time
        to end what it protects.
        """
        task = asyncio.create_task(self._work(transcripts))
        try:
            yield self._outlet
        finally:
            self._outlet.abandon()
            if not task.done():
                with CancelScope(shield=True):
                    await self._stop(task)

    def undelivered(self) -> list[ThreadEvent]:
        """Return what the graph said and nobody took, also while it was being stopped."""
        return self._outlet.abandon()

    async def reconcile(self, lines: Sequence[Message]) -> None:
        """Write into the checkpoint what the rider was really told, and nothing of a turn that was replaced.

        The graph may have saved less than was said (it was stopped inside a node) or more (a node
        was done before its words went out). Messages of this turn are brought to say what ``lines``
        says; each tool call then has its answer.
        """
        graph = self._agent.graph
        saved = await self._saved()
        start = _index_of(saved, self._said.turn_id)
        if start is None and self._said.replaces is not None:
            await self._rewind(self._said.replaces.turn_id)
            saved = await self._saved()
        changes: list[BaseMessage] = []
        if start is None:
            changes.append(HumanMessage(self._said.text, id=self._said.turn_id))
            start = len(saved)
        own = saved[start + 1 :]
        for index, line in enumerate(lines):
            message_id = own[index].id if index < len(own) else line.id
            changes.append(as_langchain(line, message_id))
        changes.extend(RemoveMessage(id=message.id) for message in own[len(lines) :] if message.id is not None)
        await graph.aupdate_state(
            self._config, {"messages": changes, **self._context.cut_off()}, as_node=self._agent.mending_node
        )

    async def _saved(self) -> list[BaseMessage]:
        """Return the messages of the newest checkpoint."""
        snapshot = await self._agent.graph.aget_state(self._config)
        return list(snapshot.values.get("messages", ()))

    async def _rewind(self, turn_id: str) -> None:
        """Make the checkpoint from before a turn the newest one again; where there is none, the memory is blank.

        Nothing is changed where the turn is not remembered. Repeating it changes nothing.
        """
        graph = self._agent.graph
        was_there = False
        # Newest first. A long conversation has dropped its first messages from its newest checkpoints.
        async for snapshot in graph.aget_state_history(self._config):
            is_there = _index_of(snapshot.values.get("messages", ()), turn_id) is not None
            if was_there and not is_there:
                await graph.aupdate_state(snapshot.config, None, as_node="__copy__")
                return
            was_there = was_there or is_there
        if was_there:
            assert isinstance(graph.checkpointer, BaseCheckpointSaver), "threads are kept between turns"
            await graph.checkpointer.adelete_thread(self._said.thread_id)

    async def _work(self, transcripts: AsyncIterable[TurnEvent]) -> None:
        try:
            async for event in transcripts:
                await self._outlet.put(event)
                if isinstance(event, SttOutput):
                    await self._answer(event.text)
        except Exception as error:
            if self._outlet.is_abandoned:
                log.warning("graph failed while it was stopped", exc_info=error)
            self._outlet.fail(error)
        except asyncio.CancelledError:
            # Whoever reads has gone, or something within the graph cancelled itself: then nobody else would say so.
            self._outlet.fail(RuntimeError("the graph was cancelled"))
            raise
        else:
            self._outlet.finish()

    async def _answer(self, transcript: str) -> None:
        """Run the graph on the memory that the turn is to have."""
        if self._said.replaces is not None:
            await self._rewind(self._said.replaces.turn_id)
        await self._agent.graph.ainvoke(
            self._agent.state(self._said, transcript),
            self._config,
            context=self._context,
            durability="exit",
            stream_mode="updates",
        )

    async def _stop(self, task: asyncio.Task[None]) -> None:
        """Cancel the graph, and wait until it has ended."""
        # asyncio.wait_for on Python 3.11 can swallow a cancellation: it is repeated, unhurriedly.
        for _ in range(_CANCEL_TRIES):
            task.cancel()
            if (await asyncio.wait([task], timeout=_CANCEL_SECONDS / _CANCEL_TRIES))[0]:
                return
        log.error("graph did not stop", thread_id=self._said.thread_id, turn_id=self._said.turn_id)


def _index_of(messages: Sequence[BaseMessage], message_id: str) -> int | None:
    return next((index for index, message in enumerate(messages) if message.id == message_id), None)


def as_langchain(line: Message, message_id: str | None) -> BaseMessage:
    """Return a stored line as the message that a chat model is given."""
    if line.role == "user":
        return HumanMessage(line.content, id=message_id)
    if line.role == "tool":
        return ToolMessage(line.content, tool_call_id=line.tool_call_id or "", id=message_id)
    calls = [
        {"type": "tool_call", "id": call["toolCallId"], "name": call["name"], "args": call["args"]}
        for call in line.tool_calls or ()
    ]
    return AIMessage(line.content, tool_calls=calls, name=line.agent, id=message_id)
