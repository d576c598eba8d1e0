"""What every voice activity engine does."""

import pytest

from app.engines.vad.base import FRAME_BYTES, VadEngine, VoiceActivity
from app.engines.vad.energy import EnergyVad
from app.engines.vad.silero import SileroVad
from tests.fakes import FakeVad, quiet
from tests.sounds import noise, spoken_word, tone

pytestmark = pytest.mark.contract

ENGINES = {"silero": SileroVad, "energy": EnergyVad, "fake": FakeVad}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys(), scope="module")
def engine(request: pytest.FixtureRequest) -> VadEngine:
    """Every engine."""
    return request.param()


def probabilities(activity: VoiceActivity, sound: bytes) -> list[float]:
    whole = len(sound) - len(sound) % FRAME_BYTES
    return [activity.probability(sound[start : start + FRAME_BYTES]) for start in range(0, whole, FRAME_BYTES)]


def test_a_word_is_speech_and_the_silence_around_it_is_not(engine: VadEngine) -> None:
    heard = probabilities(engine.open(), quiet(1600) + spoken_word() + quiet(1600))

    assert max(heard[:50]) < 0.3
    assert sum(probability > 0.5 for probability in heard[50:75]) >= 8
    assert max(heard[-40:]) < 0.3


def test_a_probability_is_one(engine: VadEngine) -> None:
    clipped = tone(300, 500, amplitude=32767).replace(b"\x00\x00", b"\xff\x7f")
    for sound in (quiet(500), noise(500, 30), noise(500, 12_000), clipped, b"\xff\x7f\x00\x80" * 8000, spoken_word()):
        assert all(0 <= probability <= 1 for probability in probabilities(engine.open(), sound))


def test_a_word_is_heard_after_a_minute_of_silence(engine: VadEngine) -> None:
    activity = engine.open()

    assert max(probabilities(activity, quiet(60_000))) < 0.3
    assert sum(probability > 0.5 for probability in probabilities(activity, spoken_word())) >= 8


def test_who_forgets_hears_like_one_who_was_just_opened(engine: VadEngine) -> None:
    fresh, used = engine.open(), engine.open()
    probabilities(used, noise(1000, 2000))
    used.reset()

    assert probabilities(used, spoken_word()) == probabilities(fresh, spoken_word())


def test_microphones_do_not_hear_each_other(engine: VadEngine) -> None:
    alone = probabilities(engine.open(), spoken_word())
    one, other = engine.open(), engine.open()
    word, hiss = spoken_word(), noise(1000, 6000)
    together = []
    for start in range(0, len(word) - FRAME_BYTES + 1, FRAME_BYTES):
        together.append(one.probability(word[start : start + FRAME_BYTES]))
        other.probability(hiss[start : start + FRAME_BYTES])

    assert together == alone


def test_a_steady_hum_is_learned() -> None:
    activity = EnergyVad().open()
    heard = probabilities(activity, noise(20_000, 300))

    assert max(heard[-300:]) < 0.5


def test_silero_takes_neither_hiss_nor_tones_for_speech() -> None:
    engine = SileroVad()
    for sound in (noise(5000, 300), noise(5000, 6000), tone(440, 5000), tone(1000, 5000, amplitude=30_000)):
        assert sum(probability > 0.5 for probability in probabilities(engine.open(), sound)) <= 5
