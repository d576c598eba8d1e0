"""What a speech-to-text engine must do.

Utterances are cut by us (``app/pipeline/hearing.py``), so an engine is told where each begins and ends. A session
lasts as long as a microphone is open: a service's socket lives in it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SpeechHints:
    """What helps to understand."""

    language: str = "es"
    """ISO 639-1."""
    terms: Sequence[str] = ()
    """Names that are likely to be said: streets, neighbourhoods, places; the likeliest first."""


class Recognition(Protocol):
    """One utterance while it is understood."""

    def feed(self, audio: bytes) -> None:
        """Take sound: mono ``pcm_s16le`` at ``HEARING_RATE``. Never waits."""
        ...

    def pause(self) -> None:
        """Take note that the rider fell silent just now: a moment to work ahead, for this may be the end.

        No sound follows unless the rider goes on; then it comes with the silence between.
        """
        ...

    def partials(self) -> AsyncIterator[str]:
        """Yield the transcript as it grows, each time all of it; ends when the utterance does. May yield nothing.

        Raises:
            SttError: The engine failed. What was fed can be given to another one.
        """
        ...

    async def finish(self) -> str:
        """Return the final transcript of all that was fed; empty where nothing was said.

        Raises:
            SttError: The engine failed.
        """
        ...


class SttSession(Protocol):
    """An engine's ear for one microphone."""

    def recognise(self) -> AbstractAsyncContextManager[Recognition]:
        """Open the next utterance. Leaving the block without ``finish`` forgets it. One at a time.

        Raises:
            SttError: The engine cannot be reached.
        """
        ...


class SttEngine(Protocol):
    """Turns speech into text."""

    name: str

    def open(self, hints: SpeechHints) -> AbstractAsyncContextManager[SttSession]:
        """Open a session. What it shares with others is there already.

        Raises:
            SttError: The engine cannot be reached.
        """
        ...
