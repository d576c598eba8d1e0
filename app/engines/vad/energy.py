"""Loudness against the noise of the place: needs no package, and takes any loud sound for speech."""

import math
from array import array
from operator import mul

_SILENCE_DB = -60.0
"""Below full scale. What is fainter is silence, whatever the place."""
_MARGIN_DB = 12.0
"""Above the noise, where it is as likely speech as not."""
_SLOPE_DB = 2.0
_RISE_DB = 0.1
"""A frame's rise of the noise: it falls at once and rises by 3 dB a second, so that words do not count as noise."""


class EnergyVad:
    """Makes followers; there is nothing to share."""

    name = "energy"

    def open(self) -> "EnergyActivity":
        """Return a follower for one microphone."""
        return EnergyActivity()


class EnergyActivity:
    """Follows how loud one microphone's place is."""

    def __init__(self) -> None:
        self._noise = _SILENCE_DB

    def probability(self, frame: bytes) -> float:
        """Return how likely the frame holds speech: how far it stands above the noise."""
        samples = array("h", frame)
        power = sum(map(mul, samples, samples)) / max(len(samples), 1)
        level = max(10 * math.log10(power + 1e-9) - 20 * math.log10(32768), _SILENCE_DB)
        self._noise = min(level, self._noise + _RISE_DB)
        return 1 / (1 + math.exp(-(level - self._noise - _MARGIN_DB) / _SLOPE_DB))

    def reset(self) -> None:
        """Forget how loud the place is."""
        self._noise = _SILENCE_DB
