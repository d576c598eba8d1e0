"""What is cut from a session is cut for its readers and for the model alike; a taxi that was sent stays sent."""

import anyio
import pytest
from langchain_core.messages import BaseMessage, SystemMessage

from app.core.errors import BadInput, Conflict, NotFound, TextTooLong
from app.engines.llm.function_model import FunctionChatModel, Reply
from app.models.account import Caller
from app.models.conversation import Replaced, TurnInput
from app.models.events import TurnEnd
from app.services.sessions import HISTORY_LINES, Submitted
from app.turns.turn import Turn
from tests.desk import Desk, make_stores, open_desk
from tests.fakes import FaultyBookings, FaultyModel

pytestmark = pytest.mark.integration

BOOKING = ["Necesito un taxi en la Calle 72 #43-25, El Prado", "efectivo", "No, nada más", "Sí, confirmo"]


class Listener:
    """A model that remembers what it is given, and answers with a number."""

    def __init__(self) -> None:
        self.heard: list[list[str]] = []
        self.model = FunctionChatModel(function=self._reply)

    def _reply(self, messages: list[BaseMessage], _tools: object) -> Reply:
        self.heard.append([message.text for message in messages if not isinstance(message, SystemMessage)])
        return Reply(f"respuesta {len(self.heard)}")


class Ana:
    """Somebody with a session."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.sessions = desk.services.sessions
        self.id = ""

    async def opens(self) -> None:
        self.id = (await self.sessions.create(_caller("ana"), "Título")).thread_id

    async def ends(self, turn: Submitted) -> TurnEnd:
        async with self.desk.services.streaming.subscribe(
            self.id, after_seq=turn.after_seq, caller=_caller("ana")
        ) as reader:
            while True:
                for record in await reader.read():
                    if isinstance(record.event, TurnEnd) and record.event.turn_id == turn.turn_id:
                        return record.event

    async def says(self, *texts: str) -> None:
        for text in texts:
            assert (await self.ends(await self.sessions.say(_caller("ana"), self.id, text))).status == "completed"

    async def runs_again(self, message_id: str, content: str | None = None) -> None:
        turn = await self.sessions.run_again(_caller("ana"), self.id, message_id, content)
        assert (await self.ends(turn)).status == "completed"

    async def lines(self) -> list[str]:
        return [line.content for line in await self.sessions.lines(_caller("ana"), self.id)]

    async def message_id(self, number: int) -> str:
        return (await self.sessions.lines(_caller("ana"), self.id))[number].id


async def test_the_model_sees_the_last_ten_messages() -> None:
    listener = Listener()
    async with open_desk(model=listener.model) as desk:
        ana = Ana(desk)
        await ana.opens()
        await ana.says(*(f"dice {number}" for number in range(1, 9)))
        lines = await ana.lines()

    assert HISTORY_LINES == 10
    assert listener.heard[0] == ["dice 1"]
    assert listener.heard[-1] == lines[-11:-1]
    assert len(listener.heard[-1]) == 10
    assert [len(heard) for heard in listener.heard] == [1, 3, 5, 7, 9, 10, 10, 10]


async def test_on_another_transport_the_same_conversation_has_the_memory_of_that_one() -> None:
    listener = Listener()
    async with open_desk(model=listener.model) as desk:
        ana = Ana(desk)
        await ana.opens()
        await ana.says(*(f"dice {number}" for number in range(1, 9)))
        turn_id = await desk.services.streaming.submit("por aquí", thread_id=ana.id, caller=_caller("ana"))
        await ana.ends(Submitted(turn_id, turn_id, 0))

    assert len(listener.heard[-1]) == 17


async def test_an_answer_that_is_made_again_takes_the_place_of_the_old_one() -> None:
    listener = Listener()
    async with open_desk(model=listener.model) as desk:
        ana = Ana(desk)
        await ana.opens()
        await ana.says("uno", "dos")
        asked = await ana.message_id(2)
        await ana.runs_again(await ana.message_id(3))
        lines = await ana.lines()
        again = await ana.message_id(2)
        await ana.says("tres")

    assert lines == ["uno", "respuesta 1", "dos", "respuesta 3"]
    assert again == asked
    assert listener.heard[2] == listener.heard[1] == ["uno", "respuesta 1", "dos"]
    assert listener.heard[3] == ["uno", "respuesta 1", "dos", "respuesta 3", "tres"]


@pytest.mark.parametrize("number", range(4))
async def test_a_message_that_is_put_otherwise_cuts_all_that_came_after_it(number: int) -> None:
    listener = Listener()
    async with open_desk(model=listener.model) as desk:
        ana = Ana(desk)
        await ana.opens()
        await ana.says("uno", "dos", "tres", "cuatro")
        before = await ana.lines()
        message_id = await ana.message_id(2 * number)
        for content in ("otra cosa", "y otra"):
            await ana.runs_again(message_id, content)
        after = await ana.lines()
        await ana.says("sigue")

    kept = before[: 2 * number]
    assert after == [*kept, "y otra", "respuesta 6"]
    assert listener.heard[4] == [*kept, "otra cosa"][-10:]
    assert listener.heard[5] == [*kept, "y otra"][-10:]
    assert listener.heard[6] == [*after, "sigue"][-10:]


async def test_a_message_that_has_left_the_models_memory_is_cut_all_the_same() -> None:
    listener = Listener()
    async with open_desk(model=listener.model, history_messages=10) as desk:
        ana = Ana(desk)
        await ana.opens()
        await ana.says(*(f"dice {number}" for number in range(1, 16)))
        await ana.runs_again(await ana.message_id(4), "otra cosa")
        lines = await ana.lines()

    assert listener.heard[-1] == ["dice 1", "respuesta 1", "dice 2", "respuesta 2", "otra cosa"]
    assert lines == [*listener.heard[-1], "respuesta 16"]


async def test_what_the_agents_knew_from_a_message_that_is_cut_they_do_not_know_any_more() -> None:
    async with open_desk() as desk:
        ana = Ana(desk)
        await ana.opens()
        await ana.says("Hola")
        greeted = await desk.services.threads.view(ana.id, _caller("ana"))
        await ana.says("Necesito un taxi en la Calle 72 #43-25, El Prado", "pago con Nequi")
        booked = await desk.services.threads.view(ana.id, _caller("ana"))
        await ana.runs_again(await ana.message_id(2), "Gracias, nada más")
        after = await desk.services.threads.view(ana.id, _caller("ana"))
        await ana.runs_again(await ana.message_id(0), "Necesito un taxi en la Carrera 50 #80-20")
        anew = await desk.services.threads.view(ana.id, _caller("ana"))

    assert greeted is not None
    assert booked is not None
    assert after is not None
    assert anew is not None
    assert booked.state["draft"]["payment_method"] == "nequi"
    assert after.state["draft"].keys() == greeted.state["draft"].keys()
    assert anew.state["draft"]["pickup"]["address"] == "Carrera 50 #80-20"
    assert "payment_method" not in anew.state["draft"]


class TestBookings:
    @pytest.mark.parametrize("number", range(4))
    @pytest.mark.parametrize("content", [None, "otra cosa"])
    async def test_what_sent_a_taxi_cannot_be_cut(self, number: int, content: str | None) -> None:
        async with open_desk() as desk:
            ana = Ana(desk)
            await ana.opens()
            await ana.says(*BOOKING)
            before = await ana.lines()
            with pytest.raises(Conflict) as refused:
                await ana.sessions.run_again(_caller("ana"), ana.id, await ana.message_id(2 * number), content)
            after = await ana.lines()
            bookings = await desk.stores.bookings.list(ana.id)

        assert refused.value.error_code == "has_booking"
        assert after == before
        assert len(bookings) == 1

    async def test_what_was_said_after_it_can(self) -> None:
        async with open_desk() as desk:
            ana = Ana(desk)
            await ana.opens()
            await ana.says(*BOOKING, "Gracias")
            await ana.runs_again(await ana.message_id(8), "¿Cuánto falta?")
            state = await desk.services.threads.view(ana.id, _caller("ana"))

        assert state is not None
        assert state.state["booking"] is not None

    async def test_a_taxi_that_is_being_sent_while_its_message_is_changed_is_sent_and_nothing_is_cut(self) -> None:
        bookings = FaultyBookings()
        bookings.go_on = anyio.Event()
        async with open_desk(stores=make_stores(bookings=bookings)) as desk:
            ana = Ana(desk)
            await ana.opens()
            await ana.says(*BOOKING[:-1])
            await ana.sessions.say(_caller("ana"), ana.id, BOOKING[-1])
            await bookings.entered.wait()
            message_id = (await desk.stores.conversations.messages(ana.id))[-1].id
            refused: list[Conflict] = []

            async def change() -> None:
                with pytest.raises(Conflict) as error:
                    await ana.sessions.run_again(_caller("ana"), ana.id, message_id, "mejor no")
                refused.append(error.value)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(change)
                await anyio.wait_all_tasks_blocked()
                bookings.go_on.set()
            made = await desk.stores.bookings.list(ana.id)
            lines = await ana.lines()

        assert [error.error_code for error in refused] == ["has_booking"]
        assert len(made) == 1
        assert BOOKING[-1] in lines


class TestEnds:
    async def test_an_answer_that_is_cut_off_while_it_is_made_again_leaves_one_view(self) -> None:
        model = FaultyModel(function=lambda _messages, _tools: Reply("uno dos tres"), faults={7: "hang"})
        async with open_desk(model=model) as desk:
            ana = Ana(desk)
            await ana.opens()
            await ana.says("hola")
            turn = await ana.sessions.run_again(_caller("ana"), ana.id, await ana.message_id(0), "otra cosa")
            async with desk.services.streaming.subscribe(
                ana.id, after_seq=turn.after_seq, caller=_caller("ana")
            ) as reader:
                while not any(record.event.type == "agent_chunk" for record in await reader.read()):
                    pass
                await desk.services.streaming.cancel(ana.id, caller=_caller("ana"))
            end = await ana.ends(turn)
            lines = await ana.sessions.lines(_caller("ana"), ana.id)
            graph = await _memory(desk, ana.id)

        assert end.status == "interrupted"
        assert [(line.role, line.partial) for line in lines] == [("user", False), ("assistant", True)]
        assert graph == [line.content for line in lines]
        assert lines[0].content == "otra cosa"

    @pytest.mark.parametrize("number", [0, 1, 2])
    async def test_where_the_process_dies_as_soon_as_it_has_cut_the_model_sees_nothing_that_was_cut(
        self, number: int
    ) -> None:
        stores = make_stores()
        listener = Listener()
        async with open_desk(model=listener.model, stores=stores) as desk:
            ana = Ana(desk)
            await ana.opens()
            await ana.says("uno", "dos", "tres")
            cut = (await ana.sessions.lines(_caller("ana"), ana.id))[2 * number]
            kept = (await ana.lines())[: 2 * number]
        replaces = Replaced(cut.id, cut.turn_id)
        said = TurnInput(
            thread_id=ana.id, turn_id="dead", text="otra cosa", received_at=1, owner="ana", replaces=replaces
        )
        story = Turn(said)
        await stores.conversations.begin_turn(story.record(), story.user_message(), story.conversation())

        async with open_desk(model=listener.model, stores=stores) as desk:
            later = Ana(desk)
            later.id = ana.id
            lines = await later.lines()
            await later.says("sigue")

        assert lines == [*kept, "otra cosa"]
        assert listener.heard[-1] == [*kept, "otra cosa", "sigue"]

    async def test_a_message_that_cannot_be_taken_cuts_nothing_and_interrupts_nothing(self) -> None:
        async with open_desk() as desk:
            ana = Ana(desk)
            await ana.opens()
            await ana.says("Hola")
            before = await ana.lines()
            first, answer = await ana.message_id(0), await ana.message_id(1)
            for content, kind in ((" ", BadInput), ("x" * 4001, TextTooLong)):
                with pytest.raises(kind):
                    await ana.sessions.run_again(_caller("ana"), ana.id, first, content)
            with pytest.raises(BadInput):
                await ana.sessions.run_again(_caller("ana"), ana.id, answer, "otra respuesta")
            with pytest.raises(NotFound):
                await ana.sessions.run_again(_caller("ana"), ana.id, "nothing", "otra cosa")
            after = await ana.lines()

        assert after == before


def _caller(account_id: str) -> Caller:
    return Caller(account_id=account_id)


async def _memory(desk: Desk, thread_id: str) -> list[str]:
    found = await desk.stores.checkpointer.aget_tuple({"configurable": {"thread_id": thread_id}})
    assert found is not None
    return [message.text for message in found.checkpoint["channel_values"]["messages"]]
