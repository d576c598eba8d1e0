"""The tests' vendors of speech as a process of its own: ``python -m app.bench.vendors PORT``.

They speak AssemblyAI's, Deepgram's, Cartesia's, ElevenLabs' and OpenAI's wire. What they understand and say is made
up here, as fast as a service is: the transcript grows with the sound, and words last as long as words do.
"""

import asyncio
import importlib
import math
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any

import uvicorn
from fastapi import FastAPI

from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE, SPEAKING_RATE

CHARACTER_MS = 60
"""How long a letter takes to say."""
_WORD_SECONDS = 0.35
_SENTENCE = "hola buenas tardes señorita muy amable buen servicio gracias rápido seguro puntual cómodo limpio moderno"
"""Wherever it is cut it wants no more: how long a sound is decides how many words it has."""
_TRANSCRIPT = tuple(_SENTENCE.split())
_CHUNK_BYTES = 4801
_VENDORS = {
    "assemblyai": "AssemblyAi",
    "deepgram": "Deepgram",
    "cartesia": "Cartesia",
    "elevenlabs": "ElevenLabs",
    "openai": "OpenAi",
}

urls: dict[str, str] = {}


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    sound = importlib.import_module("tests.vendors.sound")
    urls["key"] = importlib.import_module("tests.vendors.base").KEY

    def understand(heard: bytes, *, from_byte: int = 0) -> list[Any]:
        start = from_byte / (BYTES_PER_SAMPLE * HEARING_RATE)
        count = int((len(heard) - from_byte) / (BYTES_PER_SAMPLE * HEARING_RATE * _WORD_SECONDS))
        return [
            sound.Word(word, start + number * _WORD_SECONDS, start + (number + 1) * _WORD_SECONDS)
            for number, word in enumerate(_TRANSCRIPT[: max(1, count)])
        ]

    async with AsyncExitStack() as stack:
        for name, kind in _VENDORS.items():
            module = importlib.import_module(f"tests.vendors.{name}")
            for known, made in (("understand", understand), ("voice", voice), ("_CHUNK_BYTES", _CHUNK_BYTES)):
                if hasattr(module, known):
                    setattr(module, known, made)
            vendor = await stack.enter_async_context(getattr(module, kind).run())
            urls[name] = vendor.url
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    """Say where the vendors are, and the key that they take."""
    return urls


@lru_cache(256)
def voice(text: str) -> bytes:
    """Return something as long and as loud as the text said aloud."""
    count = max(1, len(text)) * CHARACTER_MS * SPEAKING_RATE // 1000
    return _hum() * (count // SPEAKING_RATE) + _hum()[: BYTES_PER_SAMPLE * (count % SPEAKING_RATE)]


@lru_cache(1)
def _hum() -> bytes:
    """Return a second of a voiced sound."""
    samples = (4000 * math.sin(2 * math.pi * 140 * index / SPEAKING_RATE) for index in range(SPEAKING_RATE))
    return struct.pack(f"<{SPEAKING_RATE}h", *(int(each) for each in samples))


def engines_of(found: dict[str, str], stt: str, tts: str) -> dict[str, str]:
    """Return the settings that make a server use these vendors.

    Args:
        found: What ``/health`` says.
        stt: The engine that hears.
        tts: The engine that speaks.
    """
    key = found["key"]
    given = {"STT": stt, "TTS": tts, "VAD": "silero"}
    for name in (stt, tts):
        if name == "openai":
            given |= {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": found["openai"], "LLM": "offline"}
        elif name in found:
            given |= {f"{name.upper()}_API_KEY": key, f"{name.upper()}_URL": found[name]}
    if tts in ("cartesia", "elevenlabs"):
        given[f"{tts.upper()}_VOICE"] = "voice-1"
    return given


if __name__ == "__main__":
    asyncio.run(
        uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")).serve()
    )
