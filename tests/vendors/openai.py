"""A server with OpenAI's ``/v1/audio/transcriptions`` and ``/v1/audio/speech``, down to its sockets."""

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import Self

from tests.vendors.base import KEY, Knobs
from tests.vendors.sound import transcript, understand, voice

_CHUNK_BYTES = 1001


@dataclass
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, bytes]:
        """The fields of a form."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + self.body).get_payload()
        assert isinstance(parts, list)
        return {_name(part): part.get_payload(decode=True) for part in parts}


class OpenAi:
    """Understands and speaks the sound of ``tests/vendors/sound.py``.

    Of the knobs it knows ``statuses``, ``retry_after``, ``drops`` (bytes of sound that go out), ``first_words`` (a
    whole body instead of an answer) and ``is_silent``; ``stops_after`` is silent for ever after so many chunks.
    """

    def __init__(self) -> None:
        self.knobs = Knobs()
        self.requests: list[Request] = []
        self.stops_after: int | None = None
        self.url = ""
        self._writers: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def run(cls) -> AsyncIterator[Self]:
        vendor = cls()
        server = await asyncio.start_server(vendor._serve, "127.0.0.1", 0)
        vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield vendor
        finally:
            server.close()
            for writer in vendor._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._answer(await _read(reader), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        if self.knobs.is_silent:
            await asyncio.Event().wait()
        status = self.knobs.statuses.pop(0) if self.knobs.statuses else 200
        if status == 200 and request.headers.get("authorization") != f"Bearer {KEY}":
            status = 401
        if status != 200:
            error = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
            again = f"Retry-After: {self.knobs.retry_after}\r\n" if self.knobs.retry_after else ""
            _respond(writer, status, json.dumps(error).encode(), again)
        elif self.knobs.first_words:
            body = self.knobs.first_words.pop(0)
            _respond(writer, 200, body if isinstance(body, bytes) else body.encode())
        elif request.path == "/v1/audio/transcriptions":
            with wave.open(io.BytesIO(request.form["file"])) as reader:
                text = transcript(understand(reader.readframes(reader.getnframes())))
            _respond(writer, 200, json.dumps({"text": text}).encode())
        else:
            await self._speak(json.loads(request.body)["input"], writer)

    async def _speak(self, text: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/pcm\r\nTransfer-Encoding: chunked\r\n\r\n")
        breaks_after = self.knobs.drops.pop(0) if self.knobs.drops else None
        sound = voice(text)
        for number, place in enumerate(range(0, len(sound), _CHUNK_BYTES)):
            if number == self.stops_after:
                await asyncio.Event().wait()
            if breaks_after is not None and place >= breaks_after:
                return
            chunk = sound[place : place + _CHUNK_BYTES]
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Request(first.split()[1], headers, await reader.readexactly(int(headers.get("content-length", 0))))


def _respond(writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "") -> None:
    writer.write(
        f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n".encode() + body
    )


def _name(part: object) -> str:
    assert isinstance(part, Message)
    return str(part.get_param("name", header="content-disposition"))
