"""ElevenLabs' ``multi-stream-input``."""

import base64
import json
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.vendors.base import Connection, WebSocketVendor, limit
from tests.vendors.sound import voice

_CHUNK_BYTES = 1001
_MOST_CONTEXTS = 5


class ElevenLabs(WebSocketVendor):
    """Speaks the sound of ``tests/vendors/sound.py``; its own knobs are those of ``Cartesia``, failures by code."""

    scheme_path = ""

    def __init__(self) -> None:
        super().__init__()
        self.stops_after: int | None = None
        self.failures: list[str] = []
        self.strangers = False

    def key_of(self, headers: dict[str, str]) -> str | None:
        return headers.get("xi-api-key")

    async def converse(self, socket: ServerConnection, connection: Connection) -> None:
        breaks_after = limit(self.knobs)
        sent = 0
        texts: dict[str, str] = {}
        async for message in socket:
            request = json.loads(message)
            connection.said.append(request)
            await self.tell()
            if self.knobs.is_silent:
                continue
            context = request["context_id"]
            if self.failures:
                code = self.failures.pop(0)
                failure = {"message": f"{code}: your key key-0123456789-secret", "error": code, "code": 1008}
                await socket.send(json.dumps(failure))
                await socket.close(1008, f"{code}: key-0123456789-secret")
                return
            if context not in texts and len(texts) == _MOST_CONTEXTS:
                await socket.close(1008, "Maximum simultaneous contexts per WebSocket connection exceeded (5).")
                return
            texts[context] = texts.get(context, "") + request.get("text", "")
            if not request.get("close_context"):
                continue
            sound = voice(texts.pop(context).strip())
            chunks = [sound[place : place + _CHUNK_BYTES] for place in range(0, len(sound), _CHUNK_BYTES)]
            for number, chunk in enumerate(chunks):
                if number == self.stops_after:
                    break
                if breaks_after is not None and sent >= breaks_after:
                    self.break_off(socket)
                    return
                if self.strangers:
                    await socket.send(json.dumps(_audio("somebody-else", voice("¡no!"))))
                await socket.send(json.dumps(_audio(context, chunk)))
                sent += len(chunk)
            else:
                await socket.send(json.dumps({"isFinal": True, "contextId": context}))


def _audio(context: str, sound: bytes) -> dict[str, Any]:
    alignment = {"chars": ["a"], "charStartTimesMs": [0], "charDurationsMs": [20]}
    return {"audio": base64.b64encode(sound).decode(), "contextId": context, "alignment": alignment}
