"""OpenAI's transcriptions, and those of every server that speaks as it does: one request for an utterance.

Nothing is begun at a pause: what is asked again when the rider goes on is paid for twice.
"""

import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from app.core.errors import SttError
from app.engines.stt.base import Recognition, SpeechHints, SttSession
from app.engines.vendor import VendorError, attempts
from app.engines.vendor_http import open_openai_client, stream_answer
from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE

log = structlog.stdlib.get_logger("voztaxi.stt")

_LARGEST_ANSWER = 256 * 1024
_LONGEST_PROMPT = 600
"""Characters; Whisper reads the last 224 tokens of a prompt and no more."""


class _Transcript(BaseModel):
    text: str


class _Recognition:
    def __init__(self, engine: "OpenAiStt", hints: SpeechHints) -> None:
        self._engine = engine
        self._hints = hints
        self._sound = bytearray()

    def feed(self, audio: bytes) -> None:
        self._sound += audio

    def pause(self) -> None:
        """Wait for the end: see the module."""

    async def partials(self) -> AsyncIterator[str]:
        return
        yield  # nothing: the one transcript is the final one

    async def finish(self) -> str:
        return await self._engine.transcribe(bytes(self._sound), self._hints) if self._sound else ""


class _Session:
    def __init__(self, engine: "OpenAiStt", hints: SpeechHints) -> None:
        self._engine = engine
        self._hints = hints

    @asynccontextmanager
    async def recognise(self) -> AsyncIterator[Recognition]:
        yield _Recognition(self._engine, self._hints)


class OpenAiStt:
    """See ``SttEngine``.

    Args:
        client: Sends the requests.
        model: Who listens.
        timeout: Longest that an utterance may take in all, in seconds.
    """

    name = "openai"

    def __init__(self, client: httpx.AsyncClient, *, model: str, timeout: float) -> None:
        self._client = client
        self._model = model
        self._timeout = timeout

    @asynccontextmanager
    async def open(self, hints: SpeechHints) -> AsyncIterator[SttSession]:
        """See ``SttEngine``."""
        yield _Session(self, hints)

    async def transcribe(self, sound: bytes, hints: SpeechHints) -> str:
        """Return what was said.

        Args:
            sound: Mono ``pcm_s16le`` at ``HEARING_RATE``.
            hints: What helps.

        Raises:
            SttError: Nothing was understood in time.
        """
        fields = {"model": self._model, "language": hints.language, "response_format": "json"}
        if prompt := _prompt(hints):
            fields["prompt"] = prompt
        files = {"file": ("speech.wav", _wav(sound), "audio/wav")}
        try:
            with anyio.fail_after(self._timeout):
                async for attempt in attempts(self._timeout):
                    with attempt:
                        request = self._client.build_request("POST", "audio/transcriptions", data=fields, files=files)
                        async with stream_answer(self._client, request) as response:
                            return await _read(response)
        except TimeoutError:
            error = VendorError("no transcript in time")
        except VendorError as failure:
            error = failure
        log.warning("speech was not understood", vendor=self.name, reason=error.reason)
        raise SttError from error


@asynccontextmanager
async def open_openai_stt(
    api_key: SecretStr | None, base_url: str | None, *, model: str, timeout: float
) -> AsyncIterator[OpenAiStt]:
    """Open the engine.

    Args:
        api_key: The key; None for a server that asks for none.
        base_url: Where the server is, ``/v1`` included; None is OpenAI's own.
        model: The server's name of it.
        timeout: Longest that an utterance may take, in seconds.
    """
    async with open_openai_client(api_key, base_url, timeout=timeout) as client:
        yield OpenAiStt(client, model=model, timeout=timeout)


def _prompt(hints: SpeechHints) -> str:
    chosen: list[str] = []
    room = _LONGEST_PROMPT
    for term in hints.terms:
        room -= len(term) + 2
        if room < 0:
            break
        chosen.append(term)
    return ", ".join(chosen)


def _wav(sound: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(BYTES_PER_SAMPLE)
        writer.setframerate(HEARING_RATE)
        writer.writeframes(sound[: len(sound) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE])
    return file.getvalue()


async def _read(response: httpx.Response) -> str:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise VendorError("the answer is too large")
    try:
        return _Transcript.model_validate_json(bytes(body)).text.strip()
    except ValidationError:
        raise VendorError("the answer cannot be read") from None
