"""The other end of the console's voice: a server that hears everything and says what a test tells it to."""

import asyncio
import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.middleware.cors import CORSMiddleware
from numpy.typing import NDArray

from app.api.v1 import pages
from app.chaos.services import free_port
from app.models.audio import SPEAKING_RATE

PCM = NDArray[np.int16]
_UNLOGGED = ("tts_chunk", "interrupted", "system_message", "replay_start", "pong")
_OFFER: dict[str, Any] = {
    "hears": True,
    "speaks": True,
    "sample_rate": SPEAKING_RATE,
    "encodings": ["pcm_s16le", "opus", "mulaw"],
    "recording": None,
}


class VoiceLine:
    """One console's server. Serves the page with its own headers; the wire is PROTOCOL.md's."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.offer: dict[str, Any] | None = dict(_OFFER)
        """What ``GET /api/v1/voice`` answers; None: nothing is there."""
        self.frames: list[dict[str, Any]] = []
        """Every JSON frame, in order."""
        self.sound: list[bytes] = []
        """The binary frames since the last ``audio_start``."""
        self.thread_id = ""
        self._socket: WebSocket | None = None
        self._log: list[dict[str, Any]] = []
        self._seq = itertools.count(1)
        self._changed = asyncio.Condition()

    def forget(self) -> None:
        """Be as new for the next page."""
        self.offer = dict(_OFFER)
        self.frames, self.sound, self._log, self._seq = [], [], [], itertools.count(1)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames of a type that came."""
        return [frame for frame in self.frames if frame["type"] == kind]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until what came makes something true."""
        async with self._changed:
            await self._changed.wait_for(is_so)

    async def came(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for so many frames of a type; return the last."""
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def send(self, **event: Any) -> None:
        """Send an event; what is logged gets its number."""
        event = {"ts": int(time.time() * 1000), "thread_id": self.thread_id, **event}
        if event["type"] not in _UNLOGGED:
            event["seq"] = next(self._seq)
            self._log.append(event)
        assert self._socket is not None
        await self._socket.send_text(json.dumps(event))

    async def hear(self, turn_id: str, text: str) -> None:
        """Understand something, and begin its turn."""
        words = text.split()
        for count in range(1, len(words) + 1):
            await self.send(type="stt_chunk", turn_id=turn_id, text=" ".join(words[:count]))
        await self.send(type="stt_output", turn_id=turn_id, text=text)
        await self.send(type="turn_start", turn_id=turn_id, epoch="e1")

    async def say(self, turn_id: str, pcm: PCM, from_ms: int = 0, to_ms: int | None = None, step_ms: int = 500) -> None:
        """Send a stretch of a turn's speech."""
        rate = SPEAKING_RATE // 1000
        end = len(pcm) // rate if to_ms is None else to_ms
        for at in range(from_ms, end, step_ms):
            piece = pcm[at * rate : min(at + step_ms, end) * rate].astype("<i2").tobytes()
            audio = base64.b64encode(piece).decode()
            await self.send(type="tts_chunk", turn_id=turn_id, audio=audio, sample_rate=SPEAKING_RATE, offset_ms=at)

    async def finish(self, turn_id: str, text: str, status: str = "completed") -> None:
        """End a turn."""
        if status == "completed":
            await self.send(type="tts_end", turn_id=turn_id)
        await self.send(type="turn_end", turn_id=turn_id, status=status, text=text)

    async def cut(self) -> None:
        """Break the line."""
        assert self._socket is not None
        await self._socket.close(1012)

    async def attend(self, socket: WebSocket) -> None:
        """Take what one connection sends."""
        await socket.accept()
        self._socket = socket
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                async with self._changed:
                    await self._take(message.get("text"), message.get("bytes"))
                    self._changed.notify_all()
        except WebSocketDisconnect:
            return

    async def _take(self, text: str | None, sound: bytes | None) -> None:
        if sound is not None:
            self.sound.append(sound)
            return
        frame = json.loads(text or "")
        self.frames.append(frame)
        self.thread_id = frame.get("thread_id", self.thread_id)
        if frame["type"] == "audio_start":
            self.sound = []
        if frame["type"] == "replay":
            missed = [event for event in self._log if event["seq"] > frame["after_seq"]]
            last = self._log[-1]["seq"] if self._log else 0
            await self.send(type="replay_start", recovered=True, epoch="e1", last_seq=last)
            for event in missed:
                assert self._socket is not None
                await self._socket.send_text(json.dumps(event))


@asynccontextmanager
async def voice_line() -> AsyncIterator[VoiceLine]:
    """Serve a console whose voice a test plays."""
    port = free_port()
    line = VoiceLine(port)
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.include_router(pages.router)

    @app.get("/api/v1/voice", response_model=None)
    async def voice() -> dict[str, Any]:
        return line.offer or {"hears": False, "speaks": False, "sample_rate": SPEAKING_RATE, "encodings": []}

    @app.websocket("/api/v1/ws/chat")
    async def chat(socket: WebSocket) -> None:
        await line.attend(socket)

    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield line
    finally:
        server.should_exit = True
        await serving
