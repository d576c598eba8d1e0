"""Cartesia's voices, over a WebSocket that takes one sentence after the other.

https://docs.cartesia.ai/api-reference/tts/websocket
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from app.core.clock import new_id
from app.engines.tts.streaming import Done, StreamingVoice, read_sound
from app.engines.vendor import VendorError, read_code, read_status
from app.engines.vendor_socket import Vendor, open_pool
from app.models.audio import SPEAKING_RATE

_VERSION = "2026-03-01"
"""Of Cartesia's interface."""


class CartesiaWire:
    """See ``VoiceWire``.

    Args:
        api_key: The key.
        address: Where the service is.
        model: Cartesia's name of it.
        voice: The id of a voice.
    """

    def __init__(self, api_key: SecretStr, address: str, *, model: str, voice: str) -> None:
        self.vendor = Vendor("cartesia", {"X-API-Key": api_key, "Cartesia-Version": SecretStr(_VERSION)})
        self._address = address
        self._model = model
        self._voice = voice

    def url(self, language: str) -> str:
        """See ``VoiceWire``. One for all languages."""
        return self._address

    def begin(self, context: str, text: str, language: str) -> Sequence[str]:
        """See ``VoiceWire``."""
        request = {
            "context_id": context,
            "model_id": self._model,
            "transcript": text,
            "continue": False,
            "language": language,
            "voice": {"mode": "id", "id": self._voice},
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": SPEAKING_RATE},
        }
        return [json.dumps(request, ensure_ascii=False)]

    def cancel(self, context: str) -> str:
        """See ``VoiceWire``."""
        return json.dumps({"context_id": context, "cancel": True})

    def read(self, message: dict[str, Any], context: str) -> bytes | Done | None:
        """See ``VoiceWire``. An error without a context is about whatever was asked."""
        kind = message.get("type")
        if message.get("context_id", context if kind == "error" else None) != context:
            return None
        match kind:
            case "chunk":
                return read_sound(message.get("data"))
            case "done":
                return Done()
            case "error":
                raise _read_error(message)
            case _:
                return None  # timestamps, flush_done


def _read_error(message: dict[str, Any]) -> VendorError:
    status = message.get("status_code")
    if isinstance(status, int) and 400 <= status < 600:
        return read_status(status)
    return VendorError(f"answered {read_code(message.get('error_code'))}")


@asynccontextmanager
async def open_cartesia(
    api_key: SecretStr, address: str, *, model: str, voice: str, language: str, timeout: float
) -> AsyncIterator[StreamingVoice]:
    """Open the engine.

    Args:
        api_key: The key.
        address: ``wss://…/tts/websocket``.
        model: Cartesia's name of it.
        voice: The id of a voice.
        language: What is likely to be spoken, ISO 639-1: a socket is opened ahead for it.
        timeout: Longest that it may be silent while it speaks, in seconds.
    """
    wire = CartesiaWire(api_key, address, model=model, voice=voice)
    async with open_pool(wire.vendor, timeout=timeout) as pool:
        pool.warm_up(wire.url(language))
        yield StreamingVoice(wire, pool, new_id, timeout=timeout)
