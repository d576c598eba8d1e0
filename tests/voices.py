"""Riders who speak: Spanish text as sound, and what becomes of sound on its way.

Sound here is mono ``pcm_s16le`` at ``HEARING_RATE``. What was spoken once is kept on disk, for all worktrees of a user.
"""

import hashlib
import os
import re
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import soxr
from num2words import num2words
from rapidfuzz.distance import Levenshtein

from app.engines.tts.kokoro import SAMPLE_RATE, load_kokoro
from app.models.audio import HEARING_RATE

RiderVoice = Literal["ef_dora", "em_alex"]
VOICES: tuple[RiderVoice, ...] = ("ef_dora", "em_alex")
_SCRIPT = Path(__file__).parent.parent / "scripts" / "weights"
_RECIPE = "1"
"""Part of what a recording is kept under: another one where the same text would sound otherwise."""
_TELEPHONE_RATE = 8_000
_SPEAKER = ThreadPoolExecutor(1, "rider")
"""Speaks off the tests' event loops."""


@lru_cache(1)
def weights_folder() -> Path:
    """Return the folder with the weights, which ``scripts/weights`` fills; the fixture ``weights`` is the same."""
    done = subprocess.run([_SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def spoken(text: str, voice: RiderVoice = "ef_dora", *, speed: float = 1.0) -> bytes:
    """Return a text as a rider speaks it, without silence around it.

    Args:
        text: Spanish, numbers in words or digits.
        voice: A woman's or a man's.
        speed: 1 is the voice's own.
    """
    key = hashlib.sha256(f"{_RECIPE}\n{voice}\n{speed}\n{text}".encode()).hexdigest()
    kept = _cache() / f"{key}.pcm"
    if not kept.exists():
        made = _SPEAKER.submit(_speak, text, voice, speed).result()
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as draft:
            draft.write(made)
        Path(draft.name).replace(kept)
    return kept.read_bytes()


def silence(seconds: float) -> bytes:
    """Return nothing at all, so long."""
    return bytes(2 * round(seconds * HEARING_RATE))


def noise(seconds: float, *, level: float = 0.05, seed: int = 0) -> bytes:
    """Return noise as of a street: more of low tones than of high ones.

    Args:
        seconds: How long.
        level: Its root mean square, of full scale.
        seed: The same seed is the same noise.
    """
    return _pcm(_noise(round(seconds * HEARING_RATE), seed) * level)


def with_noise(pcm: bytes, snr_db: float, *, seed: int = 0) -> bytes:
    """Return speech with street noise, so many decibels under it."""
    speech = _samples(pcm)
    loudness = np.sqrt(np.mean(np.square(speech)))
    return _pcm(speech + _noise(len(speech), seed) * loudness * 10 ** (-snr_db / 20))


def over_telephone(pcm: bytes) -> bytes:
    """Return sound as it comes through a telephone: 300 to 3400 Hz, 8 kHz, μ-law, and back."""
    narrow = soxr.resample(_samples(pcm), HEARING_RATE, _TELEPHONE_RATE)
    spectrum = np.fft.rfft(narrow)
    frequencies = np.fft.rfftfreq(len(narrow), 1 / _TELEPHONE_RATE)
    spectrum[(frequencies < 300) | (frequencies > 3400)] = 0
    band = np.clip(np.fft.irfft(spectrum, len(narrow)), -1, 1)
    companded = np.round(np.sign(band) * np.log1p(255 * np.abs(band)) / np.log1p(255) * 127) / 127
    expanded = np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(255)) / 255
    return _pcm(soxr.resample(expanded, _TELEPHONE_RATE, HEARING_RATE))


def chunks(pcm: bytes, milliseconds: int = 32) -> Iterator[bytes]:
    """Yield sound as a microphone hands it over."""
    size = 2 * HEARING_RATE * milliseconds // 1000
    for start in range(0, len(pcm), size):
        yield pcm[start : start + size]


def words(text: str) -> list[str]:
    """Return the words of a text without case, accents and punctuation, its numbers as they are said."""
    said = re.sub(r"\d+", lambda digits: f" {num2words(int(digits.group()), lang='es')} ", text)
    plain = unicodedata.normalize("NFD", said.casefold()).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z]+", plain)


def word_errors(said: str, understood: str) -> float:
    """Return the word error rate: edits by words of what was said, over how many those are."""
    reference = words(said)
    return Levenshtein.distance(reference, words(understood)) / len(reference)


def _speak(text: str, voice: RiderVoice, speed: float) -> bytes:
    made = np.frombuffer(b"".join(_voice(voice, speed)((text, "es"))), dtype="<i2") / 32768
    assert len(made), f"nothing to say in {text!r}"
    return _pcm(soxr.resample(made, SAMPLE_RATE, HEARING_RATE))


@lru_cache(4)
def _voice(voice: RiderVoice, speed: float):
    return load_kokoro(weights_folder() / "kokoro", voice, speed, threads=2)


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voztaxi" / "spoken"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _noise(count: int, seed: int) -> np.ndarray:
    """Return noise of loudness 1, its power falling with the frequency (pink)."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    made = np.fft.irfft(spectrum, count)
    return made / np.sqrt(np.mean(np.square(made)))


def _samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, dtype="<i2") / 32768


def _pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
