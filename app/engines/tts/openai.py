"""OpenAI's voices, and those of every server that speaks as it does: one request for a sentence, streamed."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import httpx
import structlog
from pydantic import SecretStr

from app.core.errors import TtsError
from app.engines.tts.streaming import has_words
from app.engines.vendor import VendorError, attempts
from app.engines.vendor_http import open_openai_client, stream_answer
from app.models.audio import BYTES_PER_SAMPLE, SPEAKING_RATE

log = structlog.stdlib.get_logger("voztaxi.tts")


class OpenAiTts:
    """See ``TtsEngine``.

    Args:
        client: Sends the requests.
        model: The server's name of it.
        voice: The server's name of it.
        timeout: Longest that the server may be silent, in seconds.
    """

    name = "openai"
    sample_rate = SPEAKING_RATE  # what ``pcm`` means there

    def __init__(self, client: httpx.AsyncClient, *, model: str, voice: str, timeout: float) -> None:
        self._client = client
        self._model = model
        self._voice = voice
        self._timeout = timeout

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """See ``TtsEngine``. The language is in the words: the server takes no name of it."""
        if not has_words(text):
            return
        wanted = {"model": self._model, "voice": self._voice, "input": text, "response_format": "pcm"}
        try:
            async with AsyncExitStack() as stack:
                response = await self._ask(wanted, stack)
                sounds = response.aiter_bytes()
                odd = b""
                is_heard = False
                while (sound := await self._next(sounds)) is not None:
                    sound = odd + sound
                    whole = len(sound) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
                    odd = sound[whole:]
                    if whole:
                        is_heard = True
                        yield sound[:whole]
                if not is_heard:
                    raise VendorError("nothing was said")
        except VendorError as error:
            log.warning("sentence was not spoken", vendor=self.name, reason=error.reason)
            raise TtsError from error

    async def _ask(self, wanted: dict[str, str], stack: AsyncExitStack) -> httpx.Response:
        """Return a good answer, which ``stack`` closes."""
        async for attempt in attempts(self._timeout):
            with attempt:
                request = self._client.build_request("POST", "audio/speech", json=wanted)
                return await stack.enter_async_context(stream_answer(self._client, request))
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    async def _next(self, sounds: AsyncIterator[bytes]) -> bytes | None:
        try:
            with anyio.fail_after(self._timeout):
                return await anext(sounds, None)
        except TimeoutError:
            raise VendorError("silent for too long") from None


@asynccontextmanager
async def open_openai_tts(
    api_key: SecretStr | None, base_url: str | None, *, model: str, voice: str, timeout: float
) -> AsyncIterator[OpenAiTts]:
    """Open the engine.

    Args:
        api_key: The key; None for a server that asks for none.
        base_url: Where the server is, ``/v1`` included; None is OpenAI's own.
        model: The server's name of it.
        voice: The server's name of it.
        timeout: Longest that it may be silent while it speaks, in seconds.
    """
    async with open_openai_client(api_key, base_url, timeout=timeout) as client:
        yield OpenAiTts(client, model=model, voice=voice, timeout=timeout)
