"""The claim: one terminal event per turn, last, after the save; numbers without gaps; nothing orphaned.

Held against random schedules of model faults, store faults, hangs, cancels, pauses and disconnects,
over the real service, runner, pipeline and graph.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage

from app.core.clock import new_id, now_ms
from app.core.errors import RateLimited, TurnInProgress
from app.models.events import AgentChunk, AgentEnd, Record, ToolCall, ToolResult, TurnEnd, TurnEvent, TurnStart
from app.models.inputs import MultitaskStrategy
from app.taxi.history import call_ids, model_history
from tests.desk import Desk, make_stores, offline_model, open_desk
from tests.fakes import FaultKind, Faults, FaultyBookings, FaultyConversations, FaultyModel, ModelFault, WatchedLog

pytestmark = pytest.mark.integration

LINES = (
    "Hola",
    "Necesito un taxi",
    "Hola, necesito un taxi a la Calle 72 #43-25 en El Prado",
    "en efectivo",
    "No",
    "Sí, confirmo",
    "no, mejor con nequi",
    "cancela el taxi",
)


@dataclass(frozen=True)
class Step:
    """One thing that happens: what, and after how many turns of the event loop."""

    what: str
    pause: int
    text: str = ""
    strategy: MultitaskStrategy = "interrupt"


steps = st.builds(
    Step,
    what=st.sampled_from(["say", "say", "say", "cancel", "pause", "resume", "drop", "listen"]),
    pause=st.integers(0, 60),
    text=st.sampled_from(LINES),
    strategy=st.sampled_from(["interrupt", "enqueue", "reject"]),
)
store_faults = st.dictionaries(st.integers(0, 6), st.sampled_from(["raise", "hang"]), max_size=2)
model_faults = st.dictionaries(st.integers(0, 60), st.sampled_from(["raise", "hang", "stop"]), max_size=2)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=1, max_size=8), store_faults, store_faults, store_faults, model_faults)
def test_every_turn_has_one_terminal_event_last_and_after_the_save(
    schedule: list[Step],
    conversation_faults: dict[int, FaultKind],
    log_faults: dict[int, FaultKind],
    booking_faults: dict[int, FaultKind],
    faults: dict[int, ModelFault],
) -> None:
    anyio.run(_run, schedule, conversation_faults, log_faults, booking_faults, faults)


async def _run(
    schedule: list[Step],
    conversation_faults: dict[int, FaultKind],
    log_faults: dict[int, FaultKind],
    booking_faults: dict[int, FaultKind],
    faults: dict[int, ModelFault],
) -> None:
    conversations = FaultyConversations(Faults(conversation_faults))
    log = WatchedLog(
        conversations, Faults(log_faults), new_id=new_id, now_ms=now_ms, max_events=100_000, max_age_ms=10**9
    )
    clerk = offline_model()
    stores = make_stores(conversations=conversations, event_log=log, bookings=FaultyBookings(Faults(booking_faults)))
    model = FaultyModel(function=clerk.function, faults=faults)  # type: ignore[attr-defined]
    submitted: list[str] = []
    async with open_desk(
        model=model,
        stores=stores,
        store_timeout_seconds=0.02,
        turn_timeout_seconds=0.1,
        turn_grace_seconds=0.02,
        pause_limit_seconds=0.03,
    ) as desk:
        await _play(desk, schedule, submitted)
        await desk.services.streaming.drain(1)
        records = await desk.log()
        history = await desk_history(desk)

    _check(records, submitted)
    assert not log.unsaved, "completed before it was saved"
    assert not _orphans(history)


async def _play(desk: Desk, schedule: list[Step], submitted: list[str]) -> None:
    streaming = desk.services.streaming
    async with anyio.create_task_group() as tasks:
        listeners: list[anyio.CancelScope] = []

        async def listen() -> None:
            with anyio.CancelScope() as scope:
                listeners.append(scope)
                async with streaming.subscribe("t") as reader:
                    while True:
                        await reader.read()

        for step in schedule:
            for _ in range(step.pause):
                await anyio.lowlevel.checkpoint()
            match step.what:
                case "say":
                    try:
                        submitted.append(await streaming.submit(step.text, thread_id="t", strategy=step.strategy))
                    except (TurnInProgress, RateLimited):
                        continue
                case "cancel":
                    await streaming.cancel("t")
                case "pause":
                    await streaming.pause("t")
                case "resume":
                    await streaming.resume("t")
                case "listen":
                    tasks.start_soon(listen)
                case "drop" if listeners:
                    listeners.pop().cancel()
        await streaming.drain(0.3)
        tasks.cancel_scope.cancel()


def _check(records: Sequence[Record], submitted: list[str]) -> None:
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    turns: dict[str, list[TurnEvent]] = defaultdict(list)
    for record in records:
        if isinstance(record.event, TurnEvent):
            turns[record.event.turn_id].append(record.event)
    assert set(turns) == set(submitted)
    for events in turns.values():
        ends = [event for event in events if isinstance(event, TurnEnd)]
        assert len(ends) == 1
        assert events[-1] is ends[0]
        assert len([event for event in events if isinstance(event, TurnStart)]) == 1
        assert ends[0].text == "".join(event.text for event in events if isinstance(event, AgentChunk))
        if ends[0].status == "completed":
            assert ends[0].text, "the rider was met with silence"
        called = [event.tool_call_id for event in events if isinstance(event, ToolCall)]
        answered = [event.tool_call_id for event in events if isinstance(event, ToolResult)]
        assert sorted(called) == sorted(answered)
        assert len(set(called)) == len(called)
        finished = [event.agent for event in events if isinstance(event, AgentEnd)]
        acted = {event.agent for event in events if isinstance(event, AgentChunk | ToolCall)}
        assert sorted(finished) == sorted(acted)


async def desk_history(desk: Desk) -> list[object]:
    """Return what a model would be given next."""
    saved = await desk.stores.checkpointer.aget_tuple({"configurable": {"thread_id": "t", "checkpoint_ns": ""}})
    messages = saved.checkpoint["channel_values"].get("messages", []) if saved else []
    return list(model_history(messages, 60))


def _orphans(messages: Sequence[object]) -> list[object]:
    called = [call_id for message in messages if isinstance(message, AIMessage) for call_id in call_ids(message)]
    answered = [message.tool_call_id for message in messages if isinstance(message, ToolMessage)]
    return [] if called == answered else [called, answered]
