"""Whose a thread is, when that changes or cannot be known while somebody listens."""

import pytest

from app.core.errors import ForbiddenThread, StoreError
from app.models.account import Caller
from app.models.conversation import Conversation
from app.models.events import TurnEnd
from app.services.streaming_service import Subscription
from app.stores.memory import MemoryConversationStore
from tests.desk import Desk, make_stores, open_desk

pytestmark = pytest.mark.integration

ANA, LUIS = Caller(account_id="ana"), Caller(account_id="luis")


class Unreachable(MemoryConversationStore):
    """Conversations that cannot be looked up so many times."""

    failures = 0

    async def get(self, thread_id: str) -> Conversation | None:
        if self.failures:
            self.failures -= 1
            raise StoreError
        return await super().get(thread_id)


async def until_the_end(reader: Subscription) -> TurnEnd:
    while True:
        for record in await reader.read():
            if isinstance(record.event, TurnEnd):
                return record.event


async def talk(desk: Desk, caller: Caller) -> None:
    async with desk.services.streaming.subscribe("t", caller=caller) as reader:
        await desk.services.streaming.submit("Hola", thread_id="t", caller=caller)
        await until_the_end(reader)


async def test_a_reader_waits_while_nobody_can_say_whose_its_thread_is() -> None:
    conversations = Unreachable()
    async with (
        open_desk(stores=make_stores(conversations=conversations)) as desk,
        desk.services.streaming.subscribe("t", caller=ANA) as reader,
    ):
        conversations.failures = 1
        await desk.services.streaming.submit("Hola", thread_id="t", caller=ANA, subscription=reader)
        assert (await until_the_end(reader)).status == "completed"
        assert conversations.failures == 0


async def test_who_was_slower_to_open_a_thread_neither_reads_nor_speaks_there() -> None:
    async with (
        open_desk() as desk,
        desk.services.streaming.subscribe("t", caller=LUIS) as slower,
    ):
        await talk(desk, ANA)
        await desk.services.streaming.submit("No debo estar aquí", thread_id="t", caller=LUIS, subscription=slower)
        with pytest.raises(ForbiddenThread):
            await slower.read()
        await desk.services.streaming.drain(5)
        assert "No debo" not in str(await desk.log())
        assert "No debo" not in str(await desk.stores.conversations.messages("t"))


@pytest.mark.parametrize("is_named", [False, True])
async def test_who_had_a_thread_before_it_was_forgotten_does_not_speak_to_who_has_it_now(is_named: bool) -> None:
    async with open_desk() as desk:
        streaming = desk.services.streaming
        await talk(desk, ANA)
        async with streaming.subscribe("t", caller=ANA) as before:
            await streaming.forget("t", caller=ANA)
            await talk(desk, LUIS)
            await streaming.submit(
                "No debo estar aquí",
                thread_id="t",
                caller=ANA,
                subscription=before,
                message_id="m" if is_named else None,
            )
            await streaming.drain(5)
        assert "No debo" not in str(await desk.log())
        assert "No debo" not in str(await desk.stores.conversations.messages("t"))
    assert not await desk.stores.conversations.unclosed_turns()
