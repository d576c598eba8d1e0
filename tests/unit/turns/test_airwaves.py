"""Sound reaches those who listen, in order, after what the log has before it and before the end of its turn."""

import anyio
import anyio.lowlevel
import pytest

from app.models.events import TtsChunk, TurnEvent
from app.turns.airwaves import Airwaves, Listener

pytestmark = pytest.mark.unit


def chunk(offset_ms: int, turn_id: str = "u", thread_id: str = "t") -> TtsChunk:
    return TtsChunk(ts=1, thread_id=thread_id, turn_id=turn_id, audio="", sample_rate=24_000, offset_ms=offset_ms)


def offsets(events: list[TurnEvent]) -> list[int]:
    return [event.offset_ms for event in events if isinstance(event, TtsChunk)]


def take_all(listener: Listener, sent_seq: int) -> list[TurnEvent]:
    taken = []
    while (event := listener.take(sent_seq)) is not None:
        taken.append(event)
    return taken


def test_who_listens_to_a_thread_hears_it_and_no_other() -> None:
    airwaves = Airwaves()
    airwaves.publish(chunk(0), 1)
    with airwaves.listen("t") as one, airwaves.listen("t") as two, airwaves.listen("other") as other:
        airwaves.publish(chunk(100), 1)
        assert [offsets(take_all(each, 9)) for each in (one, two, other)] == [[100], [100], []]


def test_sound_waits_for_what_was_logged_before_it() -> None:
    airwaves = Airwaves()
    with airwaves.listen("t") as listener:
        airwaves.publish(chunk(0), 5)
        assert listener.take(4) is None
        assert offsets(take_all(listener, 5)) == [0]


def test_all_sound_of_a_turn_goes_out_before_its_end() -> None:
    airwaves = Airwaves()
    with airwaves.listen("t") as listener:
        for offset, turn in ((0, "u"), (100, "u"), (0, "v")):
            airwaves.publish(chunk(offset, turn), 7)
        taken = []
        while (event := listener.take_of("u")) is not None:
            taken.append(event)
        assert offsets(taken) == [0, 100]
        assert listener.take_of("u") is None


async def test_who_waits_is_woken() -> None:
    airwaves = Airwaves()
    woken = anyio.Event()

    async def wait(listener: Listener) -> None:
        await listener.wait()
        woken.set()

    with airwaves.listen("t") as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, listener)
            await anyio.lowlevel.checkpoint()
            airwaves.publish(chunk(0), 0)
            await woken.wait()


@pytest.mark.parametrize("count", [1, 600, 601, 1500])
def test_what_is_never_taken_is_bounded_and_the_newest_is_kept(count: int) -> None:
    airwaves = Airwaves()
    with airwaves.listen("t") as listener:
        for number in range(count):
            airwaves.publish(chunk(number), 0)
        assert offsets(take_all(listener, 0)) == list(range(max(0, count - 600), count))


def test_who_has_left_is_forgotten() -> None:
    airwaves = Airwaves()
    with airwaves.listen("t"):
        pass
    assert airwaves._listeners == {}


def test_the_first_sound_is_told_once() -> None:
    airwaves, told = Airwaves(), []
    with airwaves.listen("t", told.append) as listener:
        assert told == []
        airwaves.publish(chunk(0), 1)
        airwaves.publish(chunk(100), 1)
        assert told == [listener]
        assert offsets(take_all(listener, 1)) == [0, 100]
