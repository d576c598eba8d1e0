"""Sound for a client that cannot drop any: all of it, in order, and never far ahead of its loudspeaker."""

import base64
from array import array
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.dialects.pacing import LEAD_SECONDS, PIECE_MS, Pacer
from app.models.audio import SPEAKING_RATE, bytes_of, duration_ms
from app.models.events import TtsChunk

pytestmark = pytest.mark.unit

STEP = 0.001


class Loudspeaker:
    """Plays what it is sent, on a clock of the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pacer = Pacer(lambda: self.now)
        self.sound = bytearray()
        self.plays_until = 0.0
        self.gaps = 0
        self.furthest_ahead = 0.0

    def send_what_is_due(self) -> None:
        while (piece := self.pacer.take()) is not None:
            pcm = base64.b64decode(piece.audio)
            assert 0 < len(pcm) <= bytes_of(PIECE_MS, SPEAKING_RATE)
            self.gaps += bool(self.sound) and self.plays_until < self.now
            self.plays_until = max(self.plays_until, self.now) + duration_ms(len(pcm), SPEAKING_RATE) / 1000
            self.furthest_ahead = max(self.furthest_ahead, self.plays_until - self.now)
            self.sound += pcm

    def run(self, seconds: float) -> None:
        """Let time pass, sending each piece when it is due."""
        until = self.now + seconds
        while True:
            self.send_what_is_due()
            due_in = self.pacer.due_in()
            if due_in is None or self.now + due_in > until:
                self.now = until
                return
            self.now += due_in + 1e-9


@lru_cache(16)
def speech(milliseconds: int, start: int = 0) -> bytes:
    """Return sound no sample of which is like its neighbours."""
    count = bytes_of(milliseconds, SPEAKING_RATE) // 2
    return array("H", (n % 65536 for n in range(start, start + count))).tobytes()


def chunk(pcm: bytes, offset_ms: int = 0, turn_id: str = "u") -> TtsChunk:
    audio = base64.b64encode(pcm).decode()
    return TtsChunk(ts=0, thread_id="t", turn_id=turn_id, audio=audio, sample_rate=SPEAKING_RATE, offset_ms=offset_ms)


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=8), st.lists(st.floats(0, 1), max_size=8))
def test_all_sound_comes_once_in_order_and_never_further_ahead_than_the_lead(
    lengths: list[int], pauses: list[float]
) -> None:
    speaker, whole, at = Loudspeaker(), b"", 0
    for index, length in enumerate(lengths):
        pcm = speech(length, start=index * 1000)
        speaker.pacer.put(chunk(pcm, at))
        whole, at = whole + pcm, at + length
        if index < len(pauses):
            speaker.run(pauses[index])
    speaker.run(60)

    assert speaker.sound == whole
    assert speaker.furthest_ahead <= LEAD_SECONDS + 1e-6
    assert speaker.pacer.due_in() is None


def test_sound_that_is_there_in_time_is_heard_without_a_gap_and_the_first_of_it_at_once() -> None:
    speaker = Loudspeaker()
    speaker.pacer.put(chunk(speech(2000)))
    speaker.send_what_is_due()
    first = speaker.plays_until
    speaker.run(60)

    assert first > speaker.now - 60
    assert speaker.gaps == 0


@settings(deadline=None)
@given(st.integers(0, 1900))
def test_what_is_dropped_is_not_heard_for_longer_than_the_lead(heard_for_ms: int) -> None:
    speaker = Loudspeaker()
    speaker.pacer.put(chunk(speech(2000)))
    speaker.run(heard_for_ms / 1000)

    speaker.pacer.drop()
    speaker.run(10)

    assert duration_ms(len(speaker.sound), SPEAKING_RATE) <= heard_for_ms + LEAD_SECONDS * 1000 + 1e-3


@settings(deadline=None)
@given(st.integers(0, 1999), st.integers(0, 400))
def test_after_a_false_alarm_the_speech_goes_on_where_the_client_is_and_nothing_is_heard_twice(
    heard_for_ms: int, held_for_ms: int
) -> None:
    speaker, whole = Loudspeaker(), speech(2000)
    speaker.pacer.put(chunk(whole))
    speaker.run(heard_for_ms / 1000)

    speaker.pacer.drop()
    speaker.run(held_for_ms / 1000)
    again = bytes_of(heard_for_ms, SPEAKING_RATE)
    speaker.pacer.put(chunk(whole[again:], heard_for_ms))
    speaker.run(60)

    assert speaker.sound == whole


def test_the_next_turn_is_heard_from_its_beginning() -> None:
    speaker = Loudspeaker()
    speaker.pacer.put(chunk(speech(500)))
    speaker.run(10)
    speaker.pacer.put(chunk(speech(300), turn_id="v"))
    speaker.run(10)

    assert speaker.sound == speech(500) + speech(300)
