"""Voices of the Piper project, on this machine, in a process of their own (GPL-3)."""

import json
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from functools import partial
from pathlib import Path

from app.core.errors import TtsError
from app.engines.worker import WorkerPool


class PiperTts:
    """Speaks with a voice of Piper, in the language that this voice has.

    Args:
        voice: Its ``.onnx``, with its ``.onnx.json`` beside it, which is read here.
        timeout: Seconds without sound after which it failed.

    Raises:
        OSError: The voice's description cannot be read.
        ValueError: It is none.
    """

    name = "piper"

    def __init__(self, voice: Path, *, timeout: float = 10) -> None:
        description = json.loads(Path(f"{voice}.json").read_text(encoding="utf-8"))
        try:
            self.sample_rate = int(description["audio"]["sample_rate"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{voice}.json does not describe a voice") from error
        self.pool: WorkerPool[str, bytes] = WorkerPool(
            self.name, partial(load_piper, voice), error=TtsError, timeout=timeout
        )

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """Yield the sound of a text, sentence by sentence. The voice's language is its own.

        Raises:
            TtsError: It failed.
        """
        async with aclosing(self.pool.submit(text).pieces()) as pieces:
            async for piece in pieces:
                yield piece


def load_piper(voice: Path) -> Callable[[str], Generator[bytes]]:
    """Load a voice in a worker process, and return what speaks with it."""
    from piper import PiperVoice

    from app.engines.tts.clauses import pieces

    loaded = PiperVoice.load(voice)

    def speak(text: str) -> Generator[bytes]:
        for piece in pieces(text):
            for made in loaded.synthesize(piece):
                yield made.audio_int16_bytes

    for _ in speak("Hola."):  # the first run takes longer than any other
        pass
    return speak
