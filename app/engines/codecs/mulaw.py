"""G.711 μ-law, as telephone networks send it: a byte for each sample."""

from collections.abc import Iterable

import numpy as np

from app.engines.codecs.resampling import Resampler, Samples, cut


def _table() -> Samples:
    """Return the sample of every byte."""
    inverted = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (inverted >> 4) & 7, (inverted & 15).astype(np.int16)
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(inverted & 0x80, -magnitude, magnitude).astype(np.int16)


_SAMPLES = _table()


class MulawDecoder:
    """Looks each byte up. Any byte is sound.

    Args:
        sample_rate: Samples per second; telephones have 8000.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._resampler = Resampler(sample_rate)

    def decode(self, frame: bytes) -> Iterable[bytes]:
        """Return the samples of a frame."""
        codes = cut(np.frombuffer(frame, np.uint8), self._rate)
        return (self._resampler.resample(_SAMPLES[piece]) for piece in codes)

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        return self._resampler.flush()
