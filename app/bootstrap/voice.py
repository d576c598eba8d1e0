"""The voice that settings name: what hears, what speaks, and what both need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.config import Settings
from app.pipeline.hearing import Hearing
from app.pipeline.tts import Speech


@dataclass(frozen=True, slots=True)
class Voice:
    """What hears and what speaks; None where nothing does."""

    hearing: Hearing | None = None
    speech: Speech | None = None


@asynccontextmanager
async def open_voice(settings: Settings) -> AsyncIterator[Voice]:
    """Open what the settings name."""
    yield Voice()
