"""A spoken turn through the real runner, agents and stores: what was heard is what is remembered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import current_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from app.models.booking import Booking
from app.models.conversation import Message, TurnInput
from app.models.events import (
    AgentChunk,
    AgentError,
    Interrupted,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnEvent,
)
from app.pipeline.chain import ChainPipeline
from app.pipeline.playback import Playback
from app.pipeline.tts import Speech
from app.turns.runner import TurnLimits, TurnRunner
from tests.desk import Desk, make_stores, offline_model, open_desk
from tests.fakes import FakeTts, FaultyBookings, FaultyModel
from tests.virtual_time import run

pytestmark = pytest.mark.integration

ORDER = "Hola, necesito un taxi a la Calle 72 #43-25 en El Prado, pago en efectivo, sin observaciones"


@dataclass
class Caller:
    """Somebody who talks to the real runner, and notes all that comes."""

    desk: Desk
    engine: FakeTts = field(default_factory=lambda: FakeTts(ms_per_character=60))
    turn_seconds: float = 30
    speech: dict[str, Any] = field(default_factory=dict)
    came: list[tuple[float, ThreadEvent]] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """Of each event that is not logged, the number of the logged one before it."""
    turns: int = 0

    def __post_init__(self) -> None:
        runner = self.desk.services.streaming._runner
        agent = runner._pipeline._agent  # type: ignore[attr-defined]
        self.graph = agent.graph
        self.runner = TurnRunner(
            pipeline=ChainPipeline(agent=agent, speech=Speech(engine=self.engine, aloud=str, **self.speech)),
            event_log=self.desk.stores.event_log,
            conversations=self.desk.stores.conversations,
            endings=runner._endings,
            now_ms=runner._now_ms,
            limits=TurnLimits(turn=self.turn_seconds, pause=30, store=5),
            publish=self._take,
        )

    def _take(self, event: ThreadEvent, after_seq: int) -> None:
        assert not event.replayable
        self.came.append((current_time(), event))
        self.after.append(after_seq)

    async def say(self, text: str, playback: Playback | None = None) -> list[TurnEvent]:
        """Run a turn; return what was logged of it. Cancelling it interrupts the turn."""
        self.turns += 1
        said = TurnInput(thread_id="t", turn_id=f"turn{self.turns}", text=text, received_at=0, is_heard=True)
        async with self.desk.stores.lanes.take("t") as lease:
            await self.runner.run(said, self.runner.gate(), lease, playback=playback)
        return await self.logged(said.turn_id)

    async def ask_for_a_taxi(self) -> None:
        """Say all but the yes."""
        for text in ("Hola, necesito un taxi a la Calle 72 #43-25 en El Prado", "en efectivo", "No"):
            await self.say(text)

    async def interrupted(self, text: str, playback: Playback, seconds: float) -> list[TurnEvent]:
        """Run a turn and cut it off after so long."""
        with anyio.move_on_after(seconds):
            await self.say(text, playback)
        return await self.logged(f"turn{self.turns}")

    async def logged(self, turn_id: str) -> list[TurnEvent]:
        events = [record.event for record in await self.desk.log()]
        return [event for event in events if isinstance(event, TurnEvent) and event.turn_id == turn_id]

    async def saved(self, turn_id: str) -> list[Message]:
        messages = await self.desk.stores.conversations.messages("t")
        return [message for message in messages if message.turn_id == turn_id and message.role != "user"]

    async def remembered(self, turn_id: str) -> list[BaseMessage]:
        """Return what the agents remember of a turn."""
        snapshot = await self.graph.aget_state({"configurable": {"thread_id": "t"}})
        messages = list(snapshot.values["messages"])
        start = next(index for index, message in enumerate(messages) if message.id == turn_id)
        rest = messages[start + 1 :]
        end = next((index for index, each in enumerate(rest) if isinstance(each, HumanMessage)), len(rest))
        return rest[:end]

    def of(self, kind: type[ThreadEvent]) -> list[Any]:
        return [event for _, event in self.came if isinstance(event, kind)]


@asynccontextmanager
async def calling(*, engine: FakeTts | None = None, turn_seconds: float = 30, **options: Any) -> AsyncIterator[Caller]:
    speech = options.pop("speech", {})
    async with open_desk(**options) as desk:
        yield Caller(desk, engine or FakeTts(ms_per_character=60), turn_seconds, speech)


def playing() -> Playback:
    return Playback(current_time)


def end_of(events: list[TurnEvent]) -> TurnEnd:
    ends = [event for event in events if isinstance(event, TurnEnd)]
    assert len(ends) == 1
    assert events[-1] is ends[0]
    return ends[0]


def text_of(events: list[TurnEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, AgentChunk))


async def agree(caller: Caller, turn_id: str, heard: str) -> None:
    """Check that the end, the saved messages and the agents' memory all say the same."""
    end = end_of(await caller.logged(turn_id))
    saved = await caller.saved(turn_id)
    remembered = await caller.remembered(turn_id)
    assert end.text == heard
    assert "".join(message.content for message in saved if message.role == "assistant") == heard
    assert "".join(message.text for message in remembered if isinstance(message, AIMessage)) == heard
    called = [call["id"] for message in remembered if isinstance(message, AIMessage) for call in message.tool_calls]
    answered = [message.tool_call_id for message in remembered if isinstance(message, ToolMessage)]
    assert called == answered
    events = await caller.logged(turn_id)
    assert called == [event.tool_call_id for event in events if isinstance(event, ToolCall)]
    assert sorted(called) == sorted(event.tool_call_id for event in events if isinstance(event, ToolResult))


def test_a_spoken_turn_ends_when_it_was_heard_and_its_sound_is_not_logged() -> None:
    async def scenario() -> None:
        async with calling() as caller:
            playback = playing()
            started = current_time()
            events = await caller.say("Hola", playback)
            sound_ms = playback.made_ms
            assert sound_ms > 1000
            assert sound_ms / 1000 <= current_time() - started < sound_ms / 1000 + 0.5
            assert [event.type for event in events][-2:] == ["tts_end", "turn_end"]
            assert not [event for event in events if isinstance(event, TtsChunk)]
            assert len(caller.of(TtsChunk)) == -(-sound_ms // 100)
            assert caller.after == sorted(caller.after)
            assert caller.after[0] > 0
            end = end_of(events)
            assert end.status == "completed"
            await agree(caller, "turn1", text_of(events))

    run(scenario)


def test_a_turn_without_playback_is_as_silent_as_ever() -> None:
    async def scenario() -> None:
        async with calling() as caller:
            events = await caller.say("Hola")
            assert caller.came == []
            assert not [event for event in events if isinstance(event, TtsEnd)]
            assert caller.engine.spoken == []

    run(scenario)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.floats(0, 12),
    acknowledged=st.lists(st.tuples(st.floats(0.05, 2), st.integers(0, 12_000)), max_size=6),
    held=st.none() | st.floats(0, 8),
)
def test_whenever_a_turn_is_cut_off_what_was_heard_is_what_is_remembered(
    seconds: float, acknowledged: list[tuple[float, int]], held: float | None
) -> None:
    async def scenario() -> None:
        async with calling() as caller:
            playback = playing()

            async def acknowledge() -> None:
                for wait, played in acknowledged:
                    await anyio.sleep(wait)
                    playback.acknowledge(played)

            async def hold(after: float) -> None:
                await anyio.sleep(after)
                playback.hold()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(acknowledge)
                if held is not None:
                    tasks.start_soon(hold, held)
                await anyio.lowlevel.checkpoint()
                events = await caller.interrupted(ORDER, playback, seconds)
                tasks.cancel_scope.cancel()

            end = end_of(events)
            whole = text_of(events)
            assert whole.startswith(end.text)
            rest = whole[len(end.text) :]
            assert not rest or not end.text or rest[0].isspace() or end.text[-1] in ".?!,:;"
            if end.status == "interrupted":
                assert end.text == playback.heard(whole)
                drops = [event.offset_ms for event in caller.of(Interrupted)]
                assert len(drops) <= 1
                assert all(drop <= playback.heard_ms for drop in drops)
            else:
                assert end.text == whole
            await agree(caller, "turn1", end.text)

            again = await caller.say("¿Cómo?")  # the next turn builds on it
            assert end_of(again).status == "completed"
            await agree(caller, "turn1", end.text)

    run(scenario)


def test_a_turn_that_is_cut_off_tells_the_client_at_once_what_to_drop() -> None:
    async def scenario() -> None:
        async with calling() as caller:
            playback = playing()
            started = current_time()
            events = await caller.interrupted("Hola", playback, 1)
            (drop,) = caller.of(Interrupted)
            assert caller.came[-1][0] - started == pytest.approx(1, abs=0.01)
            assert drop.offset_ms == playback.heard_ms
            assert 500 < drop.offset_ms < 1000
            assert [event.type for event in events][-2:] == ["tts_end", "turn_end"]
            end = end_of(events)
            assert end.status == "interrupted"
            assert 0 < len(end.text) < len(text_of(events))

    run(scenario)


def test_a_turn_that_was_held_and_is_then_cut_off_tells_it_once() -> None:
    async def scenario() -> None:
        async with calling() as caller:
            playback = playing()

            async def hold() -> None:
                await anyio.sleep(1)
                playback.hold()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hold)
                await caller.interrupted("Hola", playback, 1.5)
            assert [event.offset_ms for event in caller.of(Interrupted)] == [playback.heard_ms]

    run(scenario)


def test_an_answer_that_is_answered_before_its_last_word_is_whole() -> None:
    async def scenario() -> None:
        async with calling() as caller:
            playback = playing()
            started = current_time()

            async def conclude() -> None:
                await anyio.sleep(1)
                playback.hold()
                playback.conclude()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(conclude)
                events = await caller.say("Hola", playback)
            assert current_time() - started == pytest.approx(1, abs=0.05)
            assert end_of(events).status == "completed"
            await agree(caller, "turn1", text_of(events))

    run(scenario)


def test_a_taxi_that_was_ordered_while_the_rider_spoke_is_ordered() -> None:
    async def scenario() -> None:
        bookings = FaultyBookings()
        async with calling(stores=make_stores(bookings=bookings)) as caller:
            await caller.ask_for_a_taxi()
            bookings.go_on = anyio.Event()

            async def let_go() -> None:
                with anyio.fail_after(60):
                    await bookings.entered.wait()
                await anyio.sleep(4)
                bookings.go_on.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(let_go)
                started = current_time()
                events = await caller.interrupted("Sí, confirmo", playing(), 1.4)
            (at,) = [at for at, event in caller.came if isinstance(event, Interrupted)]
            assert at - started == pytest.approx(1.4, abs=0.01)  # the filler stops, and the order goes on
            assert current_time() - started >= 4
            end = end_of(events)
            booked: list[Booking] = list(await bookings.list("t"))
            assert end.status == "interrupted"
            assert [booking.booking_id for booking in booked] == [end.booking_id]
            results = [event for event in events if isinstance(event, ToolResult) and event.name == "DispatchToBackend"]
            assert len(results) == 1
            await agree(caller, f"turn{caller.turns}", end.text)

    run(scenario)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=st.floats(0, 6), ordering=st.floats(0, 4), steps=st.integers(0, 60))
def test_whenever_the_rider_speaks_a_taxi_is_ordered_and_told_of_or_neither(
    seconds: float, ordering: float, steps: int
) -> None:
    async def scenario() -> None:
        bookings = FaultyBookings()
        async with calling(stores=make_stores(bookings=bookings)) as caller:
            await caller.ask_for_a_taxi()
            bookings.go_on = anyio.Event()

            async def let_go() -> None:
                await bookings.entered.wait()
                await anyio.sleep(ordering)
                bookings.go_on.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(let_go)
                with anyio.CancelScope() as scope:

                    async def cut() -> None:
                        await anyio.sleep(seconds)
                        for _ in range(steps):
                            await anyio.lowlevel.checkpoint()
                        scope.cancel()

                    tasks.start_soon(cut)
                    await caller.say("Sí, confirmo", playing())
                tasks.cancel_scope.cancel()
            end = end_of(await caller.logged(f"turn{caller.turns}"))
            assert [booking.booking_id for booking in await bookings.list("t")] == [
                booking_id for booking_id in [end.booking_id] if booking_id is not None
            ]
            await agree(caller, f"turn{caller.turns}", end.text)

    run(scenario)


def test_something_is_said_while_the_taxi_is_being_ordered() -> None:
    async def scenario() -> None:
        bookings = FaultyBookings()
        async with calling(stores=make_stores(bookings=bookings)) as caller:
            await caller.ask_for_a_taxi()
            bookings.go_on = anyio.Event()

            async def let_go() -> None:
                with anyio.fail_after(60):
                    await bookings.entered.wait()
                await anyio.sleep(3)
                bookings.go_on.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(let_go)
                events = await caller.say("Sí, confirmo", playing())
            assert caller.engine.spoken[0] == "Un momento…"
            assert end_of(events).status == "completed"
            assert "momento" not in end_of(events).text

    run(scenario)


@pytest.mark.parametrize("fault", ["raise", "hang"])
def test_a_turn_that_fails_keeps_what_was_heard(fault: Any) -> None:
    async def scenario() -> None:
        model = FaultyModel(function=offline_model().function, faults={6: fault})  # type: ignore[attr-defined]
        async with calling(model=model, turn_seconds=3) as caller:
            playback = playing()
            events = await caller.say("Hola", playback)
            end = end_of(events)
            assert end.status == "failed"
            types = [event.type for event in events]
            assert types[-3:] == ["agent_error", "tts_end", "turn_end"]
            assert end.text == playback.heard(text_of(events))
            await agree(caller, "turn1", end.text)

    run(scenario)


def test_the_time_an_answer_takes_to_be_heard_does_not_count() -> None:
    async def scenario() -> None:
        async with calling(engine=FakeTts(ms_per_character=1000, piece_ms=1000), turn_seconds=3) as caller:
            started = current_time()
            events = await caller.say("Hola", playing())
            assert current_time() - started > 30
            assert end_of(events).status == "completed"

    run(scenario)


@pytest.mark.parametrize("engine", [FakeTts(fails_after=0), FakeTts(hangs_after=0)], ids=["fails", "hangs"])
def test_a_turn_whose_voice_fails_is_read(engine: FakeTts) -> None:
    async def scenario() -> None:
        async with calling(engine=engine) as caller:
            events = await caller.say("Hola", playing())
            end = end_of(events)
            assert end.status == "completed"
            assert not [event for event in events if isinstance(event, AgentError)]
            assert caller.of(TtsChunk) == []
            assert [event.type for event in events][-2:] == ["tts_end", "turn_end"]
            await agree(caller, "turn1", text_of(events))
            assert isinstance(events[0], SttOutput)

    run(scenario)
