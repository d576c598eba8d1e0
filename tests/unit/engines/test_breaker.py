"""How long an engine is left alone that failed, and how fast a voice is thought to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.breaker import Breaker
from app.engines.tts.fallback import Pace

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_an_engine_is_trusted_until_it_fails_and_again_when_it_works() -> None:
    breaker = Breaker(Clock())
    assert breaker.is_trusted

    breaker.failed()
    assert not breaker.is_trusted

    breaker.worked()
    assert breaker.is_trusted
    assert not breaker.claim_trial()


def test_it_rests_twice_as_long_each_time_up_to_five_minutes() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    rests = []
    for _ in range(9):
        breaker.failed()
        began = clock.seconds
        while not breaker.claim_trial():
            clock.seconds += 1
        rests.append(clock.seconds - began)

    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_one_at_a_time_may_try_it_out() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    clock.seconds += 5

    assert [breaker.claim_trial() for _ in range(3)] == [True, False, False]
    clock.seconds += 5  # nobody said how that went
    assert breaker.claim_trial()


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=12), st.floats(0, 20_000))
def test_what_is_left_of_a_sentence_is_its_end_in_whole_words(words: list[str], spoken: float) -> None:
    text = " ".join(words)
    rest = Pace().rest(text, spoken)

    assert text.endswith(rest)
    assert rest.split() == words[len(words) - len(rest.split()) :]
    assert spoken > 0 or rest == text


def test_a_voices_own_pace_is_learnt() -> None:
    pace = Pace()
    pace.learn("diez letras", 11 * 20)

    assert pace.rest("una frase de prueba", 20 * 4) == "de prueba"
