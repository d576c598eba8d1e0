"""Turns that a dead process left behind get their one terminal event at the next start."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from app.core.clock import new_id, now_ms
from app.core.errors import StoreError
from app.models.conversation import TurnInput
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    EventSource,
    Position,
    SttOutput,
    ToolCall,
    ToolResult,
    TurnEnd,
    TurnEvent,
    TurnStart,
)
from app.stores.base import LogReader
from app.turns.turn import Turn
from tests.desk import make_stores, open_desk
from tests.fakes import Faults, FaultyConversations, WatchedLog

pytestmark = pytest.mark.integration

SAID = TurnInput(thread_id="t", turn_id="dead", text="Necesito un taxi", received_at=1)
SOURCE = EventSource("t", "dead", lambda: 2)
EVENTS: list[TurnEvent] = [
    SOURCE.make(SttOutput, text=SAID.text),
    SOURCE.make(TurnStart, epoch="e"),
    SOURCE.make(ToolCall, tool_call_id="c", name="TransferToNavegante", args={}, agent="RECEPCIONISTA"),
    SOURCE.make(ToolResult, tool_call_id="c", name="TransferToNavegante", result="Transfer successful"),
    SOURCE.make(AgentChunk, text="¡Claro!", agent="NAVEGANTE"),
    SOURCE.make(AgentEnd, agent="RECEPCIONISTA"),
    SOURCE.make(AgentEnd, agent="NAVEGANTE"),
]


@pytest.mark.parametrize("logged", range(len(EVENTS) + 1))
async def test_a_turn_that_was_cut_anywhere_is_taken_up_where_its_log_stops(logged: int) -> None:
    stores = make_stores()
    story = Turn(SAID)
    await stores.conversations.begin_turn(story.record(), story.user_message(), story.conversation())
    await stores.event_log.append("t", EVENTS[:logged])

    async with open_desk(stores=stores) as desk:
        records = await desk.log()
        after = await desk.say("Hola")
        messages = await stores.conversations.messages("t")
    events = [record.event for record in records]

    assert events[:logged] == EVENTS[:logged]
    assert isinstance(events[-2], AgentError)
    assert events[-2].code == "worker_lost"
    end = events[-1]
    assert isinstance(end, TurnEnd)
    assert end.status == "failed"
    assert [event.type for event in events].count("turn_start") == 1
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert len(calls) == len([event for event in events if isinstance(event, ToolResult)])
    assert messages[0].content == SAID.text
    assert after.end.status == "completed"
    assert not await stores.conversations.unclosed_turns()


@pytest.mark.parametrize("ended", [False, True])
async def test_a_turn_that_was_saved_ends_as_it_was_saved_and_only_once(ended: bool) -> None:
    stores = make_stores()
    story = Turn(SAID)
    await stores.conversations.begin_turn(story.record(), story.user_message(), story.conversation())
    for event in EVENTS:
        story.observe(event)
    await stores.event_log.append("t", EVENTS)
    await stores.conversations.end_turn("dead", "completed", 3, story.messages("completed"))
    if ended:
        await stores.event_log.append("t", [SOURCE.make(TurnEnd, status="completed", text="¡Claro!")])

    for _ in range(2):
        async with open_desk(stores=stores) as desk:
            events = [record.event for record in await desk.log()]

        ends = [event for event in events if isinstance(event, TurnEnd)]
        assert [(end.status, end.text) for end in ends] == [("completed", "¡Claro!")]
        assert events[-1] is ends[0]


@pytest.mark.parametrize("fails", ["the save", "the log"])
async def test_a_turn_that_was_told_to_have_failed_is_saved_and_closed_later_without_a_second_end(fails: str) -> None:
    conversations = FaultyConversations(Faults({1: "raise"} if fails == "the save" else {}))
    limits = {"new_id": new_id, "now_ms": now_ms, "max_events": 1000, "max_age_ms": 3_600_000}
    log = WatchedLog(conversations, Faults({0: "raise"} if fails == "the log" else {}), **limits)
    stores = make_stores(conversations=conversations, event_log=log)
    async with open_desk(stores=stores) as desk:
        failed = await desk.say("Hola")
        [unclosed] = await conversations.unclosed_turns()
        after = await desk.say("Hola")
        ends = [record.event for record in await desk.log() if isinstance(record.event, TurnEnd)]
        stored = await conversations.turn(failed.end.turn_id)

    assert failed.end.status == "failed"
    assert unclosed.turn_id == failed.end.turn_id
    assert [end.status for end in ends] == ["failed", after.end.status]
    assert after.end.status == "completed"
    assert stored is not None
    assert stored.status == ("failed" if fails == "the save" else "completed")
    assert not await conversations.unclosed_turns()


async def test_a_thread_whose_log_cannot_be_read_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores = make_stores()
    for name in ("broken", "sound"):
        story = Turn(TurnInput(thread_id=name, turn_id=f"dead-{name}", text="Hola", received_at=1))
        await stores.conversations.begin_turn(story.record(), story.user_message(), story.conversation())
    as_it_is = stores.event_log.open

    def read(thread_id: str, **options: Any) -> AbstractAsyncContextManager[LogReader]:
        if thread_id == "broken":
            raise StoreError
        return as_it_is(thread_id, **options)

    monkeypatch.setattr(stores.event_log, "open", read)
    async with open_desk(stores=stores):
        pass

    assert [each.thread_id for each in await stores.conversations.unclosed_turns()] == ["broken"]


async def test_a_turn_that_ended_just_now_is_left_to_who_is_closing_it() -> None:
    async with open_desk() as desk:
        conversations, now = desk.stores.conversations, now_ms()
        for name, ended_at in (("just now", now), ("long ago", now - 60_000)):
            story = Turn(TurnInput(thread_id=name, turn_id=f"dead-{name}", text="Hola", received_at=1))
            await conversations.begin_turn(story.record(), story.user_message(), story.conversation())
            await conversations.end_turn(f"dead-{name}", "completed", ended_at, [])

        assert await desk.services.streaming._runner.unfinished() == ["long ago"]


async def test_a_turn_whose_start_cannot_be_said_has_its_end_later_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores = make_stores()
    as_it_is, asked = stores.event_log.position, 0

    async def position(thread_id: str) -> Position:
        nonlocal asked
        asked += 1
        if asked <= 3:
            raise StoreError
        return await as_it_is(thread_id)

    monkeypatch.setattr(stores.event_log, "position", position)
    async with open_desk(stores=stores, lease_seconds=1) as desk:
        said = await desk.say("Hola")
        await desk.say("Hola")

    assert [event.type for event in said.events] == ["stt_chunk", "stt_output", "turn_start", "agent_error", "turn_end"]
    assert said.end.status == "failed"
    assert not await stores.conversations.unclosed_turns()
