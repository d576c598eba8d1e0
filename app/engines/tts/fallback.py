"""An order of voices: where one fails, the next one speaks.

A voice that broke off in the middle of a sentence told nobody how far it had come in the text. It is estimated from
how long the sound is that went out, and how long the voice has lately taken for a character; the next voice begins
with the first word that surely was not begun. So a word may be lost, and none is said twice.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import structlog

from app.core.errors import TtsError
from app.core.resampling import converter
from app.core.tasks import Chores, uninterruptible
from app.engines.breaker import Breaker
from app.engines.tts.base import TtsEngine
from app.models.audio import SPEAKING_RATE, duration_ms

log = structlog.stdlib.get_logger("voztaxi.tts")

_USUAL_MS = 65.0
"""Of a character, in Spanish, by a voice that is not known yet."""
_NEWEST_COUNTS = 0.3


class Pace:
    """How fast a voice speaks. No I/O."""

    def __init__(self) -> None:
        self._ms_per_character = _USUAL_MS
        self._is_known = False

    def learn(self, text: str, milliseconds: float) -> None:
        """Take note of how long the sound of a text was."""
        if not text or milliseconds <= 0:
            return
        measured = milliseconds / len(text)
        weight = _NEWEST_COUNTS if self._is_known else 1.0
        self._ms_per_character += weight * (measured - self._ms_per_character)
        self._is_known = True

    def rest(self, text: str, milliseconds: float) -> str:
        """Return what of a text is left after so much sound: whole words, none that may have been begun."""
        if milliseconds <= 0:
            return text
        place = int(milliseconds / self._ms_per_character) + 1
        blank = text.find(" ", place)
        return text[blank + 1 :].lstrip() if blank >= 0 else ""


@dataclass(frozen=True, slots=True)
class _Entry:
    engine: TtsEngine
    breaker: Breaker
    pace: Pace = field(default_factory=Pace)


class FallbackTts:
    """A ``TtsEngine`` made of several.

    Args:
        engines: The one that is wanted first.
        chores: Where voices are tried out that failed before.
        timeout: Longest that one of them may be silent before it failed, in seconds.
        now: Seconds, monotonic.
    """

    def __init__(
        self,
        engines: Sequence[TtsEngine],
        chores: Chores,
        *,
        timeout: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = [_Entry(engine, Breaker(now)) for engine in engines]
        self._chores = chores
        self._timeout = timeout
        self.name = ",".join(engine.name for engine in engines)
        rates = {engine.sample_rate for engine in engines}
        self.sample_rate = rates.pop() if len(rates) == 1 else SPEAKING_RATE
        for rate in rates:
            converter(rate, self.sample_rate)  # what it imports is imported here, before anybody is served

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """See ``TtsEngine``."""
        rest = text
        failure: Exception | None = None
        for entry in sorted(self._entries, key=lambda entry: not entry.breaker.is_trusted):
            spoken = 0
            convert = converter(entry.engine.sample_rate, self.sample_rate, quality="QQ")
            try:
                async with aclosing(self._sounds(entry, rest, language)) as sounds:
                    async for sound in sounds:
                        spoken += len(sound)
                        if converted := convert(sound, False):
                            yield converted
            except Exception as error:  # an engine may crash as it likes: the next one is asked
                failure = error
                entry.breaker.failed()
                log.warning("voice failed, the next one is asked", engine=entry.engine.name, error=type(error).__name__)
                rest = entry.pace.rest(rest, duration_ms(spoken, entry.engine.sample_rate))
                if rest:
                    continue
                return
            entry.pace.learn(rest, duration_ms(spoken, entry.engine.sample_rate))
            entry.breaker.worked()
            self._try_others(rest, language)
            if converted := convert(b"", True):
                yield converted
            return
        raise TtsError from failure

    async def _sounds(self, entry: _Entry, text: str, language: str) -> AsyncGenerator[bytes]:
        """Yield what an engine says, unless it hangs."""
        async with aclosing(entry.engine.speak(text, language=language)) as sounds:
            while True:
                async with asyncio.timeout(self._timeout):
                    sound = await anext(sounds, None)
                if sound is None:
                    return
                yield sound

    def _try_others(self, text: str, language: str) -> None:
        for entry in self._entries:
            if entry.breaker.claim_trial():
                self._chores.start(self._try_out(entry, text, language))

    async def _try_out(self, entry: _Entry, text: str, language: str) -> None:
        """Let an engine that failed begin a sentence that nobody hears."""
        try:
            async with aclosing(self._sounds(entry, text, language)) as sounds:
                await anext(sounds, None)
        except Exception as error:  # any failure is the same: it is left alone for longer
            entry.breaker.failed()
            log.info("voice still fails", engine=entry.engine.name, error=type(error).__name__)
        else:
            entry.breaker.worked()
            log.info("voice works again", engine=entry.engine.name)


@asynccontextmanager
async def open_fallback_tts(
    engines: Sequence[TtsEngine], *, timeout: float, now: Callable[[], float] = time.monotonic
) -> AsyncIterator[FallbackTts]:
    """Open the engine; arguments as for ``FallbackTts``."""
    chores = Chores()
    try:
        yield FallbackTts(engines, chores, timeout=timeout, now=now)
    finally:
        await uninterruptible(chores.close())
