"""Where two voices lie in a recording: when they were heard, never over one another, never without bound."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.audio import HEARING_RATE, SPEAKING_RATE, bytes_of, duration_ms
from app.services.recording_mix import EARLY_MS, HELD_MS, SETTLE_MS, RecordingMix

pytestmark = pytest.mark.unit


@dataclass
class Clock:
    """Milliseconds since the recording began."""

    ms: float = 0

    def __call__(self) -> float:
        return self.ms


def tone(milliseconds: float, rate: int, level: int = 1) -> bytes:
    return level.to_bytes(2, "little") * (bytes_of(milliseconds, rate) // 2)


def heard(pcm: bytes, rate: int) -> list[tuple[float, float, int]]:
    """Return from when until when which level is heard; silence is left out."""
    samples = memoryview(pcm).cast("h")
    found: list[tuple[float, float, int]] = []
    begin = 0
    for at in range(1, len(samples) + 1):
        if at == len(samples) or samples[at] != samples[begin]:
            if samples[begin] != 0:
                found.append((begin * 1000 / rate, at * 1000 / rate, samples[begin]))
            begin = at
    return found


class Tape:
    """A mix, and all that was taken of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.mix = RecordingMix(self.clock)
        self.rider = b""
        self.agent = b""

    def keep(self, piece: tuple[bytes, bytes]) -> None:
        self.rider += piece[0]
        self.agent += piece[1]

    def speak(self, *levels: int, frame_ms: int = 20) -> None:
        """Let the rider speak, in real time."""
        for level in levels:
            self.clock.ms += frame_ms
            assert self.mix.rider(tone(frame_ms, HEARING_RATE, level))

    def end(self, at_ms: float) -> tuple[list[tuple[float, float, int]], list[tuple[float, float, int]]]:
        """Return what is heard of the rider and of the agent."""
        self.clock.ms = at_ms
        self.keep(self.mix.finish())
        assert duration_ms(len(self.rider), HEARING_RATE) == duration_ms(len(self.agent), SPEAKING_RATE) == int(at_ms)
        return heard(self.rider, HEARING_RATE), heard(self.agent, SPEAKING_RATE)


@pytest.fixture
def tape() -> Tape:
    return Tape()


def test_a_microphone_is_heard_when_it_is_spoken_into(tape: Tape) -> None:
    tape.speak(1, 2, 3)
    tape.keep(tape.mix.take())
    assert tape.end(100) == ([(0, 20, 1), (20, 40, 2), (40, 60, 3)], [])


def test_while_the_microphone_is_closed_there_is_silence(tape: Tape) -> None:
    tape.speak(1)
    tape.clock.ms = 5_000
    tape.keep(tape.mix.take())
    tape.clock.ms = 7_000
    tape.speak(2)
    assert tape.end(8_000)[0] == [(0, 20, 1), (7_000, 7_020, 2)]


def test_what_was_held_up_on_the_way_is_put_back_to_where_it_was_said(tape: Tape) -> None:
    tape.speak(1)
    tape.clock.ms = 1_020
    for _ in range(50):  # a second at once
        assert tape.mix.rider(tone(20, HEARING_RATE, 2))
    tape.speak(3)
    assert tape.end(2_000)[0] == [(0, 20, 1), (20, 1_020, 2), (1_020, 1_040, 3)]


def test_a_short_delay_tears_no_hole(tape: Tape) -> None:
    tape.speak(1)
    tape.clock.ms += 100
    tape.speak(2)
    assert tape.end(1_000)[0] == [(0, 20, 1), (20, 40, 2)]


def test_sound_from_the_future_is_left_out(tape: Tape) -> None:
    for _ in range(100):
        assert tape.mix.rider(tone(100, HEARING_RATE))
    assert tape.mix.held_bytes <= bytes_of(EARLY_MS, HEARING_RATE)
    assert tape.end(20_000)[0] == [(0, EARLY_MS, 1)]


def test_what_the_agent_is_sent_ahead_is_heard_when_it_is_played(tape: Tape) -> None:
    tape.clock.ms = 500
    for piece in range(10):
        assert tape.mix.agent(tone(150, SPEAKING_RATE, piece + 1), piece * 150, "t")
    assert tape.mix.marks[0].at_ms == 500
    assert tape.end(3_000)[1] == [(500 + 150 * n, 650 + 150 * n, n + 1) for n in range(10)]


def test_where_the_agent_has_nothing_to_play_there_is_silence(tape: Tape) -> None:
    tape.mix.agent(tone(100, SPEAKING_RATE, 1), 0, "t")
    tape.clock.ms = 400
    tape.mix.agent(tone(100, SPEAKING_RATE, 2), 100, "t")
    assert tape.end(600)[1] == [(0, 100, 1), (400, 500, 2)]


def test_what_nobody_heard_is_not_recorded(tape: Tape) -> None:
    for piece in range(10):
        tape.mix.agent(tone(150, SPEAKING_RATE, piece + 1), piece * 150, "t")
    tape.clock.ms = 350
    tape.mix.dropped("t", 300)
    tape.mix.dropped("another", 0)
    assert tape.end(3_000)[1] == [(0, 150, 1), (150, 300, 2)]


def test_after_a_false_alarm_the_rest_is_heard_later(tape: Tape) -> None:
    tape.mix.agent(tone(1_000, SPEAKING_RATE, 1), 0, "t")
    tape.clock.ms = 400
    tape.mix.dropped("t", 400)
    tape.clock.ms = 900
    tape.mix.agent(tone(600, SPEAKING_RATE, 2), 400, "t")
    tape.clock.ms = 1_000
    tape.mix.dropped("t", 500)
    assert tape.end(3_000)[1] == [(0, 400, 1), (900, 1_000, 2)]


def test_the_end_of_the_recording_ends_what_is_played(tape: Tape) -> None:
    tape.mix.agent(tone(1_000, SPEAKING_RATE), 0, "t")
    assert tape.end(300)[1] == [(0, 300, 1)]


def test_a_turn_is_marked_once_where_it_begins(tape: Tape) -> None:
    tape.clock.ms = 3_000
    tape.mix.mark("t", "rider", ago_ms=1_000)
    tape.mix.mark("t", "rider")
    tape.mix.mark("t", "agent")
    tape.mix.agent(tone(1_000, SPEAKING_RATE), 0, "t")
    tape.mix.agent(tone(10, SPEAKING_RATE), 0, "u")
    tape.mix.mark("u", "rider", ago_ms=99_999)

    marks = [(each.at_ms, each.turn_id, each.who) for each in tape.mix.marks]
    assert marks == [(0, "u", "rider"), (2_000, "t", "rider"), (3_000, "t", "agent"), (4_000, "u", "agent")]


def test_a_writer_that_hangs_makes_the_voices_full_not_the_memory(tape: Tape) -> None:
    assert not tape.mix.agent(tone(HELD_MS + 1, SPEAKING_RATE), 0, "t")
    for _ in range(HELD_MS // 20):
        tape.speak(1)
    tape.clock.ms += 20
    assert not tape.mix.rider(tone(20, HEARING_RATE))
    tape.keep(tape.mix.take())
    assert tape.mix.rider(tone(20, HEARING_RATE))


def test_a_byte_too_many_moves_nothing(tape: Tape) -> None:
    tape.clock.ms = 20
    tape.mix.rider(tone(20, HEARING_RATE, 1) + b"\x07")
    tape.mix.rider(b"\x07")
    tape.mix.agent(tone(20, SPEAKING_RATE, 1) + b"\x07", 0, "t")
    assert tape.end(100) == ([(0, 20, 1)], [(20, 40, 1)])


STEP = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 4_000)),
    st.tuples(st.just("rider"), st.integers(0, 6_000)),
    st.tuples(st.just("agent"), st.integers(0, 4_000)),
    st.tuples(st.just("drop"), st.integers(0, 8_000)),
    st.tuples(st.just("take"), st.just(0)),
)


@given(st.lists(STEP, max_size=40))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_the_voices_are_equally_long_and_held_within_bounds(steps: list[tuple[str, int]]) -> None:
    tape = Tape()
    spoken = offset = 0
    for kind, amount in steps:
        match kind:
            case "wait":
                tape.clock.ms += amount
            case "rider":
                if tape.mix.rider(tone(amount, HEARING_RATE)):
                    spoken += amount
            case "agent":
                if tape.mix.agent(tone(amount, SPEAKING_RATE), offset, "t"):
                    offset += amount
            case "drop":
                tape.mix.dropped("t", amount)
            case "take":
                tape.keep(tape.mix.take())
                assert tape.mix.taken_ms == max(0, int(tape.clock.ms) - SETTLE_MS) or tape.mix.taken_ms > 0
        assert tape.mix.held_bytes <= bytes_of(HELD_MS + EARLY_MS, HEARING_RATE) + bytes_of(HELD_MS, SPEAKING_RATE)
    rider, agent = tape.end(tape.clock.ms)

    assert sum(until - since for since, until, _ in rider) <= spoken
    assert sum(until - since for since, until, _ in agent) <= offset


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 20)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_however_unsteady_the_line_what_is_said_is_found_where_it_was_said(bursts: list[tuple[int, int]]) -> None:
    """The microphone is open all the time; the line holds its frames up, and gives them in bursts."""
    tape = Tape()
    said, arrived = 0, 0
    for delay, _ in bursts:
        tape.clock.ms += delay
        said = int(tape.clock.ms) // 20
        while arrived < said:
            assert tape.mix.rider(tone(20, HEARING_RATE, arrived % 30_000 + 1))
            arrived += 1
        tape.keep(tape.mix.take())
    rider, _ = tape.end(tape.clock.ms)

    for since, _, level in rider:
        assert abs(since - (level - 1) * 20) <= 300
    assert [level for _, _, level in rider] == [level for level in range(1, said + 1) if level * 20 <= tape.clock.ms]


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 500)), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_what_the_agent_says_is_whole_in_order_and_never_before_it_was_sent(
    pieces: list[tuple[int, int]],
) -> None:
    tape = Tape()
    offset, sent_at = 0, []
    for level, (length, pause) in enumerate(pieces, 1):
        assert tape.mix.agent(tone(length, SPEAKING_RATE, level), offset, "t")
        sent_at.append(tape.clock.ms)
        offset += length
        tape.clock.ms += pause
        tape.keep(tape.mix.take())
    _, agent = tape.end(tape.clock.ms + offset)

    assert [level for _, _, level in agent] == list(range(1, len(pieces) + 1))
    for (since, until, _), (length, _), sent in zip(agent, pieces, sent_at, strict=True):
        assert until - since == pytest.approx(length)
        assert since >= sent
    assert all(first[1] <= second[0] for first, second in pairwise(agent))
