"""The graph with models that misbehave: what the rider is told, what is stored, what a model is given next."""

import copy

import anyio
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from app.core.errors import LogTruncated
from app.models.events import AgentError, ToolCall, ToolResult, TurnEnd
from app.taxi.history import call_ids
from app.turns.observers import LogObserver
from tests.desk import Said, make_stores, open_desk
from tests.fakes import FaultyBookings, ScriptedModel, calls, words

pytestmark = pytest.mark.integration

GREETING = words("¡Ho", "la!", " ¿Necesitas", " un taxi?")


async def play(*script: list[AIMessageChunk], say: tuple[str, ...] = ("Hola",)) -> list[Said]:
    async with open_desk(model=ScriptedModel(script=list(script))) as desk:
        return await desk.talk(*say)


def error_of(said: Said) -> str:
    (error,) = said.of(AgentError)
    code: str = error.code
    return code


class TestEndOfStream:
    async def test_an_answer_with_its_end_completes(self) -> None:
        (said,) = await play(GREETING)

        assert (said.end.status, said.end.text) == ("completed", "¡Hola! ¿Necesitas un taxi?")

    @pytest.mark.parametrize("end", [None, "length", "content_filter"])
    async def test_an_answer_that_was_cut_fails_and_its_text_is_kept_as_partial(self, end: str | None) -> None:
        async with open_desk(model=ScriptedModel(script=[words("¡Ho", "la", end=end), GREETING])) as desk:
            (cut, after) = await desk.talk("Hola", "¿Hola?")
            messages = await desk.stores.conversations.messages("t")

        assert (cut.end.status, cut.end.text) == ("failed", "¡Hola")
        assert error_of(cut) == "model_incomplete"
        assert [(m.role, m.content, m.partial) for m in messages[:2]] == [
            ("user", "Hola", False),
            ("assistant", "¡Hola", True),
        ]
        assert after.end.status == "completed"

    async def test_what_was_heard_is_kept_where_the_answer_fails(self) -> None:
        async with open_desk(model=ScriptedModel(script=[words("¡Ho", end=None), GREETING])) as desk:
            (cut, after) = await desk.talk("Somos tres y pago con Nequi", "¿Hola?")
            view = await desk.services.threads.view("t")

        assert (cut.end.status, after.end.status) == ("failed", "completed")
        assert view is not None
        assert (view.state["draft"]["payment_method"], view.state["draft"]["passengers"]) == ("nequi", 3)

    async def test_a_model_that_says_nothing_is_given_words(self) -> None:
        (said,) = await play(words())

        assert said.end.status == "completed"
        assert said.end.text.startswith("Disculpa")


class TestWhatIsSpoken:
    @pytest.mark.parametrize("text", ['{"intent": "taxi", "confidence": 0.9}', '```json\n{"a": 1}\n```', "[1, 2]"])
    async def test_json_is_never_spoken(self, text: str) -> None:
        pieces = [text[i : i + 3] for i in range(0, len(text), 3)]
        (said,) = await play(words(*pieces))

        assert "{" not in said.end.text
        assert "[" not in said.end.text
        assert said.end.status == "completed"

    async def test_thoughts_are_never_spoken(self) -> None:
        (said,) = await play(words("<th", "ink>el pasajero saluda</thi", "nk>", "¡Hola!"))

        assert said.end.text == "¡Hola!"

    async def test_a_bracket_that_is_no_json_is_spoken_after_all(self) -> None:
        (said,) = await play(words("[sonríe]", " ¡Hola!"))

        assert said.end.text == "[sonríe] ¡Hola!"


class TestHandover:
    async def test_where_an_agent_hands_over_silently_the_next_one_speaks_in_the_same_turn(self) -> None:
        (said,) = await play(calls(("TransferToNavegante", "{}")), words("¿Dónde?"))

        assert said.agents == ["NAVEGANTE"]
        assert said.end.text == "¿Dónde?"

    async def test_where_the_rider_was_asked_while_handing_over_it_is_the_riders_turn(self) -> None:
        said, after = await play(
            calls(("TransferToNavegante", "{}"), text="¿A qué dirección?"),
            words("¿En qué barrio?"),
            say=("un taxi", "calle 72"),
        )

        assert (said.end.status, said.end.text) == ("completed", "¿A qué dirección?")
        assert after.agents == ["NAVEGANTE"]

    async def test_a_transfer_is_refused_while_something_is_missing(self) -> None:
        (said,) = await play(
            calls(("TransferToNavegante", "{}")),
            calls(("TransferToOperador", "{}")),
            words("¿Dónde?"),
        )

        results = said.of(ToolResult)
        assert results[0].result == "Transfer successful"
        assert results[1].result["code"] == "pickup_missing"
        assert said.agents == ["NAVEGANTE"]

    async def test_agents_that_hand_over_for_ever_are_stopped(self) -> None:
        there = calls(("TransferToNavegante", "{}"))
        back = calls(("TransferToRecepcionista", "{}"))
        (said,) = await play(*[there, back] * 20)

        assert said.end.status == "failed"
        assert error_of(said) == "agent_loop"
        assert len(said.of(ToolCall)) == len(said.of(ToolResult))


class TestTools:
    async def test_a_tool_the_agent_does_not_have_is_refused(self) -> None:
        (said,) = await play(calls(("DispatchToBackend", "{}")), words("¡Hola!"))

        assert said.of(ToolResult)[0].result["code"] == "unknown_tool"
        assert said.end.status == "completed"

    async def test_arguments_that_are_not_json_get_an_answer_and_the_model_goes_on(self) -> None:
        (said,) = await play(calls(("TransferToNavegante", '{"a": ')), words("¡Hola!"))

        assert said.of(ToolResult)[0].result["code"] == "invalid_arguments"
        assert said.end.status == "completed"

    @pytest.mark.parametrize(
        "arguments", ['{"reason": NaN}', '{"reason": 1' + "0" * 400 + "}", '["a"]', '{"a": "\\ud800"}']
    )
    async def test_arguments_that_no_store_can_hold_get_an_answer(self, arguments: str) -> None:
        (said,) = await play(calls(("TransferToHuman", arguments)), words("¡Hola!"))

        assert said.of(ToolResult)[0].result["code"] == "invalid_arguments"
        assert said.end.status == "completed"

    async def test_arguments_of_the_wrong_type_get_an_answer(self) -> None:
        (said,) = await play(
            calls(("TransferToNavegante", "{}")),
            calls(("ValidateAddress", '{"address": ["calle", 72]}')),
            words("¿Dónde?"),
        )

        assert said.of(ToolResult)[1].result["code"] == "invalid_arguments"

    async def test_ids_that_a_server_repeats_are_made_unique(self) -> None:
        (first, second) = await play(
            calls(("EstimateFare", "{}")),
            words("Unos ocho mil."),
            calls(("EstimateFare", "{}")),
            words("Lo mismo."),
            say=("¿cuánto?", "¿cuánto?"),
        )

        ids = [event.tool_call_id for said in (first, second) for event in said.of(ToolCall)]
        assert len(set(ids)) == len(ids) == 2

    async def test_several_calls_in_one_message_see_each_other(self) -> None:
        address = '{"address": "Calle 72 #43-25", "neighborhood": "El Prado"}'
        (said,) = await play(
            calls(("TransferToNavegante", "{}")),
            calls(("ValidateAddress", address), ("TransferToOperador", "{}")),
            words("¿Cómo pagas?"),
        )

        assert said.agents == ["OPERADOR"]


class TestConsent:
    LINES = ("taxi en la Calle 72 #43-25 en El Prado, en efectivo, voy con perro",)

    async def test_a_model_cannot_dispatch_what_was_not_read_or_not_confirmed(self) -> None:
        ask = calls(("DispatchToBackend", "{}"))
        script = [
            calls(("TransferToNavegante", "{}")),
            calls(("ValidateAddress", '{"address": "Calle 72 #43-25", "neighborhood": "El Prado"}')),
            calls(("TransferToOperador", "{}")),
            calls(("TransferToConfirmador", '{"payment_method": "efectivo", "observation": ""}')),
            ask,
            words("Tu taxi a El Prado. ¿Confirmas?"),  # the address was not read
            ask,
            words("Calle 72 #43-25, El Prado, en efectivo. ¿Confirmas?"),
            ask,
            words("¿Sí o no?"),
            ask,
            words("Va en camino."),
        ]
        async with open_desk(model=ScriptedModel(script=script)) as desk:
            (first, unread, unsure, asked) = await desk.talk("un taxi en efectivo", "sí", "no sé", "sí")
            booked = await desk.stores.bookings.list("t")

        codes = [said.of(ToolResult)[-1].result.get("code") for said in (first, unread, unsure)]
        assert codes == ["not_confirmed"] * 3
        # «¿Sí o no?» is no summary, but the one read before still stands: nothing changed since.
        assert asked.of(ToolResult)[-1].result["status"] == "accepted"
        assert len(booked) == 1

    async def test_a_dispatch_under_way_survives_a_cancel_and_its_result_reaches_the_rider(self) -> None:
        bookings = FaultyBookings()
        async with open_desk(stores=make_stores(bookings=bookings)) as desk:
            await desk.talk(*self.LINES)
            bookings.go_on = anyio.Event()
            streaming = desk.services.streaming
            async with anyio.create_task_group() as tasks:
                said: list[Said] = []

                async def confirm() -> None:
                    said.append(await desk.say("sí"))

                tasks.start_soon(confirm)
                await bookings.entered.wait()
                await streaming.cancel("t")
                bookings.go_on.set()
            again = await desk.say("sí")
            booked = await bookings.list("t")
            state = (await desk.services.threads.view("t")).state  # type: ignore[union-attr]

        (cut,) = said
        assert cut.end.status == "interrupted"
        assert cut.of(ToolResult)[-1].result["status"] == "accepted"
        assert cut.end.booking_id == booked[0].booking_id
        assert len(booked) == 1
        assert again.tools == []
        assert state["booking"]["booking_id"] == booked[0].booking_id

    async def test_a_store_that_fails_at_the_dispatch_is_told_and_can_be_tried_again(self) -> None:
        bookings = FaultyBookings()
        bookings._faults.at = {0: "raise"}
        async with open_desk(stores=make_stores(bookings=bookings)) as desk:
            await desk.talk(*self.LINES)
            failed = await desk.say("sí")
            booked = await desk.say("sí")

        assert failed.of(ToolResult)[-1].result["status"] == "failed"
        assert "No pude" in failed.end.text
        assert booked.of(ToolResult)[-1].result["status"] == "accepted"


class TestBooks:
    """What is stored decides, not what a checkpoint remembers."""

    LINES = ("taxi en la Calle 72 #43-25 en El Prado, en efectivo, voy con perro", "sí")

    async def test_another_taxi_on_a_thread_that_was_forgotten_is_another_booking(self) -> None:
        async with open_desk() as desk:
            await desk.talk(*self.LINES)
            await desk.services.streaming.forget("t")
            again = await desk.talk("taxi en la Calle 84 #50-10 en El Golf, con nequi, voy con gato", "sí")
            booked = await desk.stores.bookings.list("t")

        assert [booking.pickup.address for booking in booked] == ["Calle 72 #43-25", "Calle 84 #50-10"]
        assert "Calle 84 #50-10" in again[-1].end.text

    async def test_another_taxi_in_the_same_conversation_is_another_booking(self) -> None:
        async with open_desk() as desk:
            await desk.talk(
                *self.LINES, "otro taxi en la Calle 72 #43-25 en El Prado, en efectivo, voy con perro", "sí"
            )
            booked = await desk.stores.bookings.list("t")

        assert len({booking.booking_id for booking in booked}) == 2

    async def test_a_booking_whose_turn_was_lost_is_known_again_and_not_made_twice(self) -> None:
        saver = InMemorySaver()
        async with open_desk(stores=make_stores(checkpointer=saver)) as desk:
            (summary,) = await desk.talk(self.LINES[0])
            before = copy.deepcopy((saver.storage, saver.writes, saver.blobs))
            (done,) = await desk.talk("sí")
            # The process died right after the dispatch: the checkpoint is the one before it.
            saver.storage, saver.writes, saver.blobs = before
            after = await desk.talk("sí", "no, mejor Calle 84 #50-10 en El Golf")
            booked = await desk.stores.bookings.list("t")

        assert summary.agents == ["CONFIRMADOR"]
        assert done.end.booking_id == booked[0].booking_id
        assert "ya está pedido" in after[0].end.text
        assert len(booked) == 1

    async def test_a_booking_that_was_cancelled_elsewhere_is_not_called_booked(self) -> None:
        async with open_desk() as desk:
            (_, done) = await desk.talk(*self.LINES)
            await desk.services.bookings.cancel(done.end.booking_id or "")
            after = await desk.say("sí")

        assert "ya está pedido" not in after.end.text


class TestHistory:
    async def test_after_a_cut_in_the_middle_of_tools_a_model_is_given_no_orphans(self) -> None:
        bookings = FaultyBookings()
        script = [
            calls(("EstimateFare", "{}"), ("BookingStatus", "{}"), ids=["a", "b"]),
            words("¡Hola!"),
        ]
        model = ScriptedModel(script=script)
        async with open_desk(model=model, stores=make_stores(bookings=bookings)) as desk:
            real_list, reached = bookings.list, anyio.Event()

            async def hanging_list(thread_id: str) -> object:
                reached.set()
                await anyio.sleep_forever()
                return await real_list(thread_id)

            bookings.list = hanging_list  # type: ignore[method-assign, assignment]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.say, "¿dónde está mi taxi?")
                await reached.wait()
                await desk.services.streaming.cancel("t")
            await desk.say("Hola")
            given = model.heard[-1]

        called = [call_id for m in given if isinstance(m, AIMessage) for call_id in call_ids(m)]
        answered = [m.tool_call_id for m in given if isinstance(m, ToolMessage)]
        assert called == answered == ["a", "b"]

    async def test_what_the_rider_did_not_hear_is_not_in_the_memory(self) -> None:
        async with open_desk(offline_word_delay_ms=20) as desk:
            streaming = desk.services.streaming
            async with streaming.subscribe("t") as reader:
                await streaming.submit("Hola", thread_id="t")
                heard = ""
                ended = False
                while not ended:
                    for record in await reader.read():
                        if record.event.type == "agent_chunk":
                            heard += record.event.text  # type: ignore[attr-defined]
                            await streaming.cancel("t")
                        ended = ended or record.event.type == "turn_end"
            saved = await desk.stores.checkpointer.aget_tuple({"configurable": {"thread_id": "t", "checkpoint_ns": ""}})

        assert saved is not None
        remembered = saved.checkpoint["channel_values"]["messages"]
        assert [message.text for message in remembered] == ["Hola", heard]


class TestListeners:
    async def test_a_turn_that_nobody_listens_to_ends_after_the_grace_period_each_time(self) -> None:
        async with open_desk(offline_word_delay_ms=50, turn_grace_seconds=0.02) as desk:
            streaming = desk.services.streaming
            for _ in range(2):
                await streaming.submit("Hola", thread_id="t", strategy="enqueue")
            await desk.services.streaming._until_idle()
            ends = [record.event.status for record in await desk.log() if isinstance(record.event, TurnEnd)]

        assert ends == ["interrupted", "interrupted"]

    async def test_a_listener_that_comes_back_in_time_hears_the_end(self) -> None:
        async with open_desk(offline_word_delay_ms=10, turn_grace_seconds=5) as desk:
            streaming = desk.services.streaming
            async with streaming.subscribe("t") as reader:
                await streaming.submit("Hola", thread_id="t")
                await reader.read()
            async with streaming.subscribe("t", after_seq=0) as reader:
                ended = False
                while not ended:
                    ended = any(isinstance(record.event, TurnEnd) for record in await reader.read())
            last = (await desk.log())[-1].event

        assert isinstance(last, TurnEnd)
        assert last.status == "completed"

    async def test_what_waits_is_interrupted_too_and_nothing_said_is_forgotten(self) -> None:
        async with open_desk(offline_word_delay_ms=50) as desk:
            streaming = desk.services.streaming
            async with streaming.subscribe("t") as reader:
                for line in ("Hola", "Necesito un taxi", "Calle 72 #43-25"):
                    await streaming.submit(line, thread_id="t")
                ends: list[TurnEnd] = []
                while len(ends) < 3:
                    ends += [record.event for record in await reader.read() if isinstance(record.event, TurnEnd)]
            messages = await desk.stores.conversations.messages("t")

        assert [end.status for end in ends] == ["interrupted", "interrupted", "completed"]
        assert [message.content for message in messages if message.role == "user"] == [
            "Hola",
            "Necesito un taxi",
            "Calle 72 #43-25",
        ]
        assert "Calle 72 #43-25" in ends[-1].text

    async def test_forgetting_a_thread_ends_its_turn_and_tells_its_readers(self) -> None:
        async with open_desk(offline_word_delay_ms=50) as desk:
            streaming = desk.services.streaming
            async with streaming.subscribe("t") as reader:
                await streaming.submit("Hola", thread_id="t")
                await reader.read()
                assert await streaming.forget("t") is True
                with pytest.raises(LogTruncated):
                    while True:
                        await reader.read()
            assert await desk.services.threads.view("t") is None
            assert await streaming.forget("t") is False
            again = await desk.say("Hola")

        assert again.end.status == "completed"


class TestObservers:
    async def test_an_observer_that_fails_takes_no_part(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_self: object, _event: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(LogObserver, "observe", fail)
        async with open_desk() as desk:
            said = await desk.say("Hola")
            ends = [record for record in await desk.log() if isinstance(record.event, TurnEnd)]

        assert said.end.status == "completed"
        assert len(ends) == 1
