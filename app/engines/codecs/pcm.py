"""Plain samples: mono ``pcm_s16le`` at any rate."""

from collections.abc import Iterable

import numpy as np

from app.core.errors import BadInput
from app.engines.codecs.resampling import Resampler, cut
from app.models.audio import BYTES_PER_SAMPLE


class PcmDecoder:
    """Reads samples of two bytes.

    Args:
        sample_rate: Samples per second.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._resampler = Resampler(sample_rate)

    def decode(self, frame: bytes) -> Iterable[bytes]:
        """Return the samples of a frame; half a sample is refused with the frame that holds it."""
        if len(frame) % BYTES_PER_SAMPLE:
            raise BadInput("Un bloque de pcm_s16le tiene un número par de bytes.", code="invalid_audio")
        return map(self._resampler.resample, cut(np.frombuffer(frame, "<i2"), self._rate))

    def flush(self) -> bytes:
        """Return what was held back, at the end."""
        return self._resampler.flush()
