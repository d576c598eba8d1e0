"""The first stage: what the rider sends becomes transcripts."""

from collections.abc import AsyncGenerator

from app.engines.stt.base import SttEngine
from app.models.events import EventSource, SttChunk, SttOutput, TurnEvent


async def stt_stage(typed: str, engine: SttEngine, source: EventSource) -> AsyncGenerator[TurnEvent]:
    """Yield ``SttChunk`` as the utterance is understood, then one ``SttOutput``."""
    async for transcript in engine.transcribe(typed):
        if transcript.final:
            yield source.make(SttOutput, text=transcript.text)
            return
        yield source.make(SttChunk, text=transcript.text)
