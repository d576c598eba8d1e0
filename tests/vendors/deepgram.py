"""Deepgram's ``/v1/listen``."""

import json
from typing import Any

from websockets.asyncio.server import ServerConnection

from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE
from tests.vendors.base import Connection, WebSocketVendor, limit
from tests.vendors.sound import Word, transcript, understand

_BYTES_PER_SECOND = HEARING_RATE * BYTES_PER_SAMPLE


class Deepgram(WebSocketVendor):
    """Understands the sound of ``tests/vendors/sound.py``.

    Knobs of its own: ``settles`` makes words final as they come, one by one; ``repeats`` tells every final twice;
    ``tells_late`` sends an interim result after the final one of the same sound. As documented, ``Finalize`` is not
    answered where nothing waits.
    """

    scheme_path = "/v1/listen"
    settles = False
    repeats = False
    tells_late = False

    def key_of(self, headers: dict[str, str]) -> str | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key if scheme == "Token" else None

    async def converse(self, socket: ServerConnection, connection: Connection) -> None:
        breaks_after = limit(self.knobs)
        settled = 0  # bytes
        async for message in socket:
            if isinstance(message, bytes):
                connection.sound += message
                connection.frames.append(len(message))
                if breaks_after is not None and len(connection.sound) >= breaks_after:
                    self.break_off(socket)
                    return
                words = understand(bytes(connection.sound), from_byte=settled)
                if words and not self.knobs.is_silent:
                    if self.settles and len(words) > 1:
                        end = round(words[-2].end * _BYTES_PER_SECOND)
                        await self._tell_final(socket, settled, end, words[:-1], {})
                        settled, words = end, words[-1:]
                    await socket.send(json.dumps(_results(settled, len(connection.sound), words, is_final=False)))
            else:
                said = json.loads(message)
                connection.said.append(said)
                end = len(connection.sound)
                words = understand(bytes(connection.sound), from_byte=settled)
                if said["type"] in ("Finalize", "CloseStream") and end > settled and not self.knobs.is_silent:
                    extra = {"from_finalize": True} if said["type"] == "Finalize" else {}
                    await self._tell_final(socket, settled, end, words, extra)
                    settled = end
                if said["type"] == "CloseStream" and not self.knobs.is_silent:
                    seconds = len(connection.sound) / _BYTES_PER_SECOND
                    await socket.send(json.dumps({"type": "Metadata", "request_id": "r1", "duration": seconds}))
                    await socket.close()
                    return
            await self.tell()

    async def _tell_final(
        self, socket: ServerConnection, start: int, end: int, words: list[Word], extra: dict[str, Any]
    ) -> None:
        final = _results(start, end, words, is_final=True) | extra
        for _ in range(2 if self.repeats else 1):
            await socket.send(json.dumps(final))
        if self.tells_late:
            await socket.send(json.dumps(_results(start, end, words[:1], is_final=False)))


def _results(start: int, end: int, words: list[Word], *, is_final: bool) -> dict[str, Any]:
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": start / _BYTES_PER_SECOND,
        "duration": (end - start) / _BYTES_PER_SECOND,
        "is_final": is_final,
        "speech_final": False,
        "channel": {
            "alternatives": [
                {
                    "transcript": transcript(words),
                    "confidence": 0.9,
                    "words": [{"word": word.text, "start": word.start, "end": word.end} for word in words],
                }
            ]
        },
    }
