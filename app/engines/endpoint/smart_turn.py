"""Smart Turn v3: a small network that hears from the melody of the last seconds whether a speaker is done."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from anyio import CapacityLimiter, to_thread
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE

_SAMPLES = 8 * HEARING_RATE
"""What the network hears: the end of the utterance, with silence before it where that is shorter."""
_AT_ONCE = 1
"""Judgements at a time in this process. Each takes some 30 milliseconds of one processor, and is of no use late."""

Floats = NDArray[np.float32]


class SmartTurn:
    """Loads the network once for all microphones.

    Args:
        weights: The network's file, ``smart-turn-v3.*.onnx``.
    """

    name = "smart_turn"

    def __init__(self, weights: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._network = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._limiter = CapacityLimiter(_AT_ONCE)
        _filters()

    async def completeness(self, utterance: bytes) -> float:
        """Return how likely the rider is done, from 0 to 1."""
        return await to_thread.run_sync(partial(self._judge, utterance), limiter=self._limiter)

    def _judge(self, utterance: bytes) -> float:
        (probability,) = self._network.run(None, {"input_features": log_mel(utterance)[np.newaxis]})
        return float(probability[0, 0])


# What the network reads: the logarithm of how much sound lies in each of 80 bands, a hundred times a second.

_WINDOW = 400
_HOP = 160
_BANDS = 80
_FLOOR = 1e-10
_LINEAR_BELOW_HERTZ, _MEL_PER_HERTZ, _MEL_PER_E = 1000.0, 3 / 200, 27 / np.log(6.4)


def log_mel(utterance: bytes) -> Floats:
    """Return the features of the last eight seconds of mono ``pcm_s16le`` at ``HEARING_RATE``.

    They are those of Whisper: 80 bands of Slaney's mel scale by 800 moments, of sound that was brought to mean 0 and
    variance 1.
    """
    heard = np.frombuffer(utterance[-_SAMPLES * BYTES_PER_SAMPLE :], "<i2").astype(np.float32) / np.float32(32768)
    sound = np.zeros(_SAMPLES, np.float32)
    sound[len(sound) - len(heard) :] = heard
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
    padded = np.pad(sound.astype(np.float64), _WINDOW // 2, mode="reflect")
    moments = sliding_window_view(padded, _WINDOW)[::_HOP][:-1]
    power = np.abs(np.fft.rfft(moments * np.hanning(_WINDOW + 1)[:-1])) ** 2
    bands = np.log10(np.maximum(power @ _filters(), _FLOOR)).T
    features: Floats = ((np.maximum(bands, bands.max() - 8) + 4) / 4).astype(np.float32)
    return features


@cache
def _filters() -> NDArray[np.float64]:
    """Return how much each frequency of a moment adds to each band: triangles of equal area, side by side in mel."""
    hertz = np.linspace(0, HEARING_RATE / 2, _WINDOW // 2 + 1)
    highest = _LINEAR_BELOW_HERTZ * _MEL_PER_HERTZ + np.log(HEARING_RATE / 2 / _LINEAR_BELOW_HERTZ) * _MEL_PER_E
    corners = _to_hertz(np.linspace(0, highest, _BANDS + 2))
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (hertz[:, np.newaxis] - left) / (middle - left)
    falling = (right - hertz[:, np.newaxis]) / (right - middle)
    triangles: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return triangles


def _to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies of Slaney's scale: even up to 1 kHz, by ratios above."""
    knee = _LINEAR_BELOW_HERTZ * _MEL_PER_HERTZ
    above = _LINEAR_BELOW_HERTZ * np.exp((mel - knee) / _MEL_PER_E)
    return np.where(mel < knee, mel / _MEL_PER_HERTZ, above)
