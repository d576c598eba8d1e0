"""Sound for tests: waves that are computed, and a spoken word."""

import math
import wave
from array import array
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np

from app.models.audio import HEARING_RATE


def tone(hertz: float, milliseconds: float, rate: int = HEARING_RATE, amplitude: int = 8000) -> bytes:
    """Return a sine as mono ``pcm_s16le``."""
    step = 2 * math.pi * hertz / rate
    return array("h", (round(amplitude * math.sin(step * n)) for n in range(int(rate * milliseconds / 1000)))).tobytes()


def noise(milliseconds: float, amplitude: int, seed: int = 1) -> bytes:
    """Return a hiss at ``HEARING_RATE``."""
    samples = np.random.default_rng(seed).normal(size=int(HEARING_RATE * milliseconds / 1000)) * amplitude
    return samples.astype(np.int16).tobytes()


def spoken_word() -> bytes:
    """Return three quarters of a second with the word «ready» at ``HEARING_RATE``, from pipecat's wheel."""
    package = find_spec("pipecat")
    assert package is not None
    assert package.origin is not None
    with wave.open(str(Path(package.origin).parent / "services" / "aws" / "nova_sonic" / "ready.wav")) as file:
        return file.readframes(file.getnframes())


def opus_packets(pcm: bytes, *, channels: int = 1) -> list[bytes]:
    """Return sound at 48 kHz as packets of 20 milliseconds, the same on every channel."""
    codec = av.AudioCodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, "stereo" if channels == 2 else "mono", "s16"
    packets = []
    samples = np.frombuffer(pcm, np.int16)
    for start in range(0, len(samples) - 959, 960):
        block = np.repeat(samples[start : start + 960], channels)[np.newaxis]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=codec.layout)
        frame.sample_rate = 48_000
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets + [bytes(packet) for packet in codec.encode(None)]


def mulaw(pcm: bytes) -> bytes:
    """Return mono ``pcm_s16le`` as G.711 encodes it: the sign, eight segments of sixteen steps, all bits inverted."""
    samples = np.frombuffer(pcm, np.int16).astype(int)
    magnitude = np.minimum(np.abs(samples), 32635) + 132
    segment = np.floor(np.log2(magnitude)).astype(int) - 7
    step = (magnitude >> (segment + 3)) & 15
    return (~((samples < 0) * 128 | segment << 4 | step) & 255).astype(np.uint8).tobytes()


def loudness(pcm: bytes) -> float:
    """Return the root of the mean square of mono ``pcm_s16le``."""
    samples = np.frombuffer(pcm, np.int16).astype(float)
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def strongest_hertz(pcm: bytes) -> float:
    """Return the frequency that is strongest in sound at ``HEARING_RATE``."""
    samples = np.frombuffer(pcm, np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * HEARING_RATE / len(samples)
