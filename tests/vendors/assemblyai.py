"""AssemblyAI's ``/v3/ws``."""

import json
import time
from typing import Any

from websockets.asyncio.server import ServerConnection

from app.models.audio import HEARING_RATE, duration_ms
from tests.vendors.base import Connection, WebSocketVendor, limit
from tests.vendors.sound import Word, transcript, understand

_TOLERANCE_SECONDS = 1.5


class AssemblyAi(WebSocketVendor):
    """Understands the sound of ``tests/vendors/sound.py``.

    Knobs of its own: ``formats`` tells the final of each turn a second time, formatted; ``repeats`` tells it twice as
    it is; ``tells_late`` sends a partial of a turn after its final.
    """

    scheme_path = "/v3/ws"
    formats = False
    repeats = False
    tells_late = False

    def key_of(self, headers: dict[str, str]) -> str | None:
        return headers.get("authorization")

    async def converse(self, socket: ServerConnection, connection: Connection) -> None:
        if "speech_model" not in connection.query:
            await self._fail(socket, 3006, "Invalid Message: speech_model is required")
            return
        breaks_after = limit(self.knobs)
        began = time.monotonic()
        order, turn_begins = 0, 0
        await socket.send(json.dumps({"type": "Begin", "id": "b1", "expires_at": int(time.time()) + 10_800}))
        async for message in socket:
            if isinstance(message, bytes):
                connection.sound += message
                connection.frames.append(len(message))
                seconds = duration_ms(len(connection.sound), HEARING_RATE) / 1000
                if not 50 <= duration_ms(len(message), HEARING_RATE) <= 1000:
                    await self._fail(socket, 3007, "Input duration violation. Expected between 50 and 1000 ms")
                    return
                if seconds > time.monotonic() - began + _TOLERANCE_SECONDS:
                    await self._fail(socket, 3007, "Audio Transmission Rate Exceeded")
                    return
                if breaks_after is not None and len(connection.sound) >= breaks_after:
                    self.break_off(socket)
                    return
                if self.knobs.is_silent:
                    await self.tell()
                    continue
                words = understand(bytes(connection.sound), from_byte=turn_begins)
                if words:
                    await socket.send(json.dumps(_turn(order, words, is_end=False)))
            else:
                said = json.loads(message)
                connection.said.append(said)
                words = understand(bytes(connection.sound), from_byte=turn_begins)
                if said["type"] in ("ForceEndpoint", "Terminate") and words and not self.knobs.is_silent:
                    for turn in self._finals(order, words):
                        await socket.send(json.dumps(turn))
                    order, turn_begins = order + 1, len(connection.sound)
                if said["type"] == "Terminate" and not self.knobs.is_silent:
                    seconds = duration_ms(len(connection.sound), HEARING_RATE) / 1000
                    ending = {"type": "Termination", "audio_duration_seconds": seconds, "session_duration_seconds": 1}
                    await socket.send(json.dumps(ending))
                    await socket.close()
                    return
            await self.tell()

    def _finals(self, order: int, words: list[Word]) -> list[dict[str, Any]]:
        turns = [_turn(order, words, is_end=True)] * (2 if self.repeats else 1)
        if self.formats:
            turns.append(_turn(order, words, is_end=True) | {"turn_is_formatted": True})
        if self.tells_late:
            turns.append(_turn(order, words[:1], is_end=False))
        return turns

    async def _fail(self, socket: ServerConnection, code: int, reason: str) -> None:
        await socket.send(json.dumps({"type": "Error", "error_code": code, "error": reason}))
        await socket.close(code, reason)


def _turn(order: int, words: list[Word], *, is_end: bool) -> dict[str, Any]:
    # Words in the making may still change: the transcript has the others.
    return {
        "type": "Turn",
        "turn_order": order,
        "turn_is_formatted": False,
        "end_of_turn": is_end,
        "transcript": transcript(words if is_end else words[:-1]),
        "end_of_turn_confidence": 1.0 if is_end else 0.1,
        "words": [
            {
                "text": word.text,
                "start": round(word.start * 1000),
                "end": round(word.end * 1000),
                "confidence": 0.9,
                "word_is_final": is_end or word is not words[-1],
            }
            for word in words
        ],
    }
