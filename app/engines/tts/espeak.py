"""eSpeak NG: a robot's voice that needs no weights and is there at once, in a process of its own (GPL-3)."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing

from app.core.errors import TtsError
from app.engines.worker import WorkerPool

_SAMPLE_RATE = 22_050


class EspeakTts:
    """Speaks with eSpeak NG.

    Args:
        timeout: Seconds without sound after which it failed.
    """

    name = "espeak"
    sample_rate = _SAMPLE_RATE

    def __init__(self, *, timeout: float = 10) -> None:
        self.pool: WorkerPool[tuple[str, str], bytes] = WorkerPool(
            self.name, load_espeak, error=TtsError, timeout=timeout
        )

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """Yield the sound of a sentence.

        Raises:
            TtsError: It failed.
        """
        async with aclosing(self.pool.submit((text, language)).pieces()) as pieces:
            async for piece in pieces:
                yield piece


def load_espeak() -> Callable[[tuple[str, str]], Generator[bytes]]:
    """Load the library in a worker process, and return what speaks a text in a language with it."""
    from app.engines.tts.espeak_library import EspeakLibrary

    espeak = EspeakLibrary()

    def speak(request: tuple[str, str]) -> Generator[bytes]:
        text, language = request
        espeak.use(language)
        if any(character.isalnum() for character in text):
            yield from espeak.speak(text)

    return speak
