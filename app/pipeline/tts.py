"""The last stage: words for the rider become sound beside them."""

from collections.abc import AsyncGenerator, AsyncIterable

from app.engines.tts.base import TtsEngine
from app.models.events import ThreadEvent


async def tts_stage(replies: AsyncIterable[ThreadEvent], engine: TtsEngine) -> AsyncGenerator[ThreadEvent]:
    """Pass every event on. An engine without sound adds nothing."""
    async for event in replies:
        yield event
