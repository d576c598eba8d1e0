from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.endpointing import (
    FRAME_MS,
    Began,
    Change,
    Ended,
    Endpointer,
    EndpointRules,
    Paused,
    Resumed,
    Settled,
)

pytestmark = pytest.mark.unit

RULES = EndpointRules()
SURE = 1.0


def frames(milliseconds: int) -> int:
    return -(-milliseconds // FRAME_MS)


def play(endpointer: Endpointer, *parts: tuple[float, int]) -> list[tuple[int, Change]]:
    """Push probabilities for so many milliseconds each; return the changes, each with when it came."""
    changes = []
    clock = 0
    for probability, milliseconds in parts:
        for _ in range(frames(milliseconds)):
            clock += FRAME_MS
            change = endpointer.push(probability)
            if change is not None:
                changes.append((clock, change))
    return changes


def kinds(changes: list[tuple[int, Change]]) -> list[type]:
    return [type(change) for _, change in changes]


def test_an_utterance_begins_pauses_ends_and_settles() -> None:
    changes = play(Endpointer(RULES), (0, 640), (1, 960), (0, 3200))

    assert changes == [
        (768, Began(640)),
        (1760, Paused()),
        (2368, Ended(1600, may_go_on=True)),
        (3008, Settled()),
    ]


def test_a_click_begins_nothing() -> None:
    assert play(Endpointer(RULES), *[(1, 96), (0, 64)] * 50) == []


def test_a_short_yes_is_an_utterance() -> None:
    assert kinds(play(Endpointer(RULES), (0, 320), (1, 192), (0, 2000))) == [Began, Paused, Ended, Settled]


def test_who_goes_on_in_time_is_not_cut_off() -> None:
    changes = play(Endpointer(RULES), (1, 960), (0, 600), (1, 960), (0, 3200))

    assert kinds(changes) == [Began, Paused, Resumed, Paused, Ended, Settled]


def test_a_click_in_a_pause_does_not_lengthen_it() -> None:
    with_click = play(Endpointer(RULES), (1, 960), (0, 320), (1, 32), (0, 3200))
    without = play(Endpointer(RULES), (1, 960), (0, 3552))

    assert with_click == without


def test_a_voice_between_release_and_threshold_goes_on_but_begins_nothing() -> None:
    assert play(Endpointer(RULES), (0.4, 5000)) == []
    assert kinds(play(Endpointer(RULES), (0.6, 320), (0.4, 5000))) == [Began]


@pytest.mark.parametrize(
    ("completeness", "wait"), [(1.0, 400), (0.5, 900), (0.0, 1400), (None, 750), (7.0, 400), (-7.0, 1400)]
)
def test_the_wait_is_the_shorter_the_more_complete_it_sounds(completeness: float | None, wait: int) -> None:
    endpointer = Endpointer(RULES)
    play(endpointer, (1, 960), (0, 160))
    if completeness is not None:
        endpointer.hint_completeness(completeness)
    (ended_at, ended), *_ = play(endpointer, (0, 5000))

    assert isinstance(ended, Ended)
    assert 160 + ended_at == frames(wait) * FRAME_MS


def test_words_that_want_more_wait_longest_however_complete_they_sound() -> None:
    endpointer = Endpointer(RULES)
    play(endpointer, (1, 960), (0, 160))
    endpointer.hint_completeness(SURE)
    endpointer.hint_unfinished(is_unfinished=True)
    (ended_at, ended), *_ = play(endpointer, (0, 5000))

    assert ended == Ended(960, may_go_on=False)
    assert 160 + ended_at == frames(RULES.max_silence_ms) * FRAME_MS


def test_words_that_become_complete_in_the_pause_end_it() -> None:
    endpointer = Endpointer(RULES)
    play(endpointer, (1, 960))
    endpointer.hint_unfinished(is_unfinished=True)
    assert kinds(play(endpointer, (0, 960))) == [Paused]
    endpointer.hint_unfinished(is_unfinished=False)

    assert kinds(play(endpointer, (0, 32))) == [Ended]


def test_how_complete_it_sounded_is_forgotten_when_it_goes_on() -> None:
    endpointer = Endpointer(RULES)
    play(endpointer, (1, 960), (0, 160))
    endpointer.hint_completeness(SURE)
    play(endpointer, (1, 320))

    assert endpointer.wait_ms == 750


def test_hints_outside_of_an_utterance_say_nothing() -> None:
    endpointer = Endpointer(RULES)
    endpointer.hint_completeness(SURE)
    endpointer.hint_unfinished(is_unfinished=True)

    assert kinds(play(endpointer, (1, 960), (0, 800))) == [Began, Paused, Ended]


def test_an_hour_of_speech_is_cut_into_minutes() -> None:
    changes = play(Endpointer(RULES), (1, 3_600_000))

    ends = [change for _, change in changes if isinstance(change, Ended)]
    begins = [change for _, change in changes if isinstance(change, Began)]
    assert len(ends) == 60
    assert not any(end.may_go_on for end in ends)
    assert [end.at_ms for end in ends[:-1]] == [began.at_ms for began in begins[1:]][: len(ends) - 1]


def test_an_utterance_ends_where_the_sound_does() -> None:
    endpointer = Endpointer(RULES)
    play(endpointer, (1, 960), (0, 64))

    assert endpointer.finish() == Ended(960, may_go_on=False)
    assert endpointer.finish() is None
    assert kinds(play(endpointer, (0, 2000))) == []


def test_silence_settles_once_or_at_the_end_of_all_sound() -> None:
    endpointer = Endpointer(RULES)

    assert kinds(play(endpointer, (1, 960), (0, 800))) == [Began, Paused, Ended]
    assert endpointer.finish() == Settled()
    assert endpointer.finish() is None


SOUND = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.45, 0.6, 1.0]), st.integers(1, 60)), max_size=40).map(
    lambda runs: [probability for probability, length in runs for _ in range(length)]
)
RULE_SETS = st.builds(
    lambda minimum, more, start, pause, longest: EndpointRules(
        min_silence_ms=minimum,
        max_silence_ms=minimum + more,
        start_ms=start,
        pause_ms=pause,
        max_utterance_ms=longest,
    ),
    st.integers(100, 1000),
    st.integers(0, 2000),
    st.integers(32, 320),
    st.integers(32, 500),
    st.integers(1000, 10_000),
)
HINTS = st.lists(st.one_of(st.none(), st.booleans(), st.floats(0, 1)), max_size=200)


@settings(max_examples=300)
@given(SOUND, RULE_SETS, HINTS)
def test_every_beginning_has_one_end_after_it_and_nothing_lasts_for_ever(
    sound: list[float], rules: EndpointRules, hints: list[bool | float | None]
) -> None:
    endpointer = Endpointer(rules)
    began: Began | None = None
    last_end = 0
    is_paused = awaits_settling = False
    silence = 0
    for number, probability in enumerate([*sound, None]):
        change = endpointer.finish() if probability is None else endpointer.push(probability)
        hint = hints[number % len(hints)] if hints else None
        if isinstance(hint, bool):
            endpointer.hint_unfinished(is_unfinished=hint)
        elif hint is not None:
            endpointer.hint_completeness(hint)
        now = (number + 1) * FRAME_MS
        silence = 0 if probability is not None and probability >= rules.release else silence + FRAME_MS
        match change:
            case Began(at_ms):
                assert began is None
                assert last_end <= at_ms <= now - rules.start_ms
                began, is_paused, awaits_settling = change, False, False
            case Paused():
                assert began is not None
                assert not is_paused
                is_paused = True
            case Resumed():
                assert began is not None
                assert is_paused
                is_paused = False
            case Ended(at_ms, may_go_on):
                assert began is not None
                assert began.at_ms < at_ms <= now
                assert at_ms - began.at_ms <= frames(rules.max_utterance_ms) * FRAME_MS
                began, last_end, is_paused, awaits_settling = None, at_ms, False, may_go_on
            case Settled():
                assert began is None
                assert awaits_settling
                awaits_settling = False
        assert endpointer.is_speaking == (began is not None)
        if began is not None:
            assert silence <= max(rules.max_silence_ms, rules.pause_ms + FRAME_MS) + FRAME_MS
            assert now - began.at_ms < rules.max_utterance_ms + FRAME_MS
        if awaits_settling:
            assert silence < rules.max_silence_ms + FRAME_MS
    assert began is None
    assert not awaits_settling


@given(SOUND, st.floats(0, 1))
def test_no_hint_ends_an_utterance_before_its_least_silence(sound: list[float], completeness: float) -> None:
    endpointer = Endpointer(replace(RULES, max_utterance_ms=10**9))
    for number, probability in enumerate(sound):
        change = endpointer.push(probability)
        endpointer.hint_completeness(completeness)
        if isinstance(change, Ended):
            assert (number + 1) * FRAME_MS - change.at_ms >= RULES.min_silence_ms


def test_what_it_remembers_does_not_grow() -> None:
    endpointer = Endpointer(RULES)
    play(endpointer, (1, 10_000))
    size = len(vars(endpointer))
    play(endpointer, (1, 600_000))

    assert len(vars(endpointer)) == size
    assert not any(isinstance(value, (list, dict, set, bytes)) for value in vars(endpointer).values())
