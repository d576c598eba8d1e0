"""The last stage: words for the rider become sound beside them."""

from collections.abc import AsyncIterable, AsyncIterator

from app.engines.tts.base import TtsEngine
from app.models.events import BookingUpdate, TurnEvent


async def tts_stage(
    replies: AsyncIterable[TurnEvent | BookingUpdate], engine: TtsEngine
) -> AsyncIterator[TurnEvent | BookingUpdate]:
    """Pass every event on. An engine without sound adds nothing."""
    async for event in replies:
        yield event
