"""What was sent, what was heard, and what of the answer that is."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.models.audio import SPEAKING_RATE, bytes_of
from app.pipeline.playback import CHUNK_MS, Playback

pytestmark = pytest.mark.unit

LEAD_MS = 1500
WORDS = "Hola, te recogemos en la Calle setenta y dos. "


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def sound(milliseconds: float) -> bytes:
    return b"\1\2" * (bytes_of(milliseconds, SPEAKING_RATE) // 2)


def speak(playback: Playback, text: str, milliseconds: float, start: int = 0) -> None:
    playback.begin(start, start + len(text))
    playback.add(sound(milliseconds))
    playback.end()


def send_all(playback: Playback) -> list[tuple[int, int]]:
    """Return what is sent now: offset and length, in milliseconds."""
    sent = []
    while (piece := playback.send(LEAD_MS)) is not None:
        sent.append((piece[0], len(piece[1]) * 1000 // (2 * SPEAKING_RATE)))
    return sent


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def playback(clock: Clock) -> Playback:
    return Playback(clock)


def test_sound_is_sent_at_once_and_then_at_the_pace_of_hearing(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)

    assert send_all(playback) == [(start, CHUNK_MS) for start in range(0, 1500, 100)]
    assert playback.due_seconds(LEAD_MS) == pytest.approx(0.05 + 0.1, abs=0.002)  # the client's jitter buffer first
    clock.seconds += 0.05 + 0.25
    assert [start for start, _ in send_all(playback)] == [1500, 1600]


def test_without_a_word_from_the_client_the_clock_says_what_was_heard(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    clock.seconds += 1.05

    assert playback.heard_ms == pytest.approx(1000, abs=1)


def test_the_clock_stands_while_there_is_nothing_to_play(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 500)
    send_all(playback)
    clock.seconds += 10
    speak(playback, WORDS, 500, len(WORDS))
    send_all(playback)
    clock.seconds += 0.15

    assert playback.heard_ms == pytest.approx(600, abs=1)


def test_a_client_that_says_what_it_played_has_played_little_more(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    clock.seconds += 0.4
    playback.acknowledge(200)
    clock.seconds += 0.1
    assert playback.heard_ms == pytest.approx(350, abs=1)  # by the clock it was 350, and nothing is unheard
    clock.seconds += 2

    assert playback.heard_ms == 500


@pytest.mark.parametrize("said", [-(10**9), -1, 0, 10**9])
def test_whatever_a_client_says_it_heard_no_more_than_was_sent(playback: Playback, clock: Clock, said: int) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    playback.acknowledge(said)

    assert 0 <= playback.heard_ms <= 1500


def test_held_sound_stops_at_once_and_goes_on_from_what_was_heard(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    clock.seconds += 0.75

    assert playback.hold()
    assert playback.is_held
    assert not playback.is_audible
    assert playback.notice() == pytest.approx(700, abs=1)
    assert playback.notice() is None
    clock.seconds += 5
    assert send_all(playback) == []
    assert playback.heard_ms == pytest.approx(700, abs=1)
    assert playback.hold()
    assert playback.notice() is None

    playback.resume()
    assert send_all(playback)[0][0] == playback.heard_ms
    assert playback.is_audible


def test_a_client_that_played_on_until_it_was_told_need_not_hear_that_again(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    clock.seconds += 0.55
    playback.hold()
    playback.acknowledge(640)
    playback.resume()

    assert send_all(playback)[0][0] == 640


def test_a_client_that_comes_back_says_from_where(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    clock.seconds += 1.05
    playback.resume(from_ms=200)

    assert send_all(playback)[0][0] == 200
    assert playback.heard_ms == pytest.approx(1000, abs=1)


def test_where_nothing_is_left_to_hear_nothing_can_be_held(playback: Playback, clock: Clock) -> None:
    assert playback.remaining_ms is None
    speak(playback, WORDS, 300)
    playback.finish()
    send_all(playback)
    assert playback.remaining_ms == 300
    clock.seconds += 1

    assert playback.remaining_ms == 0
    assert not playback.hold()
    assert playback.is_over
    assert playback.heard(WORDS) == WORDS


def test_before_the_first_sound_there_is_something_to_stop_but_nothing_to_drop(playback: Playback) -> None:
    assert playback.hold()
    assert playback.notice() is None
    speak(playback, WORDS, 300)
    assert send_all(playback) == []
    playback.resume()
    assert send_all(playback) == [(0, 100), (100, 100), (200, 100)]


def test_a_concluded_answer_was_heard(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    playback.hold()
    playback.conclude()

    assert playback.heard(WORDS + "Y más.") == WORDS + "Y más."
    assert playback.is_over
    assert (playback.is_held, playback.is_audible, playback.remaining_ms) == (False, False, 0)
    assert send_all(playback) == []
    assert playback.cut() is None


def test_of_a_sentence_whole_words_were_heard_by_the_time(playback: Playback, clock: Clock) -> None:
    text = "Uno dos tres cuatro. Cinco."
    speak(playback, "Uno dos tres cuatro.", 1000)
    speak(playback, " Cinco.", 500, 20)
    playback.finish()
    send_all(playback)
    heard = []
    clock.seconds += 0.05
    for _ in range(17):
        heard.append(playback.heard(text))
        clock.seconds += 0.1

    assert list(dict.fromkeys(heard)) == ["", "Uno", "Uno dos", "Uno dos tres", "Uno dos tres cuatro.", text]


def test_a_filler_is_no_part_of_the_answer(playback: Playback, clock: Clock) -> None:
    speak(playback, "Hola.", 500)
    playback.begin(0, 0)
    playback.add(sound(500))
    playback.end()
    speak(playback, " Listo.", 500, 5)
    send_all(playback)
    clock.seconds += 0.05 + 0.9

    assert playback.heard("Hola. Listo.") == "Hola."


def test_what_was_never_to_be_spoken_is_read(playback: Playback, clock: Clock) -> None:
    speak(playback, "Hola.", 500)
    playback.finish()
    send_all(playback)
    clock.seconds += 0.3
    assert playback.heard("Hola. Y mucho más.") == ""
    clock.seconds += 1

    assert playback.heard("Hola. Y mucho más.") == "Hola. Y mucho más."


def test_a_client_that_falls_silent_is_given_a_second(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 1000)
    playback.finish()
    send_all(playback)
    clock.seconds += 0.3
    playback.acknowledge(300)
    clock.seconds += 1.6
    assert not playback.is_over
    assert playback.due_seconds(LEAD_MS) == pytest.approx(0.1, abs=0.002)
    clock.seconds += 0.2

    assert playback.is_over


def test_a_client_cannot_make_an_answer_last_for_ever(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 1000)
    playback.finish()
    send_all(playback)
    started = clock.seconds
    played = 0
    while not playback.is_over and played < 1000:
        clock.seconds += 0.2
        played += 1
        playback.acknowledge(played)

    assert clock.seconds - started < 60


def test_a_cut_says_what_the_client_must_drop(playback: Playback, clock: Clock) -> None:
    speak(playback, WORDS, 3000)
    send_all(playback)
    clock.seconds += 1.05

    assert playback.cut() == pytest.approx(1000, abs=1)
    clock.seconds += 5
    playback.finish()
    assert playback.heard_ms == pytest.approx(1000, abs=1)
    assert playback.heard(WORDS) == "Hola, te"
    assert playback.cut() is None
    assert not playback.hold()


class Listening(RuleBasedStateMachine):
    """Anything may be done to a playback, in any order."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.playback = Playback(self.clock)
        self.text = ""
        self.sent = 0
        self.heard = 0
        self.heard_text = ""
        self.expected: int | None = 0
        self.is_over = False

    @rule(
        words=st.sampled_from(["Hola.", " Te recogemos ya.", " ¿Sí?", "¡Claro!", " 🚕."]), length=st.integers(0, 2500)
    )
    def make(self, words: str, length: int) -> None:
        if not self.is_over:
            speak(self.playback, words, length, len(self.text))
            self.text += words

    @rule(seconds=st.floats(0, 4))
    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    @rule()
    def send(self) -> None:
        for offset, length in send_all(self.playback):
            if self.expected is not None:
                assert offset == self.expected
            self.expected = offset + length
            self.sent = max(self.sent, self.expected)

    @rule(played=st.integers(-100, 10_000))
    def acknowledge(self, played: int) -> None:
        was_held = self.playback.is_held
        self.playback.acknowledge(played)
        if was_held:
            self.expected = None

    @rule()
    def hold(self) -> None:
        if self.playback.hold():
            assert self.playback.is_held
            assert self.playback.send(LEAD_MS) is None
            notice = self.playback.notice()
            assert notice is None or notice == self.playback.heard_ms
        self.expected = None

    @precondition(lambda self: self.playback.is_held)
    @rule()
    def resume(self) -> None:
        heard = self.playback.heard_ms
        self.playback.resume()
        assert not self.playback.is_held
        self.expected = heard

    @rule(from_ms=st.integers(-10, 20_000))
    def resume_from(self, from_ms: int) -> None:
        self.playback.resume(from_ms)
        self.expected = None

    @rule()
    def finish(self) -> None:
        self.playback.finish()
        self.is_over = True

    @rule(rare=st.integers(0, 9))
    def conclude(self, rare: int) -> None:
        if rare == 0:
            self.playback.conclude()
            self.is_over = True

    @rule(rare=st.integers(0, 9))
    def cut(self, rare: int) -> None:
        if rare == 0:
            self.playback.cut()
            self.is_over = True

    @invariant()
    def what_was_heard_was_sent_and_grows(self) -> None:
        heard = self.playback.heard_ms
        assert self.heard <= heard <= self.sent
        self.heard = heard

    @invariant()
    def what_was_heard_is_a_growing_prefix_of_whole_words(self) -> None:
        heard = self.playback.heard(self.text)
        assert self.text.startswith(heard)
        assert heard.startswith(self.heard_text)
        rest = self.text[len(heard) :]
        assert not rest or not heard or rest[0].isspace() or heard[-1] in ".?!"
        self.heard_text = heard

    @invariant()
    def somebody_wakes_up_until_it_is_over(self) -> None:
        if self.playback.is_held or not self.is_over or self.playback.is_over:
            return
        assert self.playback.due_seconds(LEAD_MS) is not None


Listening.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestListening = Listening.TestCase
