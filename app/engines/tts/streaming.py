"""What all voices behind a WebSocket have in common; each vendor adds a ``VoiceWire``.

A sentence has a context of its own, and a socket that it shares with nobody while it is spoken. Sockets are used
again; one whose sentence was broken off is closed, so that nothing of that sentence is heard in another.
"""

import base64
import binascii
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

import anyio
import structlog

from app.core.errors import TtsError
from app.engines.vendor import VendorError, attempts, decode
from app.engines.vendor_socket import SocketPool, Vendor, VendorSocket
from app.models.audio import BYTES_PER_SAMPLE, SPEAKING_RATE

log = structlog.stdlib.get_logger("voztaxi.tts")


class Done:
    """A sentence is spoken."""


class VoiceWire(Protocol):
    """A vendor's messages. No I/O."""

    vendor: Vendor

    def url(self, language: str) -> str:
        """Return where to connect."""
        ...

    def begin(self, context: str, text: str, language: str) -> Sequence[str]:
        """Return what asks for a sentence."""
        ...

    def cancel(self, context: str) -> str:
        """Return what breaks a sentence off."""
        ...

    def read(self, message: dict[str, Any], context: str) -> bytes | Done | None:
        """Return the sound of a message, or its end; None where it is neither, or not of this sentence.

        Raises:
            VendorError: It says that something failed, or cannot be understood.
        """
        ...


class StreamingVoice:
    """A ``TtsEngine`` behind a WebSocket.

    Args:
        wire: The vendor's messages.
        pool: The vendor's sockets.
        new_id: Names contexts.
        timeout: Longest that the vendor may be silent, in seconds.
    """

    sample_rate = SPEAKING_RATE

    def __init__(self, wire: VoiceWire, pool: SocketPool, new_id: Callable[[], str], *, timeout: float) -> None:
        self._wire = wire
        self._pool = pool
        self._new_id = new_id
        self._timeout = timeout
        self.name = wire.vendor.name

    async def speak(self, text: str, *, language: str = "es") -> AsyncGenerator[bytes]:
        """See ``TtsEngine``. Until its first sound a sentence is asked for again where that may help."""
        if not has_words(text):
            return
        url = self._wire.url(language)
        sentence: _Sentence | None = None
        try:
            async for attempt in attempts(self._timeout):
                with attempt:
                    sentence, sound = await self._begin(url, text, language)
            while sentence is not None and sound is not None:
                if piece := sentence.whole_samples(sound):
                    yield piece
                sound = await sentence.next()
        except VendorError as error:
            log.warning("sentence was not spoken", vendor=self.name, reason=error.reason)
            raise TtsError from error
        finally:
            if sentence is not None:
                sentence.leave(self._pool, url)

    async def _begin(self, url: str, text: str, language: str) -> tuple["_Sentence", bytes | None]:
        """Return a sentence and its first sound."""
        sentence = _Sentence(self._wire, await self._pool.take(url), self._new_id(), self._timeout)
        try:
            for message in self._wire.begin(sentence.context, text, language):
                await sentence.socket.send(message)
            first = await sentence.next()
            if first is None:
                raise VendorError("nothing was said")
        except BaseException:
            sentence.leave(self._pool, url)
            raise
        return sentence, first


class _Sentence:
    """One context on one socket."""

    def __init__(self, wire: VoiceWire, socket: VendorSocket, context: str, timeout: float) -> None:
        self._wire = wire
        self.socket = socket
        self.context = context
        self._timeout = timeout
        self._is_done = False
        self._odd = b""

    async def next(self) -> bytes | None:
        """Return the next sound; None at the end."""
        try:
            with anyio.fail_after(self._timeout):
                while True:
                    heard = self._wire.read(decode(await self.socket.receive()), self.context)
                    if isinstance(heard, Done):
                        self._is_done = True
                        return None
                    if heard:
                        return heard
        except TimeoutError:
            raise VendorError("silent for too long") from None

    def whole_samples(self, sound: bytes) -> bytes:
        """Return the sound up to its last whole sample; what is over comes with the next."""
        sound = self._odd + sound
        whole = len(sound) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        self._odd = sound[whole:]
        return sound[:whole]

    def leave(self, pool: SocketPool, url: str) -> None:
        """Give the socket back, or break off what it is at."""
        if self._is_done:
            pool.put_back(url, self.socket)
        else:
            pool.discard(self.socket, self._wire.cancel(self.context))
            pool.warm_up(url)


def has_words(text: str) -> bool:
    """Return whether there is anything to say."""
    return any(character.isalnum() for character in text)


def read_sound(encoded: object) -> bytes:
    """Return the sound of Base64.

    Raises:
        VendorError: It is none.
    """
    try:
        return base64.b64decode(str(encoded), validate=True)
    except (binascii.Error, ValueError):
        raise VendorError("sound cannot be read") from None
