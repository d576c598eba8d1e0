from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import BadInput, RateLimited, SttError
from app.engines.codecs.formats import open_decoder
from app.engines.stt.base import SttEngine
from app.engines.vad.base import FRAME_BYTES
from app.models.audio import HEARING_RATE, AudioFormat, bytes_of, duration_ms
from app.pipeline.endpointing import EndpointRules
from app.pipeline.hearing import Ear, Hearing, PartialTranscript, Signal, SpeechBegan, Utterance
from tests.fakes import Broken, FakeRecognition, FakeStt, FakeVad, loud, quiet
from tests.sounds import noise, tone

pytestmark = pytest.mark.unit

WORD = loud(800)
PAUSE = quiet(2000)
NEVER = 3600.0


class FakeEndpoint:
    """Judges by order, and remembers what it heard."""

    name = "fake"

    def __init__(self, *verdicts: float | Exception) -> None:
        self.verdicts = list(verdicts)
        self.heard: list[bytes] = []

    async def completeness(self, utterance: bytes) -> float:
        self.heard.append(utterance)
        await anyio.lowlevel.checkpoint()
        verdict = self.verdicts.pop(0) if self.verdicts else 1.0
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def hearing(stt: SttEngine, **settings: Any) -> Hearing:
    known: dict[str, Any] = {
        "decoders": open_decoder,
        "vad": FakeVad(),
        "rules": EndpointRules(),
        "stt_timeout_seconds": NEVER,
    }
    return Hearing(stt=stt, **known | settings)


async def hear(ears: Hearing, sound: Iterable[bytes], audio: AudioFormat | None = None) -> list[Signal]:
    """Push frames as fast as they are heard, close the microphone, and return all signals."""
    signals: list[Signal] = []
    async with ears.open(audio or AudioFormat(), "es") as ear:

        async def read() -> None:
            signals.extend([signal async for signal in ear])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for frame in sound:
                ear.push(frame)
                await settle(ear)
            ear.finish()
    return signals


async def settle(ear: Ear) -> None:
    """Wait until all that was pushed is heard."""
    while ear._waiting_bytes:
        await anyio.lowlevel.checkpoint()


def utterances(signals: list[Signal]) -> list[Utterance]:
    return [signal for signal in signals if isinstance(signal, Utterance)]


def texts(signals: list[Signal]) -> list[str]:
    return [utterance.text for utterance in utterances(signals)]


def assert_well_formed(signals: list[Signal]) -> None:
    """Every beginning has one end, and what lies between is what was understood."""
    is_open = False
    for signal in signals:
        assert isinstance(signal, SpeechBegan) != is_open
        is_open = not isinstance(signal, Utterance)
        if isinstance(signal, PartialTranscript):
            assert signal.text
    assert not is_open


# What an ear does.


async def test_an_utterance_begins_grows_and_is_understood() -> None:
    stt = FakeStt(["quiero un taxi"])

    signals = await hear(hearing(stt), [quiet(500), WORD, PAUSE])

    assert signals[0] == SpeechBegan()
    assert PartialTranscript("quiero un taxi") in signals
    assert texts(signals) == ["quiero un taxi"]
    assert utterances(signals)[0].failure is None
    assert utterances(signals)[0].speech_ms == pytest.approx(800, abs=64)
    assert_well_formed(signals)


async def test_the_first_consonant_is_heard() -> None:
    stt = FakeStt(["taxi"])
    await hear(hearing(stt), [quiet(1000), WORD, PAUSE])
    heard = stt.recognitions[0].audio
    onset = next(index for index in range(0, len(heard), 2) if heard[index : index + 2] != b"\0\0")

    assert 250 <= duration_ms(onset, HEARING_RATE) <= 350
    assert WORD[:3200] in heard


async def test_the_engine_is_told_language_terms_and_pauses() -> None:
    stt = FakeStt(["uno"])
    await hear(hearing(stt, terms=["calle Murillo"]), [WORD, quiet(300), loud(300), PAUSE])

    assert stt.hints is not None
    assert (stt.hints.language, list(stt.hints.terms)) == ("es", ["calle Murillo"])
    assert len(stt.recognitions) == 1
    assert len(stt.recognitions[0].pauses) == 2


async def test_a_pause_is_silent_to_the_engine_unless_the_speaker_goes_on() -> None:
    stt = FakeStt(["uno", "dos"])
    sound = WORD + quiet(320) + WORD
    await hear(hearing(stt), [quiet(320), sound, PAUSE, WORD])
    first, second = stt.recognitions

    assert sound in first.audio
    assert len(first.audio) == first.pauses[-1]
    assert duration_ms(first.pauses[0], HEARING_RATE) == pytest.approx(300 + 800 + 160, abs=64)
    assert WORD in second.audio


async def test_partial_transcripts_come_when_they_change_and_are_never_empty() -> None:
    class Stammering(FakeRecognition):
        async def partials(self) -> AsyncIterator[str]:
            for text in ("", " ", "uno", "uno", "", "uno dos", " uno dos "):
                yield text

    class StammeringStt(FakeStt):
        @asynccontextmanager
        async def recognise(self) -> AsyncIterator[FakeRecognition]:
            yield Stammering(self, 0)

    signals = await hear(hearing(StammeringStt(["uno dos"])), [WORD, PAUSE])

    partials = [signal.text for signal in signals if isinstance(signal, PartialTranscript)]
    assert partials == ["uno", "uno dos"]


async def test_the_end_is_when_the_last_sound_came() -> None:
    clock = Clock()
    stt = FakeStt(["uno", "dos"])
    frames = 0

    def sound() -> Iterable[bytes]:
        nonlocal frames
        for frame in [*[loud(32)] * 20, *[quiet(32)] * 60, *[loud(32)] * 20, *[quiet(32)] * 60]:
            clock.seconds = frames * 0.032
            frames += 1
            yield frame

    signals = await hear(hearing(stt, now=clock), sound())

    assert [utterance.ended_at for utterance in utterances(signals)] == pytest.approx([19 * 0.032, 99 * 0.032])


async def test_closing_the_microphone_finishes_what_is_being_said() -> None:
    signals = await hear(hearing(FakeStt(["a medias"])), [WORD])

    assert texts(signals) == ["a medias"]
    assert_well_formed(signals)


async def test_a_microphone_without_sound_says_nothing() -> None:
    stt = FakeStt()

    assert await hear(hearing(stt), []) == []
    assert stt.open_sessions == 0


async def test_leaving_ends_everything() -> None:
    stt = FakeStt(["uno"], hang={0})
    async with hearing(stt).open(AudioFormat(), "es") as ear:
        ear.push(WORD + PAUSE)
        assert await anext(ear) == SpeechBegan()
        assert stt.open_sessions == 1

    assert stt.open_sessions == stt.open_recognitions == 0
    with pytest.raises(StopAsyncIteration):
        await anext(ear)
    with pytest.raises(BadInput):
        ear.push(WORD)


async def test_what_goes_wrong_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(Broken):
        async with hearing(FakeStt()).open(AudioFormat(), "es"):
            raise Broken


async def test_a_format_that_nothing_reads_opens_no_ear() -> None:
    with pytest.raises(BadInput) as refused:
        async with hearing(FakeStt()).open(AudioFormat("pcm_s16le", 1), "es"):
            raise AssertionError
    assert refused.value.error_code == "invalid_audio"


# Whoever trails off is waited for.


async def test_words_that_want_more_are_not_cut_off() -> None:
    dictated = " ".join(map(str, range(14)))
    sound = [WORD, quiet(1000), WORD, PAUSE]
    waiting, hasty = FakeStt([dictated]), FakeStt([dictated])

    signals = await hear(hearing(waiting, is_unfinished=lambda text: len(text.split()) < 12), sound)
    await hear(hearing(hasty), sound)

    assert texts(signals) == [dictated]
    assert utterances(signals)[0].speech_ms == pytest.approx(2600, abs=64)
    assert (len(waiting.recognitions), len(hasty.recognitions)) == (1, 2)


async def test_words_that_want_more_known_only_at_the_end_are_joined_all_the_same() -> None:
    class Late(FakeRecognition):
        async def partials(self) -> AsyncIterator[str]:
            for text in ():
                yield text

    class LateStt(FakeStt):
        @asynccontextmanager
        async def recognise(self) -> AsyncIterator[FakeRecognition]:
            self.recognitions.append(Late(self, len(self.recognitions)))
            yield self.recognitions[-1]

    stt = LateStt(["calle setenta y dos número", "cuarenta y tres"])
    ears = hearing(stt, is_unfinished=lambda text: text.endswith("número"), endpoint=FakeEndpoint())

    signals = await hear(ears, [WORD, quiet(1000), WORD, PAUSE])

    assert texts(signals) == ["calle setenta y dos número cuarenta y tres"]
    assert len(stt.recognitions) == 2
    assert_well_formed(signals)


async def test_silence_ends_even_words_that_want_more() -> None:
    signals = await hear(hearing(FakeStt(["en la", "dos"]), is_unfinished=lambda _: True), [WORD, PAUSE, WORD, PAUSE])

    assert texts(signals) == ["en la", "dos"]


async def test_who_never_comes_to_the_point_is_cut() -> None:
    rules = EndpointRules(max_utterance_ms=5000)
    stt = FakeStt(["y"] * 20)
    ears = hearing(stt, rules=rules, is_unfinished=lambda _: True)

    signals = await hear(ears, [WORD, quiet(1000)] * 12)

    assert len(utterances(signals)) > 1
    assert max(utterance.speech_ms for utterance in utterances(signals)) < 8000
    assert_well_formed(signals)


async def test_an_utterance_that_sounds_complete_ends_sooner() -> None:
    endpoint = FakeEndpoint(1.0, 0.0)
    stt = FakeStt(["uno", "dos"])
    ears = hearing(stt, endpoint=endpoint)

    signals = await hear(ears, [*[WORD], *[quiet(32)] * 15, WORD, *[quiet(32)] * 40, loud(800), PAUSE])

    assert texts(signals) == ["uno", "dos"]
    assert len(stt.recognitions) == 2
    assert all(WORD[:3200] in heard for heard in endpoint.heard)


async def test_an_end_of_turn_engine_that_fails_leaves_silence_to_decide() -> None:
    signals = await hear(hearing(FakeStt(["uno"]), endpoint=FakeEndpoint(Broken())), [WORD, PAUSE])

    assert texts(signals) == ["uno"]


# Engines fail.


@pytest.mark.parametrize("fault", [{"fail": {0}}, {"crash": {0}}, {"hang": {0}}])
async def test_an_engine_that_fails_costs_one_utterance(fault: dict[str, Any]) -> None:
    stt = FakeStt(["uno", "dos"], **fault)

    patience = 0.3 if stt.hang else NEVER
    signals = await hear(hearing(stt, stt_timeout_seconds=patience), [WORD, PAUSE, WORD, PAUSE])

    lost, heard = utterances(signals)
    assert isinstance(lost.failure, SttError)
    assert lost.text == ""
    assert lost.speech_ms == pytest.approx(800, abs=64)
    assert (heard.text, heard.failure) == ("dos", None)
    assert stt.open_sessions == stt.open_recognitions == 0
    assert_well_formed(signals)


async def test_an_engine_that_cannot_be_reached_is_tried_again_when_somebody_speaks() -> None:
    stt = FakeStt(["uno"], is_unreachable=True)

    def sound() -> Iterable[bytes]:
        yield WORD + PAUSE
        yield PAUSE
        stt.is_unreachable = False
        yield WORD + PAUSE

    signals = await hear(hearing(stt), sound())

    assert texts(signals) == ["", "uno"]
    assert isinstance(utterances(signals)[0].failure, SttError)
    assert_well_formed(signals)


async def test_an_engine_that_hangs_while_it_opens_is_given_up() -> None:
    class Deaf(FakeStt):
        @asynccontextmanager
        async def open(self, hints: Any) -> AsyncIterator[FakeStt]:
            await anyio.sleep_forever()
            yield self

    signals = await hear(hearing(Deaf(), stt_timeout_seconds=0.02), [WORD, PAUSE])

    assert isinstance(utterances(signals)[0].failure, SttError)
    assert_well_formed(signals)


@pytest.mark.parametrize("where", ["feed", "pause", "partials"])
async def test_an_engine_that_crashes_in_the_middle_costs_at_most_one_utterance(where: str) -> None:
    class Crashing(FakeRecognition):
        def feed(self, audio: bytes) -> None:
            if where == "feed":
                raise Broken
            super().feed(audio)

        def pause(self) -> None:
            if where == "pause":
                raise Broken
            super().pause()

        async def partials(self) -> AsyncIterator[str]:
            if where == "partials":
                raise Broken
            async for partial in super().partials():
                yield partial

    class CrashingStt(FakeStt):
        @asynccontextmanager
        async def recognise(self) -> AsyncIterator[FakeRecognition]:
            number = len(self.recognitions)
            self.recognitions.append((FakeRecognition if number else Crashing)(self, number))
            yield self.recognitions[-1]

    signals = await hear(hearing(CrashingStt(["uno", "dos"])), [WORD, PAUSE, WORD, PAUSE])

    assert texts(signals) == (["uno", "dos"] if where == "partials" else ["", "dos"])
    assert_well_formed(signals)


async def test_a_session_that_dies_while_nobody_speaks_is_replaced() -> None:
    dies = anyio.Event()

    class Dying(FakeStt):
        @asynccontextmanager
        async def open(self, hints: Any) -> AsyncIterator[FakeStt]:
            async def die() -> None:
                await dies.wait()
                raise Broken

            async with super().open(hints) as session, anyio.create_task_group() as tasks:
                if not dies.is_set():
                    tasks.start_soon(die)
                yield session
                tasks.cancel_scope.cancel()

    def sound() -> Iterable[bytes]:
        yield WORD + PAUSE
        dies.set()
        yield PAUSE
        yield WORD + PAUSE

    signals = await hear(hearing(Dying(["uno", "dos"])), sound())

    assert texts(signals) == ["uno", "dos"]


async def test_an_engine_that_understands_nothing_makes_an_empty_utterance() -> None:
    signals = await hear(hearing(FakeStt([""])), [WORD, PAUSE])

    assert [type(signal) for signal in signals] == [SpeechBegan, Utterance]
    assert utterances(signals)[0].failure is None


async def test_speech_that_goes_on_while_the_last_words_are_understood_is_not_lost() -> None:
    slow = anyio.Event()
    stt = FakeStt(["uno", "dos", "tres"], delay=slow)
    async with hearing(stt).open(AudioFormat(), "es") as ear:
        for _ in range(3):
            ear.push(WORD + PAUSE)
        ear.finish()
        await settle(ear)
        assert len(stt.recognitions) == 1
        slow.set()
        signals = [signal async for signal in ear]

    assert texts(signals) == ["uno", "dos", "tres"]
    assert all(WORD[:3200] in recognition.audio for recognition in stt.recognitions)
    assert_well_formed(signals)


# Clients send anything.


async def test_odd_frames_are_refused_and_the_ear_goes_on() -> None:
    async with hearing(FakeStt(["uno"])).open(AudioFormat(), "es") as ear:
        for frame in (WORD, PAUSE):
            with pytest.raises(BadInput) as refused:
                ear.push(frame + b"\0")
            assert refused.value.error_code == "invalid_audio"
            ear.push(frame)
        ear.finish()
        signals = [signal async for signal in ear]

    assert texts(signals) == ["uno"]


async def test_frames_after_the_microphone_was_closed_are_refused() -> None:
    async with hearing(FakeStt(["uno"])).open(AudioFormat(), "es") as ear:
        ear.push(WORD)
        ear.finish()
        ear.finish()
        with pytest.raises(BadInput) as refused:
            ear.push(WORD)
        assert refused.value.error_code == "invalid_audio"
        signals = [signal async for signal in ear]

    assert texts(signals) == ["uno"]


@pytest.mark.parametrize("size", [6, 34, 640, 1024, 4096, 1 << 20])
async def test_frames_may_have_any_size(size: int) -> None:
    sound = quiet(500) + WORD + PAUSE + WORD + PAUSE
    frames = [sound[start : start + size] for start in range(0, len(sound), size)]

    assert texts(await hear(hearing(FakeStt(["uno", "dos"])), frames)) == ["uno", "dos"]


@pytest.mark.parametrize(
    "sound",
    [
        quiet(60_000),
        tone(440, 10_000),
        noise(10_000, 9000),
        b"\xff\x7f" * 160_000,
        b"\x00\x80\xff\x7f" * 80_000,
        WORD * 20,
    ],
    ids=["silence", "music", "hiss", "direct current", "clipping", "48 kHz stereo sent as 16 kHz mono"],
)
async def test_odd_sound_makes_whole_utterances_and_what_follows_is_heard(sound: bytes) -> None:
    stt = FakeStt(["", "", "", "", "", ""])
    signals = await hear(hearing(stt), [sound, PAUSE, WORD, PAUSE])

    assert utterances(signals)
    assert_well_formed(signals)


async def test_a_minute_of_silence_is_nothing() -> None:
    assert await hear(hearing(FakeStt(["uno"])), [quiet(60_000)]) == []


async def test_an_utterance_ends_where_the_client_sends_no_more() -> None:
    rules = replace(EndpointRules(), stall_ms=20)
    async with hearing(FakeStt(["uno", "dos"]), rules=rules).open(AudioFormat(), "es") as ear:
        for text in ("uno", "dos"):
            ear.push(WORD)
            signals = [signal async for signal in until_utterance(ear)]
            assert texts(signals) == [text]


async def until_utterance(ear: Ear) -> AsyncIterator[Signal]:
    async for signal in ear:
        yield signal
        if isinstance(signal, Utterance):
            return


async def test_a_monologue_is_cut_and_remembered_nowhere() -> None:
    class Forgetful(FakeRecognition):
        def feed(self, audio: bytes) -> None:
            assert len(audio) <= bytes_of(500, HEARING_RATE)

    class ForgetfulStt(FakeStt):
        most = 0

        @asynccontextmanager
        async def recognise(self) -> AsyncIterator[FakeRecognition]:
            yield Forgetful(self, 0)

    minute = loud(60_000)
    signals: list[Signal] = []
    kept = 0
    async with hearing(ForgetfulStt([]), endpoint=FakeEndpoint()).open(AudioFormat(), "es") as ear:

        async def read() -> None:
            signals.extend([signal async for signal in ear])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for _ in range(12):
                ear.push(minute)
                await settle(ear)
                kept = max(kept, held_bytes(ear))
            ear.finish()

    assert len(utterances(signals)) == 12
    assert max(utterance.speech_ms for utterance in utterances(signals)) <= 60_000
    assert kept < bytes_of(15_000, HEARING_RATE)
    assert_well_formed(signals)


def held_bytes(ear: Ear) -> int:
    """Return how much sound an ear has in hand."""
    waiting = ear._heard.statistics().current_buffer_used * FRAME_BYTES
    return waiting + ear._waiting_bytes + sum(map(len, ear._before)) + sum(map(len, ear._recent))


async def test_sound_that_comes_faster_than_it_is_heard_is_refused_with_a_code_and_then_taken_again() -> None:
    async with hearing(FakeStt(["uno"])).open(AudioFormat(), "es") as ear:
        with pytest.raises(RateLimited) as refused:
            for _ in range(100):
                ear.push(quiet(30_000))
        assert refused.value.error_code == "rate_limited"
        assert held_bytes(ear) < 10 << 20
        with pytest.raises(RateLimited):
            for _ in range(100_000):
                ear.push(b"\0\0")
        await settle(ear)
        ear.push(WORD + PAUSE)
        ear.finish()
        signals = [signal async for signal in ear]

    assert texts(signals) == ["uno"]


async def test_nothing_grows_where_nobody_reads_and_the_engine_hangs() -> None:
    refusals = 0
    async with hearing(FakeStt(["uno"], hang={0})).open(AudioFormat(), "es") as ear:
        for _ in range(60):
            try:
                ear.push(loud(30_000))
            except RateLimited:
                refusals += 1
            for _ in range(100):
                await anyio.lowlevel.checkpoint()

        assert refusals > 0
        assert held_bytes(ear) < 12 << 20


async def test_others_have_their_turn_while_a_minute_is_heard_at_once() -> None:
    vad = FakeVad()
    steps: list[int] = []
    async with hearing(FakeStt(), vad=vad).open(AudioFormat(), "es") as ear:
        ear.push(quiet(60_000)[: 1 << 20])
        while ear._waiting_bytes:
            before = vad.frames
            await anyio.lowlevel.checkpoint()
            steps.append(vad.frames - before)

    assert max(steps) <= 2
    assert sum(steps) == (1 << 20) // FRAME_BYTES


MOMENTS = st.lists(
    st.tuples(st.sampled_from([loud, quiet]), st.integers(1, 60).map(lambda frames: frames * 32)), max_size=10
)
NUMBERS = st.frozensets(st.integers(0, 5))


@settings(max_examples=30, deadline=None)
@given(MOMENTS, st.integers(100, 40_000).map(lambda samples: samples * 2), NUMBERS, NUMBERS, st.booleans())
async def test_whatever_is_said_and_fails_every_beginning_has_one_end(
    moments: list[tuple[Callable[[float], bytes], int]],
    size: int,
    fail: frozenset[int],
    crash: frozenset[int],
    wants_more: bool,
) -> None:
    sound = b"".join(make(milliseconds) for make, milliseconds in moments)
    stt = FakeStt([f"utterance {number}" for number in range(20)], fail=fail, crash=crash)
    ears = hearing(stt, is_unfinished=lambda _: wants_more, rules=EndpointRules(max_utterance_ms=4000))

    signals = await hear(ears, [sound[start : start + size] for start in range(0, len(sound), size)])

    assert_well_formed(signals)
    for utterance in utterances(signals):
        assert bool(utterance.text) != bool(utterance.failure)
        assert 0 < utterance.speech_ms <= 8000
    understood = " ".join(texts(signals)).split()[1::2]
    if not wants_more:
        assert understood == [str(number) for number in range(len(stt.recognitions)) if number not in fail | crash]
    assert stt.open_sessions == stt.open_recognitions == 0
