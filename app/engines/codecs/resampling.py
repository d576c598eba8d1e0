"""Any sample rate into the one that recognisers hear, piece by piece and at once."""

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from app.models.audio import HEARING_RATE

Samples = NDArray[np.int16]
Coded = TypeVar("Coded", bound=np.generic)

_PIECE_MS = 100
_QUALITY = "QQ"
"""Cubic interpolation: the better qualities hold back 20 to 110 ms of a live stream. What they filter, we do."""
_LOBES = 11


def cut(samples: NDArray[Coded], rate: int) -> Iterator[NDArray[Coded]]:
    """Yield samples in pieces that are small enough to be converted in one go."""
    size = rate * _PIECE_MS // 1000
    return (samples[start : start + size] for start in range(0, len(samples), size))


class Resampler:
    """Brings one stream of samples to ``HEARING_RATE``.

    The interpolation neither keeps out what the lower rate cannot hold nor what the higher one must not, so a short
    low-pass filter runs at the higher of the two rates. It delays sound by about a millisecond.

    Args:
        rate: Samples per second of what comes.
    """

    def __init__(self, rate: int) -> None:
        self._comes_faster = rate > HEARING_RATE
        self._stream: Any = None
        if rate != HEARING_RATE:
            self._stream = soxr.ResampleStream(rate, HEARING_RATE, 1, "int16", _QUALITY)
        self._filter = _low_pass(rate)
        self._past = np.zeros(len(self._filter) - 1, np.float32)

    def resample(self, samples: Samples) -> bytes:
        """Return what comes next at the other rate; perhaps nothing yet."""
        if self._stream is None:
            return samples.tobytes()
        if self._comes_faster:
            return self._interpolate(self._smooth(samples)).tobytes()
        return self._smooth(self._interpolate(samples)).tobytes()

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        if self._stream is None:
            return b""
        tail = np.zeros(len(self._filter) // 2, np.int16)
        if self._comes_faster:
            return self._interpolate(self._smooth(tail), is_last=True).tobytes()
        last = self._interpolate(tail[:0], is_last=True)
        return self._smooth(np.concatenate([last, tail])).tobytes()

    def _interpolate(self, samples: Samples, *, is_last: bool = False) -> Samples:
        interpolated: Samples = self._stream.resample_chunk(samples, last=is_last)
        return interpolated

    def _smooth(self, samples: Samples) -> Samples:
        if not len(samples):
            return samples
        signal = np.concatenate([self._past, samples.astype(np.float32)])
        self._past = signal[len(signal) - len(self._past) :]
        smooth = np.convolve(signal, self._filter, "valid")
        return np.clip(np.rint(smooth), -32768, 32767).astype(np.int16)


def _low_pass(rate: int) -> NDArray[np.float32]:
    """Return a windowed sinc that ends just below half of the lower of the two rates."""
    low, high = sorted((rate, HEARING_RATE))
    half = -(-_LOBES * high // low)
    cutoff = 0.92 * low / high
    taps = np.sinc(cutoff * np.arange(-half, half + 1)) * np.hamming(2 * half + 1)
    normal: NDArray[np.float32] = (taps / np.sum(taps)).astype(np.float32)
    return normal
