"""The rules of streaming recognisers: what is sent when, and what is said again after a drop."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.engines.stt.assemblyai import AssemblyAiWire
from app.engines.stt.base import SpeechHints
from app.engines.stt.deepgram import DeepgramWire
from app.engines.stt.streaming import Dictation, Ended, Flushed, Heard, Segment, Talk, fitting
from app.engines.vendor import VendorError, read_code, read_retry_after, read_status, worth_another_try
from app.engines.vendor_socket import Vendor
from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE
from tests.vendors.sound import WORDS, speech, transcript, understand

pytestmark = pytest.mark.unit

BYTES_PER_SECOND = HEARING_RATE * BYTES_PER_SAMPLE


@dataclass
class PlainWire:
    """A wire whose messages are what they mean."""

    vendor: Vendor = field(default_factory=lambda: Vendor("plain", {}))
    smallest: int = 1600
    largest: int = 3200
    ahead_seconds: float | None = None
    flush: str = "flush"
    flushes_at_pauses: bool = True
    goodbye: str = "goodbye"
    keep_alive: str | None = "still here"
    keep_alive_seconds: float = 4.0

    def url(self, hints: SpeechHints) -> str:
        return ""

    def read(self, message: dict[str, Any]) -> Iterable[Heard]:
        heard: Iterable[Heard] = message["heard"]
        return heard


class Recogniser:
    """The other side of a connection: understands, and makes final, as much as it is told to."""

    def __init__(self) -> None:
        self.sound = bytearray()
        self._settled = 0

    def take(self, messages: Iterable[str | bytes], talk: Talk, *, settles: bool, repeats: bool) -> None:
        for message in messages:
            if isinstance(message, bytes):
                self.sound += message
                words = understand(bytes(self.sound), from_byte=self._settled)
                if settles and len(words) > 1:
                    self._tell(talk, round(words[-2].end * HEARING_RATE) * 2, [], repeats=repeats)
                    words = words[-1:]
                if words:
                    partial = Segment(self._settled, transcript(words), is_final=False)
                    talk.read({"heard": [partial]})
            elif message == "flush" and len(self.sound) > self._settled:
                self._tell(talk, len(self.sound), [Flushed()], repeats=repeats)
            elif message == "goodbye":
                self._tell(talk, len(self.sound), [Ended()], repeats=False)

    def _tell(self, talk: Talk, end: int, also: list[Heard], *, repeats: bool) -> None:
        words = understand(bytes(self.sound[:end]), from_byte=self._settled)
        final = Segment(self._settled, transcript(words), is_final=True, end=end / BYTES_PER_SECOND)
        for _ in range(2 if repeats else 1):
            talk.read({"heard": [final]})
        self._settled = end
        talk.read({"heard": also})


@settings(deadline=None, max_examples=60)
@given(
    utterances=st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join),
            st.lists(st.integers(0, 30_000), max_size=3),
        ),
        min_size=1,
        max_size=3,
    ),
    size=st.integers(500, 4000).map(lambda samples: samples * 2),
    settles=st.booleans(),
    repeats=st.booleans(),
    pauses=st.booleans(),
)
def test_every_word_is_understood_once_wherever_connections_drop(
    utterances: list[tuple[str, list[int]]], size: int, settles: bool, repeats: bool, pauses: bool
) -> None:
    wire = PlainWire()
    talk, recogniser, now = Talk(wire, 0.0), Recogniser(), 0.0
    for text, drops in utterances:
        dictation = Dictation()
        sound = speech(text)
        fed = 0
        while not dictation.is_over:
            now += 0.5
            assert now < 10_000
            if talk.is_over or (drops and fed >= drops[0]):
                drops = drops if talk.is_over else drops[1:]
                talk, recogniser = Talk(wire, now), Recogniser()
            talk.attend(dictation)
            recogniser.take(talk.outgoing(now), talk, settles=settles, repeats=repeats)
            if fed < len(sound):
                dictation.feed(sound[fed : fed + size])
                fed += size
                dictation.is_pausing = pauses and not any(sound[fed - 2 : fed + 2])  # between two words
            else:
                dictation.is_finishing = True

        assert dictation.text == text


def test_sound_runs_no_further_ahead_of_the_clock_than_a_vendor_takes() -> None:
    talk = Talk(PlainWire(ahead_seconds=1.0, keep_alive=None), now=100.0)
    dictation = Dictation()
    dictation.feed(bytes(5 * BYTES_PER_SECOND))
    dictation.is_finishing = True
    talk.attend(dictation)
    sent, now = 0, 100.0
    while not dictation.is_all_sent:
        sent += sum(len(message) for message in talk.outgoing(now) if isinstance(message, bytes))
        assert sent <= (now - 100.0 + 1.1) * BYTES_PER_SECOND
        wait = talk.wait(now)
        assert wait is not None
        now += wait

    assert now == pytest.approx(104.0, abs=0.15)


def test_quiet_is_filled_and_sound_is_not() -> None:
    talk = Talk(PlainWire(), now=0.0)

    assert talk.outgoing(3.9) == []
    assert talk.wait(3.9) == pytest.approx(0.1)
    assert talk.outgoing(4.0) == ["still here"]
    assert talk.outgoing(7.9) == []


def test_a_flush_that_is_not_answered_is_followed_by_the_end() -> None:
    talk, dictation = Talk(PlainWire(keep_alive=None), now=0.0), Dictation()
    dictation.feed(bytes(3200))
    dictation.is_finishing = True
    talk.attend(dictation)

    assert talk.outgoing(0.0)[-1] == "flush"
    assert talk.outgoing(1.0) == []
    assert talk.outgoing(1.0 + (talk.wait(1.0) or 0)) == ["goodbye"]
    talk.read({"heard": [Ended()]})
    assert dictation.is_complete
    assert talk.is_over


def test_an_answer_to_the_flush_of_a_pause_ends_no_utterance() -> None:
    talk, dictation = Talk(PlainWire(keep_alive=None), now=0.0), Dictation()
    dictation.feed(bytes(3200))
    dictation.is_pausing = True
    talk.attend(dictation)
    assert talk.outgoing(0.0)[-1] == "flush"
    dictation.feed(bytes(3200))
    dictation.is_finishing = True
    assert talk.outgoing(0.1)[-1] == "flush"

    talk.read({"heard": [Flushed()]})
    assert not dictation.is_complete
    talk.read({"heard": [Flushed()]})
    assert dictation.is_complete


ASSEMBLYAI = AssemblyAiWire(SecretStr("k"), "wss://a/v3/ws")
DEEPGRAM = DeepgramWire(SecretStr("k"), "wss://d/v1/listen", "nova-3")


@pytest.mark.parametrize(
    ("message", "retryable"),
    [
        ({"type": "Error", "error_code": 1008, "error": "Unauthorized Connection: Missing Authorization"}, False),
        ({"type": "Error", "error_code": 1008, "error": "Unauthorized Connection: Too many concurrent sessions"}, True),
        ({"type": "Error", "error_code": 3009, "error": "Too many"}, True),
        ({"type": "Error", "error_code": 3005, "error": "Session Cancelled"}, True),
        ({"type": "Error", "error_code": 3007, "error": "Input duration violation"}, False),
        ({"type": "Error", "error_code": 3008, "error": "Session Expired"}, True),
        ({"type": "Error"}, True),
        ({"type": "Turn", "turn_order": "x"}, True),
    ],
)
def test_what_assemblyai_complains_of_is_told_apart(message: dict[str, Any], retryable: bool) -> None:
    with pytest.raises(VendorError) as raised:
        ASSEMBLYAI.read(message)
    assert raised.value.retryable is retryable


@pytest.mark.parametrize("kind", ["Begin", "SpeechStarted", "SpeakerRevision", "LLMGatewayResponse", None, 7])
def test_messages_of_no_concern_are_passed_over(kind: object) -> None:
    assert list(ASSEMBLYAI.read({"type": kind})) == []
    assert list(DEEPGRAM.read({"type": kind})) == []


@pytest.mark.parametrize("start", [float("nan"), float("inf"), -1.0, None, "x"])
def test_times_that_cannot_be_are_refused(start: object) -> None:
    message = {"type": "Results", "start": start, "duration": 1.0, "is_final": True}
    with pytest.raises(VendorError):
        DEEPGRAM.read(message | {"channel": {"alternatives": [{"transcript": "sí"}]}})


def test_terms_are_taken_from_the_likeliest_on() -> None:
    assert fitting(["uno", "x" * 60, "", "dos", "tres"], most=3, longest=50, budget=100) == ["uno", "dos", "tres"]
    assert fitting(["uno", "dos", "tres"], most=2, longest=50, budget=100) == ["uno", "dos"]
    assert fitting(["uno", "dos", "tres"], most=9, longest=50, budget=6) == ["uno", "dos"]


@pytest.mark.parametrize(
    ("status", "after", "again"),
    [(401, None, False), (403, "1", False), (429, None, True), (429, "1.5", 1.5), (503, "60", False), (500, "x", True)],
)
def test_a_vendors_wish_to_be_left_alone_is_respected_or_it_is_given_up(
    status: int, after: str | None, again: bool | float
) -> None:
    assert worth_another_try(read_status(status, after)) == again


@pytest.mark.parametrize("value", ["nan", "inf", "", None, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_rest_without_a_number_of_seconds_counts_as_none(value: str | None) -> None:
    assert read_retry_after(value) is None


def test_only_what_looks_like_a_code_is_taken_for_one() -> None:
    assert read_code("quota_exceeded") == "quota_exceeded"
    for value in ("the key sk-123 is wrong", "x" * 100, 7, None, "ñandú"):
        assert read_code(value) == "unnamed"
