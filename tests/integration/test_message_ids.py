"""A message that is sent again under its own name."""

import asyncio

import pytest

from app.core.errors import DuplicateMessage
from app.models.conversation import Conversation, Message, TurnRecord
from app.models.events import AgentChunk, TurnEnd, TurnStart
from app.stores.base import CommandHandler
from app.stores.memory import MemoryConversationStore, MemoryLanes
from tests.desk import Desk, make_stores, open_desk
from tests.fakes import FaultKind, Faults, FaultyConversations
from tests.integration.test_health import client

pytestmark = pytest.mark.integration


async def turns(desk: Desk, thread_id: str = "t") -> list[str]:
    return [record.event.turn_id for record in await desk.log(thread_id) if isinstance(record.event, TurnStart)]


async def test_sent_many_times_at_once_it_runs_once() -> None:
    async with open_desk() as desk:
        streaming = desk.services.streaming
        async with streaming.subscribe("t") as reader:
            sent = (streaming.submit("Hola", thread_id="t", message_id="m") for _ in range(20))
            answers = await asyncio.gather(*sent, return_exceptions=True)
            [turn_id] = [answer for answer in answers if isinstance(answer, str)]
            assert {answer.turn_id for answer in answers if isinstance(answer, DuplicateMessage)} == {turn_id}
            while not any(isinstance(record.event, TurnEnd) for record in await reader.read()):
                pass
        assert await turns(desk) == [turn_id]


async def test_sent_again_after_its_turn_it_neither_runs_nor_interrupts() -> None:
    async with open_desk() as desk:
        first = await desk.say("Hola", message_id="m")
        with pytest.raises(DuplicateMessage) as known:
            await desk.services.streaming.submit("Hola", thread_id="t", message_id="m")
        assert known.value.turn_id == first.end.turn_id
        assert len(await turns(desk)) == 1


async def test_one_name_in_two_threads_is_two_messages() -> None:
    async with open_desk() as desk:
        one = await desk.say("Hola", thread_id="one", message_id="m")
        two = await desk.say("Hola", thread_id="two", message_id="m")
        assert one.end.turn_id != two.end.turn_id


@pytest.mark.parametrize(("is_the_same", "status"), [(True, "completed"), (False, "interrupted")])
async def test_another_process_that_has_the_same_message_does_not_interrupt_its_turn(
    is_the_same: bool, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, CommandHandler] = {}
    monkeypatch.setattr(MemoryLanes, "on_command", lambda lanes, handler, kind="": told.update({kind: handler}))

    async with open_desk(offline_word_delay_ms=5) as desk:
        streaming = desk.services.streaming
        async with streaming.subscribe("t") as reader:
            turn_id = await streaming.submit("Hola", thread_id="t", message_id="m")
            events: list[object] = []
            while not any(isinstance(event, AgentChunk) for event in events):
                events += [record.event for record in await reader.read()]
            told[""]("t", "cancel", turn_id if is_the_same else "of another message")
            while not any(isinstance(event, TurnEnd) for event in events):
                events += [record.event for record in await reader.read()]

    assert [event.status for event in events if isinstance(event, TurnEnd)] == [status]


async def test_a_turn_that_waits_for_this_process_itself_does_not_interrupt_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, tuple[MemoryLanes, CommandHandler]] = {}
    monkeypatch.setattr(
        MemoryLanes, "on_command", lambda lanes, handler, kind="": told.update({kind: (lanes, handler)})
    )

    async with open_desk() as desk:
        streaming = desk.services.streaming
        lanes, tell = told[""]
        async with streaming.subscribe("t") as reader:
            async with lanes.take_free("t"):  # as it does to close a turn of a dead process
                turn_id = await streaming.submit("Hola", thread_id="t")
                tell("t", "cancel", turn_id)
            events: list[object] = []
            while not any(isinstance(event, TurnEnd) for event in events):
                events += [record.event for record in await reader.read()]

    assert [event.status for event in events if isinstance(event, TurnEnd)] == ["completed"]


@pytest.mark.parametrize("fault", ["raise", "hang"])
async def test_a_named_message_whose_turn_cannot_be_begun_waits_for_the_store_and_runs_once(fault: FaultKind) -> None:
    stores = make_stores(conversations=FaultyConversations(Faults({0: fault})))
    async with open_desk(stores=stores, store_timeout_seconds=0.2) as desk:
        said = await desk.say("Hola", message_id="m")
        assert said.end.status == "completed"
        assert await turns(desk) == [said.end.turn_id]


async def test_a_named_message_is_written_once() -> None:
    class Counting(MemoryConversationStore):
        begun = 0

        async def begin_turn(self, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
            Counting.begun += 1
            return await super().begin_turn(turn, message, conversation)

    async with open_desk(stores=make_stores(conversations=Counting())) as desk:
        assert (await desk.say("Hola", message_id="m")).end.status == "completed"
    assert Counting.begun == 1


def test_sent_again_by_http_when_the_log_has_forgotten_its_turn_it_is_known_and_nobody_waits() -> None:
    stores = make_stores()
    said = {"text": "Hola", "thread_id": "t", "message_id": "m"}
    with client(stores) as http:
        first = http.post("/api/v1/chat", json=said)
        again = http.post("/api/v1/chat", json=said)
        http.portal.call(stores.event_log.forget, "t")  # type: ignore[union-attr]
        lost = http.post("/api/v1/chat", json=said)

    assert (first.status_code, again.json()) == (200, first.json())
    assert (lost.status_code, lost.json()["code"]) == (409, "duplicate_message")
