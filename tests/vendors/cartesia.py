"""Cartesia's ``/tts/websocket``."""

import base64
import json
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.vendors.base import Connection, WebSocketVendor, limit
from tests.vendors.sound import voice

_CHUNK_BYTES = 1001
"""Odd, so that samples are cut in the middle."""


class Cartesia(WebSocketVendor):
    """Speaks the sound of ``tests/vendors/sound.py``.

    Knobs of its own: ``stops_after`` is silent for ever after so many chunks of a sentence; ``failure`` is the status
    that sentences are answered with; ``strangers`` sends sound of another context in between.
    """

    scheme_path = "/tts/websocket"

    def __init__(self) -> None:
        super().__init__()
        self.stops_after: int | None = None
        self.failures: list[int] = []
        self.strangers = False

    def key_of(self, headers: dict[str, str]) -> str | None:
        return headers.get("x-api-key") if headers.get("cartesia-version") else None

    async def converse(self, socket: ServerConnection, connection: Connection) -> None:
        breaks_after = limit(self.knobs)
        sent = 0
        async for message in socket:
            request = json.loads(message)
            connection.said.append(request)
            await self.tell()
            if request.get("cancel") or self.knobs.is_silent:
                continue
            context = request["context_id"]
            if self.failures:
                await socket.send(json.dumps(_failure(context, self.failures.pop(0))))
                continue
            sound = voice(request["transcript"])
            chunks = [sound[place : place + _CHUNK_BYTES] for place in range(0, len(sound), _CHUNK_BYTES)]
            for number, chunk in enumerate(chunks):
                if number == self.stops_after:
                    break
                if breaks_after is not None and sent >= breaks_after:
                    self.break_off(socket)
                    return
                if self.strangers:
                    await socket.send(json.dumps(_chunk("somebody-else", voice("¡no!"))))
                await socket.send(json.dumps(_chunk(context, chunk)))
                sent += len(chunk)
            else:
                done = {"type": "done", "done": True, "status_code": 206, "context_id": context}
                flushed = {"type": "flush_done", "flush_done": True, "flush_id": 1, "context_id": context}
                await socket.send(json.dumps(flushed))
                await socket.send(json.dumps(done))


def _chunk(context: str, sound: bytes) -> dict[str, Any]:
    data = base64.b64encode(sound).decode()
    return {"type": "chunk", "data": data, "done": False, "status_code": 206, "step_time": 1, "context_id": context}


def _failure(context: str, status: int) -> dict[str, Any]:
    return {
        "type": "error",
        "done": True,
        "title": "Failed",
        "message": "the key key-0123456789-secret is not liked",
        "error_code": "failed",
        "status_code": status,
        "context_id": context,
    }
