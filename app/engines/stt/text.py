"""What was typed is what was heard."""

import re
from collections.abc import AsyncIterator

from app.engines.stt.base import Transcript

_WORD = re.compile(r"\S+")
_MIN_WORDS = 2
_MAX_PARTIALS = 8
"""A long text comes in wider groups, so that the partials together stay in proportion to it."""


class TextStt:
    """The engine of a rider who types: the words in growing groups, then all of them."""

    async def transcribe(self, typed: str) -> AsyncIterator[Transcript]:
        """See ``SttEngine``."""
        ends = [match.end() for match in _WORD.finditer(typed)]
        step = max(_MIN_WORDS, -(-len(ends) // _MAX_PARTIALS))
        for index in range(step - 1, len(ends) - 1, step):
            yield Transcript(typed[: ends[index]], final=False)
        if ends:
            yield Transcript(typed[: ends[-1]], final=False)
        yield Transcript(typed, final=True)
