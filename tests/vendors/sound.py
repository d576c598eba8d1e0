"""Sound that carries its words: a vendor of ours understands what was really sent to it, and nothing else.

A word is a run of equal samples, its number in ``WORDS``; a run that is too short comes out as «…», so that speech
which was cut or lost shows in the transcript.
"""

import itertools
import struct
from dataclasses import dataclass

from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE, SPEAKING_RATE, bytes_of

WORDS = (
    "quiero",
    "un",
    "taxi",
    "para",
    "la",
    "calle",
    "setenta",
    "y",
    "dos",
    "número",
    "cuarenta",
    "tres",
    "por",
    "favor",
)
WORD_MS = 100
GAP_MS = 20
CHARACTER_MS = 20


def speech(text: str) -> bytes:
    """Return the sound of words of ``WORDS``, at ``HEARING_RATE``."""
    gap = bytes(bytes_of(GAP_MS, HEARING_RATE))
    samples = bytes_of(WORD_MS, HEARING_RATE) // BYTES_PER_SAMPLE
    return b"".join(struct.pack("<h", WORDS.index(word) + 1) * samples + gap for word in text.split())


@dataclass(frozen=True)
class Word:
    """What was understood, and where: seconds."""

    text: str
    start: float
    end: float


def understand(sound: bytes, *, from_byte: int = 0) -> list[Word]:
    """Return the words of a sound; a run of samples that is no whole word is «…»."""
    heard = sound[from_byte:]
    samples = struct.unpack(f"<{len(heard) // 2}h", heard)
    place = from_byte // BYTES_PER_SAMPLE
    words = []
    for value, run in itertools.groupby(samples):
        length = len(list(run))
        if value:
            is_whole = length == bytes_of(WORD_MS, HEARING_RATE) // BYTES_PER_SAMPLE
            text = WORDS[value - 1] if is_whole else "…"
            words.append(Word(text, place / HEARING_RATE, (place + length) / HEARING_RATE))
        place += length
    return words


def transcript(words: list[Word]) -> str:
    """Return words as a transcript."""
    return " ".join(word.text for word in words)


def voice(text: str) -> bytes:
    """Return the sound of any text, at ``SPEAKING_RATE``."""
    samples = bytes_of(CHARACTER_MS, SPEAKING_RATE) // BYTES_PER_SAMPLE
    return b"".join(struct.pack("<h", ord(character)) * samples for character in text)


def heard(sound: bytes) -> str:
    """Return the text of the sound of ``voice``."""
    size = bytes_of(CHARACTER_MS, SPEAKING_RATE)
    return "".join(chr(struct.unpack_from("<h", sound, place)[0]) for place in range(0, len(sound), size))
