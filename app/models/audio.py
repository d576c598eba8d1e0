"""Sound: formats, and arithmetic on PCM. Everywhere inside, sound is mono ``pcm_s16le``."""

from dataclasses import dataclass
from typing import Literal

Encoding = Literal["pcm_s16le", "opus", "mulaw"]

HEARING_RATE = 16_000
"""Samples per second of what recognisers, voice activity and endpointing hear."""
SPEAKING_RATE = 24_000
"""Samples per second of what riders are sent."""
BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How a microphone's sound comes."""

    encoding: Encoding = "pcm_s16le"
    sample_rate: int = HEARING_RATE
    """Samples per second. Opus decodes at its own rate."""


def duration_ms(pcm_bytes: int, sample_rate: int) -> float:
    """Return how many milliseconds a number of bytes of mono ``pcm_s16le`` lasts."""
    return pcm_bytes * 1000 / (BYTES_PER_SAMPLE * sample_rate)


def bytes_of(milliseconds: float, sample_rate: int) -> int:
    """Return how many bytes of mono ``pcm_s16le`` last so long: whole samples, rounded down."""
    return int(milliseconds * sample_rate / 1000) * BYTES_PER_SAMPLE
