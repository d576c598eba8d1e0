"""The first stage: what the rider said becomes the turn's transcript. Speech was understood before the turn began."""

import re
from collections.abc import AsyncGenerator, Iterator

from app.models.conversation import TurnInput
from app.models.events import EventSource, SttChunk, SttOutput, TurnEvent

_WORD = re.compile(r"\S+")
_MIN_WORDS = 2
_MAX_PARTIALS = 8
"""A long text comes in wider groups, so that the partials together stay in proportion to it."""


async def stt_stage(said: TurnInput, source: EventSource) -> AsyncGenerator[TurnEvent]:
    """Yield the ``SttChunk`` of what was typed as if it were heard, then one ``SttOutput``.

    The partial transcripts of speech came while the rider spoke (``app/services/voice.py``).
    """
    if not said.is_heard:
        for text in growing(said.text):
            yield source.make(SttChunk, text=text)
    yield source.make(SttOutput, text=said.text)


def growing(typed: str) -> Iterator[str]:
    """Yield a text in growing groups of words, then all of its words. Of a text without words nothing."""
    ends = [match.end() for match in _WORD.finditer(typed)]
    step = max(_MIN_WORDS, -(-len(ends) // _MAX_PARTIALS))
    for index in range(step - 1, len(ends) - 1, step):
        yield typed[: ends[index]]
    if ends:
        yield typed[: ends[-1]]
