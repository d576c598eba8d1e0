"""Held to pipecat, whose wheel has the weights."""

import warnings
from importlib.resources import files
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from app.engines.endpoint.base import EndpointEngine
from app.engines.endpoint.smart_turn import SmartTurn, log_mel
from tests.fakes import loud, quiet
from tests.sounds import noise, spoken_word, tone

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features
    from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

pytestmark = pytest.mark.unit

SOUNDS = {
    "a word": spoken_word(),
    "a word and a pause": quiet(3000) + spoken_word() + quiet(160),
    "hiss": noise(5000, 500),
    "a tone": tone(440, 8000),
    "too much": loud(4000) + noise(9000, 3000) + spoken_word(),
    "silence": quiet(500),
    "nothing": b"",
}


@pytest.fixture(scope="module")
def engine() -> EndpointEngine:
    return SmartTurn(Path(str(files("pipecat.audio.turn.smart_turn.data").joinpath("smart-turn-v3.2-cpu.onnx"))))


def floats(sound: bytes) -> np.ndarray:
    """As pipecat prepares them: the last eight seconds, silence before."""
    samples = np.frombuffer(sound, np.int16).astype(np.float32)[-128_000:] / 32768
    return np.pad(samples, (128_000 - len(samples), 0))


@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS.keys())
def test_features_are_those_that_the_network_was_trained_on(sound: bytes) -> None:
    assert np.allclose(log_mel(sound), compute_whisper_log_mel_features(floats(sound)), atol=1e-4)


@pytest.mark.parametrize("sound", [sound for sound in SOUNDS.values() if sound])
async def test_completeness_is_what_pipecat_finds(engine: EndpointEngine, sound: bytes) -> None:
    theirs = LocalSmartTurnAnalyzerV3(sample_rate=16_000)._predict_endpoint(floats(sound))["probability"]

    assert await engine.completeness(sound) == pytest.approx(theirs, abs=0.01)


async def test_judgements_leave_the_loop_free(engine: EndpointEngine) -> None:
    turns = 0
    judged = anyio.Event()

    async def count() -> None:
        nonlocal turns
        while not judged.is_set():
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        assert 0 <= await engine.completeness(spoken_word()) <= 1
        judged.set()

    assert turns > 10
