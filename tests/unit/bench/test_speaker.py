"""What a caller's loudspeaker makes of the sound that comes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bench.speaker import Speaker

pytestmark = pytest.mark.unit

RATE = 24_000


def sound(start_ms: int, length_ms: int) -> bytes:
    """Return sound in which every millisecond is another one."""
    samples = range(start_ms * RATE // 1000, (start_ms + length_ms) * RATE // 1000)
    return struct.pack(f"<{len(samples)}h", *(1000 + index % 30_000 for index in samples))


def test_it_plays_50_ms_after_the_first_chunk_and_never_more_than_came() -> None:
    speaker = Speaker(RATE)
    speaker.take(10.0, 0, sound(0, 200))
    assert speaker.played_ms(10.04) == 0
    assert speaker.played_ms(10.15) == pytest.approx(100)
    assert speaker.played_ms(11.0) == 200


def test_a_chunk_that_comes_when_the_loudspeaker_ran_dry_is_late() -> None:
    speaker = Speaker(RATE)
    speaker.take(0.0, 0, sound(0, 100))
    speaker.take(0.1, 100, sound(100, 100))
    assert speaker.late == 0
    speaker.take(0.45, 200, sound(200, 100))
    assert (speaker.chunks, speaker.late) == (3, 1)
    assert speaker.starved_ms == pytest.approx(200)
    assert speaker.played_ms(0.45) == 200, "it gathers anew before it plays on"
    assert speaker.played_ms(0.55) == pytest.approx(250)


def test_what_is_left_out_and_what_comes_twice_is_seen() -> None:
    speaker = Speaker(RATE)
    speaker.take(0.0, 0, sound(0, 100))
    speaker.take(0.01, 150, sound(150, 100))
    assert speaker.gap_ms == pytest.approx(50)
    speaker.take(0.02, 200, sound(200, 100))
    assert speaker.overlap_ms == pytest.approx(50)
    assert not speaker.is_whole


def test_after_a_stop_it_goes_on_where_it_stopped_and_the_ear_misses_nothing() -> None:
    speaker = Speaker(RATE)
    speaker.take(0.0, 0, sound(0, 1000))
    speaker.interrupt(0.55, 480)
    assert speaker.stops[0].played_ms == pytest.approx(500)
    assert speaker.played_ms(2.0) == pytest.approx(500), "it stands still meanwhile"
    speaker.take(2.0, 480, sound(480, 520))
    assert (speaker.stops[0].missing_ms, speaker.stops[0].repeated_ms) == (0, pytest.approx(20))
    assert speaker.is_whole
    assert speaker.played_ms(2.15) == pytest.approx(580)
    assert speaker.heard(9.0) == sound(0, 500) + sound(480, 520)


def test_what_the_server_takes_as_heard_is_kept_and_played_first() -> None:
    speaker = Speaker(RATE)
    speaker.take(0.0, 0, sound(0, 1000))
    speaker.interrupt(0.55, 600)
    speaker.take(2.0, 600, sound(600, 400))
    assert (speaker.stops[0].missing_ms, speaker.stops[0].repeated_ms) == (0, 0)
    assert speaker.played_ms(2.1) == pytest.approx(550)
    assert speaker.heard(9.0) == sound(0, 1000)


def test_speech_that_never_came_again_is_missing() -> None:
    speaker = Speaker(RATE)
    speaker.take(0.0, 0, sound(0, 1000))
    speaker.interrupt(0.55, 500)
    speaker.take(2.0, 700, sound(700, 300))
    assert speaker.stops[0].missing_ms == pytest.approx(200)
    assert not speaker.is_whole
    assert speaker.heard(9.0) == sound(0, 500) + sound(700, 300)


def test_sound_that_is_another_one_the_second_time_is_seen() -> None:
    speaker = Speaker(RATE)
    speaker.take(0.0, 0, sound(0, 1000))
    speaker.interrupt(0.55, 500)
    speaker.take(2.0, 500, sound(3100, 500))
    assert speaker.changed == 1
    assert not speaker.is_whole


@given(st.lists(st.integers(20, 300), min_size=2, max_size=12), st.integers(0, 3000), st.integers(0, 400))
def test_a_server_that_resumes_at_what_it_says_was_heard_loses_nothing(
    lengths: list[int], stop_at_ms: int, behind_ms: int
) -> None:
    speaker = Speaker(RATE)
    place = 0
    for length in lengths:
        speaker.take(0.0, place, sound(place, length))
        place += length
    played = speaker.played_ms(stop_at_ms / 1000)
    offset = max(0, int(played) - behind_ms)
    speaker.interrupt(stop_at_ms / 1000, offset)
    if offset < place:
        speaker.take(9.0, offset, sound(offset, place - offset))
        assert speaker.stops[0].missing_ms <= 1
        assert speaker.stops[0].repeated_ms == pytest.approx(played - offset, abs=1)
        assert speaker.played_ms(99.0) == pytest.approx(place)
        assert not speaker.changed
