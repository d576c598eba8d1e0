"""ElevenLabs' voices, over its WebSocket of many contexts, of which a socket of ours has one at a time.

https://elevenlabs.io/docs/api-reference/websocket
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from app.core.clock import new_id
from app.engines.tts.streaming import Done, StreamingVoice, read_sound
from app.engines.vendor import VendorError, read_code
from app.engines.vendor_socket import Vendor, open_pool
from app.models.audio import SPEAKING_RATE

_IDLE_SECONDS = 180
"""After this the vendor closes a socket; the most that it allows."""
_REFUSALS = frozenset(
    {
        "invalid_api_key",
        "missing_api_key",
        "missing_permissions",
        "needs_authorization",
        "payment_required",
        "quota_exceeded",
        "detected_unusual_activity",
        "voice_not_found",
        "voice_id_does_not_exist",
        "model_not_found",
        "model_does_not_exist",
        "unsupported_language",
        "invalid_output_format",
        "output_format_not_allowed",
    }
)


def _read_close(code: int, _reason: str) -> VendorError:
    # 1008 is what everything is closed with here, a passing fault too; refusals say so in a message before.
    return VendorError(f"closed with {code}")


class ElevenLabsWire:
    """See ``VoiceWire``.

    Args:
        api_key: The key.
        address: Where the service is.
        model: ElevenLabs' name of it.
        voice: The id of a voice.
    """

    def __init__(self, api_key: SecretStr, address: str, *, model: str, voice: str) -> None:
        self.vendor = Vendor("elevenlabs", {"xi-api-key": api_key}, _read_close)
        self._address = f"{address.rstrip('/')}/v1/text-to-speech/{quote(voice, safe='')}/multi-stream-input"
        self._model = model

    def url(self, language: str) -> str:
        """See ``VoiceWire``."""
        query = {
            "model_id": self._model,
            "language_code": language,
            "output_format": f"pcm_{SPEAKING_RATE}",
            "auto_mode": "true",  # whole sentences come: nothing is to be waited for
            "inactivity_timeout": _IDLE_SECONDS,
        }
        return f"{self._address}?{urlencode(query)}"

    def begin(self, context: str, text: str, language: str) -> Sequence[str]:
        """See ``VoiceWire``. A context begins with a blank, text ends with one, and the end is told at once."""
        return [
            json.dumps({"context_id": context, "text": " "}),
            json.dumps({"context_id": context, "text": f"{text} ", "flush": True}, ensure_ascii=False),
            self.cancel(context),
        ]

    def cancel(self, context: str) -> str:
        """See ``VoiceWire``. The vendor still speaks what it was given, so whoever means to stop closes the socket."""
        return json.dumps({"context_id": context, "close_context": True})

    def read(self, message: dict[str, Any], context: str) -> bytes | Done | None:
        """See ``VoiceWire``."""
        if "error" in message:
            code = read_code(message["error"])
            raise VendorError(f"answered {code}", retryable=code not in _REFUSALS)
        if message.get("contextId", message.get("context_id")) != context:
            return None
        if message.get("audio"):
            return read_sound(message["audio"])
        return Done() if message.get("isFinal") is True or message.get("is_final") is True else None


@asynccontextmanager
async def open_elevenlabs(
    api_key: SecretStr, address: str, *, model: str, voice: str, language: str, timeout: float
) -> AsyncIterator[StreamingVoice]:
    """Open the engine.

    Args:
        api_key: The key.
        address: ``wss://…``, without a path.
        model: ElevenLabs' name of it.
        voice: The id of a voice.
        language: What is likely to be spoken, ISO 639-1: a socket is opened ahead for it.
        timeout: Longest that it may be silent while it speaks, in seconds.
    """
    wire = ElevenLabsWire(api_key, address, model=model, voice=voice)
    async with open_pool(wire.vendor, timeout=timeout) as pool:
        pool.warm_up(wire.url(language))
        yield StreamingVoice(wire, pool, new_id, timeout=timeout)
