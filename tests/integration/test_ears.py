"""Ears with the real codecs, voice activity and end of turn; only understanding is played."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from app.engines.codecs.formats import open_decoder
from app.engines.codecs.resampling import Resampler
from app.engines.endpoint.smart_turn import SmartTurn
from app.engines.vad.energy import EnergyVad
from app.engines.vad.silero import SileroVad
from app.models.audio import AudioFormat
from app.pipeline.endpointing import EndpointRules
from app.pipeline.hearing import Hearing, Signal, SpeechBegan, Utterance
from app.taxi.reading import is_unfinished
from tests.fakes import FakeStt, quiet
from tests.sounds import mulaw, noise, opus_packets, spoken_word

pytestmark = pytest.mark.integration

VADS = {"silero": SileroVad, "energy": EnergyVad}


def at_48_khz(sound: bytes) -> bytes:
    samples = np.frombuffer(sound, np.int16)
    return np.interp(np.arange(len(samples) * 3) / 3, np.arange(len(samples)), samples).astype(np.int16).tobytes()


def at_8_khz(sound: bytes) -> bytes:
    return np.frombuffer(sound, np.int16)[::2].tobytes()


def in_blocks(sound: bytes, size: int) -> list[bytes]:
    return [sound[start : start + size] for start in range(0, len(sound), size)]


MICROPHONES: dict[str, tuple[AudioFormat, Callable[[bytes], list[bytes]]]] = {
    "pcm_16": (AudioFormat(), lambda sound: in_blocks(sound, 640)),
    "pcm_48": (AudioFormat("pcm_s16le", 48_000), lambda sound: in_blocks(at_48_khz(sound), 1920)),
    "mulaw_8": (AudioFormat("mulaw", 8_000), lambda sound: in_blocks(mulaw(at_8_khz(sound)), 160)),
    "opus_mono": (AudioFormat("opus", 48_000), lambda sound: opus_packets(at_48_khz(sound))),
    "opus_stereo": (AudioFormat("opus", 48_000), lambda sound: opus_packets(at_48_khz(sound), channels=2)),
}


@pytest.mark.parametrize("vad", VADS.values(), ids=VADS.keys())
@pytest.mark.parametrize(("audio", "frames"), MICROPHONES.values(), ids=MICROPHONES.keys())
async def test_a_word_is_one_utterance_whatever_the_microphone(
    vad: type[SileroVad | EnergyVad], audio: AudioFormat, frames: Callable[[bytes], list[bytes]]
) -> None:
    sound = quiet(1000) + spoken_word() + quiet(2000) + noise(1000, 30) + spoken_word() + noise(2000, 30)
    package = find_spec("pipecat.audio.turn.smart_turn")
    assert package is not None
    assert package.origin is not None
    stt = FakeStt(["uno", "dos"])
    ears = Hearing(
        decoders=open_decoder,
        vad=vad(),
        stt=stt,
        endpoint=SmartTurn(Path(package.origin).parent / "data" / "smart-turn-v3.2-cpu.onnx"),
        rules=EndpointRules(),
        is_unfinished=is_unfinished,
        stt_timeout_seconds=10,
    )
    async with ears.open(audio, "es") as ear:
        for frame in frames(sound):
            ear.push(frame)
        ear.finish()
        signals: list[Signal] = [signal async for signal in ear]

    said = [signal for signal in signals if isinstance(signal, Utterance)]
    assert [utterance.text for utterance in said] == ["uno", "dos"]
    assert sum(isinstance(signal, SpeechBegan) for signal in signals) == 2
    assert all(250 < utterance.speech_ms < 600 for utterance in said)


def test_a_resampled_word_is_the_same_word() -> None:
    word = spoken_word()
    back = Resampler(48_000).resample(np.frombuffer(at_48_khz(word), np.int16))
    one, other = (np.frombuffer(sound, np.int16).astype(float) for sound in (word, back))
    size = min(len(one), len(other))

    assert max(np.correlate(one[:size], other[:size], "full")) > 0.97 * np.linalg.norm(one) * np.linalg.norm(other)
