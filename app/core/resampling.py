"""One sample rate into another, piece by piece. What it needs comes with the extra ``voice``."""

from collections.abc import Callable
from typing import Any, Literal

Converter = Callable[[bytes, bool], bytes]
"""Takes mono ``pcm_s16le``, whole samples, and whether it is the last; returns what is ready of the other rate."""


def converter(source: int, target: int, *, quality: Literal["QQ", "HQ"] = "HQ") -> Converter:
    """Return what brings one stream of sound from a sample rate to another.

    Args:
        source: Samples per second of what comes.
        target: Samples per second of what is wanted.
        quality: soxr's name of it: the quickest filters nothing, the better one holds back some tens of milliseconds.
    """
    if source == target:
        return lambda sound, _is_last: sound
    # Here, for who hears and speaks at one rate alone needs neither.
    import numpy
    import soxr  # type: ignore[import-untyped]

    stream: Any = soxr.ResampleStream(source, target, 1, dtype="int16", quality=quality)

    def convert(sound: bytes, is_last: bool) -> bytes:
        samples = stream.resample_chunk(numpy.frombuffer(sound, dtype="<i2"), last=is_last)
        return bytes(samples.astype("<i2").tobytes())

    return convert
