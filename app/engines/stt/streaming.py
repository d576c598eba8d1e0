"""What all recognisers behind a WebSocket have in common; each vendor adds a ``Wire``.

A session has one socket, which lives from utterance to utterance and is opened again when it is lost. An utterance
keeps its sound until its transcript is final: on a new socket everything is said again that was not yet final.

The rules (``Dictation``, ``Talk``) are without I/O; ``_Session`` moves bytes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from app.core.errors import SttError
from app.core.tasks import beside, until_first
from app.engines.stt.base import Recognition, SpeechHints, SttSession
from app.engines.vendor import VendorError, decode
from app.engines.vendor_socket import Vendor, VendorSocket, open_socket
from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE

log = structlog.stdlib.get_logger("voztaxi.stt")

_BYTES_PER_SECOND = HEARING_RATE * BYTES_PER_SAMPLE
_MOST_DROPS = 3
"""An utterance that lost its socket so often has failed."""
_GRACE_SECONDS = 1.5
"""Not every flush is answered where nothing was said. After this the stream is ended, and that is answered."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of what was understood."""

    key: int
    """Grows from part to part of a connection; the same part has the same key when it is told again."""
    text: str
    is_final: bool
    end: float | None = None
    """Where it ends in the sound of the connection, in seconds; None where the vendor does not say."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """All that came before a flush is final."""


@dataclass(frozen=True, slots=True)
class Ended:
    """All that was said on the connection is final, and nothing more comes."""


Heard = Segment | Flushed | Ended


class Wire(Protocol):
    """A vendor's messages. No I/O."""

    vendor: Vendor
    smallest: int
    """Least sound of a message, in bytes."""
    largest: int
    """Most sound of a message, in bytes."""
    ahead_seconds: float | None
    """How far sound may run ahead of the clock that began with the connection; None is no limit."""
    flush: str
    """Asks for the final transcript of all that was sent."""
    flushes_at_pauses: bool
    """Whether a flush does the words after it no harm."""
    goodbye: str
    """Asks for all that is left, and the end."""
    keep_alive: str | None
    keep_alive_seconds: float
    """After how much quiet ``keep_alive`` is sent."""

    def url(self, hints: SpeechHints) -> str:
        """Return where to connect."""
        ...

    def read(self, message: dict[str, Any]) -> Iterable[Heard]:
        """Return what a message says.

        Raises:
            VendorError: It says that something failed, or cannot be understood.
        """
        ...


class Dictation:
    """One utterance: its sound, and what is understood of it. Sound is kept until its words are final."""

    def __init__(self) -> None:
        self._sound = bytearray()
        self._kept: list[str] = []  # final on connections that are gone
        self._settled = 0  # up to where they are, in bytes
        self._sent = 0
        self._offset = 0  # from a place in the connection's sound to one in ours
        self._segments: dict[int, Segment] = {}
        self.drops = 0
        self.is_pausing = False
        """The rider fell silent, and the vendor was not told yet."""
        self.is_finishing = False
        self.is_complete = False
        self.failure: VendorError | None = None

    @property
    def text(self) -> str:
        """What is understood so far."""
        parts = [*self._kept, *(self._segments[key].text.strip() for key in sorted(self._segments))]
        return " ".join(part for part in parts if part)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be understood."""
        return self.is_complete or self.failure is not None

    @property
    def is_new(self) -> bool:
        """Whether no connection has had any of it."""
        return self._sent == 0

    @property
    def is_silent(self) -> bool:
        """Whether no sound came."""
        return not self._sound

    @property
    def is_all_sent(self) -> bool:
        """Whether the connection has all the sound there is."""
        return self._sent == len(self._sound)

    @property
    def is_settled(self) -> bool:
        """Whether the words of all the sound are final, as the vendor's own times have it."""
        return self._finals()[1] >= len(self._sound)

    def feed(self, audio: bytes) -> None:
        """Take sound."""
        self._sound += audio

    def begin(self, position: int) -> None:
        """Begin on a connection, or begin again on another: what is not final is to be sent, and understood, anew.

        Args:
            position: How much sound the connection had before, in bytes.
        """
        texts, self._settled = self._finals()
        self._kept += texts
        self._segments.clear()
        self._sent = self._settled
        self._offset = self._settled - position

    def take(self, smallest: int, largest: int) -> bytes | None:
        """Return the next sound to be sent, ``smallest`` to ``largest`` bytes; None where there is not enough.

        The end of an utterance that is finishing is filled up with silence.
        """
        waiting = len(self._sound) - self._sent
        if waiting == 0 or (waiting < smallest and not self.is_finishing):
            return None
        piece = bytes(self._sound[self._sent : self._sent + largest])
        self._sent += len(piece)
        return piece.ljust(smallest, b"\0")

    def hear(self, segment: Segment) -> None:
        """Take what was understood. What is final stays; there is one part at a time that is not."""
        last_final = max((key for key, known in self._segments.items() if known.is_final), default=-1)
        if not segment.is_final and segment.key <= last_final:
            return  # it came late
        for key in [key for key, known in self._segments.items() if not known.is_final]:
            del self._segments[key]
        self._segments[segment.key] = segment

    def _finals(self) -> tuple[list[str], int]:
        """Return the texts that are final and up to where in the sound, on this connection or before."""
        texts, settled = [], self._settled
        for key in sorted(self._segments):
            segment = self._segments[key]
            if not segment.is_final or segment.end is None:
                break
            texts.append(segment.text.strip())
            place = round(segment.end * HEARING_RATE) * BYTES_PER_SAMPLE + self._offset
            settled = min(max(settled, place), self._sent)
        return texts, settled


class Talk:
    """One connection: what is to be sent when, and what the answers mean for the utterance.

    Args:
        wire: The vendor's messages.
        now: Seconds, monotonic, when the connection was opened.
    """

    def __init__(self, wire: Wire, now: float) -> None:
        self._wire = wire
        self._began = self._spoke = now
        self._position = 0
        self._dictation: Dictation | None = None
        self._flushed_at: float | None = None
        self._unanswered = 0  # flushes, of whichever utterance: answers come in order
        self._said_goodbye = False
        self._last_key = self._oldest_key = -1
        self.has_served = False
        self.is_over = False

    def attend(self, dictation: Dictation | None) -> None:
        """Turn to an utterance, or to none."""
        if dictation is self._dictation:
            return
        if self._dictation is not None and not self._dictation.is_complete:
            self.is_over = True  # its words would be taken for the next one's
            return
        self._dictation = dictation
        self._flushed_at = None
        self._oldest_key = self._last_key + 1
        if dictation is not None:
            dictation.begin(self._position)
            self.has_served = True

    def outgoing(self, now: float) -> list[str | bytes]:
        """Return what is to be sent now."""
        messages: list[str | bytes] = []
        dictation = self._dictation
        if dictation is not None and not dictation.is_over and not self._said_goodbye:
            messages += self._sound(dictation, now)
            if dictation.is_finishing and dictation.is_all_sent:
                messages += self._end(now)
            elif dictation.is_pausing and self._wire.flushes_at_pauses and dictation.is_all_sent:
                dictation.is_pausing = False
                self._unanswered += 1
                messages.append(self._wire.flush)
        if not messages and self._wire.keep_alive is not None and now >= self._spoke + self._wire.keep_alive_seconds:
            messages.append(self._wire.keep_alive)
        if messages:
            self._spoke = now
        return messages

    def _sound(self, dictation: Dictation, now: float) -> list[str | bytes]:
        pieces: list[str | bytes] = []
        # A flush cuts where the sound ends: nothing of the last word may wait for more.
        is_flushed = dictation.is_pausing and self._wire.flushes_at_pauses
        smallest = BYTES_PER_SAMPLE if is_flushed else self._wire.smallest
        while self._may_send(now):
            piece = dictation.take(smallest, self._wire.largest)
            if piece is None:
                break
            self._position += len(piece)
            pieces.append(piece)
        return pieces

    def _may_send(self, now: float) -> bool:
        ahead = self._wire.ahead_seconds
        return ahead is None or self._position <= (now - self._began + ahead) * _BYTES_PER_SECOND

    def _end(self, now: float) -> list[str | bytes]:
        self._settle()
        if self._dictation is None or self._dictation.is_complete:
            return []
        if self._flushed_at is None:
            self._flushed_at = now
            self._unanswered += 1
            return [self._wire.flush]
        if now >= self._flushed_at + _GRACE_SECONDS:
            self._said_goodbye = True
            return [self._wire.goodbye]
        return []

    def wait(self, now: float) -> float | None:
        """Return after how many seconds something may be to send although nothing happened; None is never."""
        times = []
        dictation = self._dictation
        if dictation is not None and not dictation.is_over and not self._said_goodbye:
            if not self._may_send(now):
                times.append(self._position / _BYTES_PER_SECOND + self._began - (self._wire.ahead_seconds or 0))
            if self._flushed_at is not None:
                times.append(self._flushed_at + _GRACE_SECONDS)
        if self._wire.keep_alive is not None:
            times.append(self._spoke + self._wire.keep_alive_seconds)
        return max(min(times) - now, 0.001) if times else None

    def read(self, message: dict[str, Any]) -> None:
        """Take an answer.

        Raises:
            VendorError: It is none, or says that something failed.
        """
        for heard in self._wire.read(message):
            match heard:
                case Segment():
                    self._hear(heard)
                case Flushed():
                    self._unanswered = max(self._unanswered - 1, 0)
                case Ended():
                    self.is_over = True
        self._settle()

    def _settle(self) -> None:
        """Complete the utterance once all of it is final."""
        dictation = self._dictation
        if dictation is None or not dictation.is_finishing or not dictation.is_all_sent:
            return
        is_answered = self.is_over or (self._flushed_at is not None and self._unanswered == 0)
        if not dictation.is_over and (is_answered or dictation.is_settled):
            dictation.is_complete = True

    def _hear(self, segment: Segment) -> None:
        self._last_key = max(self._last_key, segment.key)
        if self._dictation is not None and not self._dictation.is_over and segment.key >= self._oldest_key:
            self._dictation.hear(segment)  # else it belongs to what is over


class _Recognition:
    """One utterance, as its rider's stage sees it."""

    def __init__(self, ring: Callable[[], None], timeout: float) -> None:
        self.dictation = Dictation()
        self.news = asyncio.Event()
        self._ring = ring
        self._timeout = timeout

    def feed(self, audio: bytes) -> None:
        self.dictation.feed(audio)
        self._ring()

    def pause(self) -> None:
        self.dictation.is_pausing = True
        self._ring()

    async def partials(self) -> AsyncIterator[str]:
        told = ""
        while True:
            self.news.clear()
            text = self.dictation.text
            if text and text != told:
                told = text
                yield text
            elif self.dictation.failure is not None:
                raise SttError from self.dictation.failure
            elif self.dictation.is_over:
                return
            else:
                await self.news.wait()

    async def finish(self) -> str:
        dictation = self.dictation
        if dictation.is_silent:
            dictation.is_complete = True
        dictation.is_finishing = True
        self._ring()
        try:
            async with asyncio.timeout(self._timeout):
                while not dictation.is_over:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            self.fail(VendorError("no final transcript in time"))
        self.news.set()
        if dictation.failure is not None:
            log.warning("speech was not understood", reason=dictation.failure.reason)
            raise SttError from dictation.failure
        return dictation.text

    def fail(self, error: VendorError) -> None:
        if not self.dictation.is_over:
            self.dictation.failure = error
        self.news.set()


class _Session:
    """A socket for one microphone, and the utterance that is said on it now."""

    def __init__(self, wire: Wire, hints: SpeechHints, timeout: float) -> None:
        self._wire = wire
        self._url = wire.url(hints)
        self._timeout = timeout
        self._bell = asyncio.Event()
        self._current: _Recognition | None = None
        self._refusal: VendorError | None = None

    @asynccontextmanager
    async def recognise(self) -> AsyncIterator[Recognition]:
        if self._refusal is not None:
            raise SttError from self._refusal
        self._current = recognition = _Recognition(self._bell.set, self._timeout)
        self._bell.set()
        try:
            yield recognition
        finally:
            self._current = None
            recognition.fail(VendorError("nobody waits for it"))
            self._bell.set()

    async def serve(self) -> None:
        """Connect ahead, and again as often as an utterance needs it."""
        is_wanted = True
        while self._refusal is None:
            while not is_wanted and self._current is None:
                self._bell.clear()
                await self._bell.wait()
            is_wanted = False
            try:
                async with open_socket(
                    self._wire.vendor, self._url, timeout=self._timeout, goodbye=self._wire.goodbye
                ) as socket:
                    is_wanted = await self._talk(socket)
            except VendorError as error:
                self._take_note(error)
            except Exception:  # nobody waits for this task: an utterance must not wait for ever
                log.exception("recogniser crashed", vendor=self._wire.vendor.name)
                self._take_note(VendorError("crashed", retryable=False))

    async def _talk(self, socket: VendorSocket) -> bool:
        """Serve utterances until the vendor has said all. Returns whether another connection may be needed soon."""
        talk = Talk(self._wire, time.monotonic())
        await until_first(self._write(socket, talk), self._read(socket, talk))
        if self._current is not None and not self._current.dictation.is_over and not self._current.dictation.is_new:
            raise VendorError("ended the stream")
        return talk.has_served

    async def _write(self, socket: VendorSocket, talk: Talk) -> None:
        while True:
            self._bell.clear()
            talk.attend(self._current.dictation if self._current is not None else None)
            if talk.is_over:
                return
            for message in talk.outgoing(time.monotonic()):
                await socket.send(message)
            if self._current is not None and self._current.dictation.is_complete:
                self._current.news.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(talk.wait(time.monotonic())):
                    await self._bell.wait()

    async def _read(self, socket: VendorSocket, talk: Talk) -> None:
        while not talk.is_over:
            talk.read(decode(await socket.receive()))
            if self._current is not None:
                self._current.news.set()
            self._bell.set()

    def _take_note(self, error: VendorError) -> None:
        log.info("recogniser lost", vendor=self._wire.vendor.name, reason=error.reason)
        if not error.retryable:
            self._refusal = error
        if self._current is None:
            return
        self._current.dictation.drops += 1
        if not error.retryable or self._current.dictation.drops > _MOST_DROPS:
            self._current.fail(error)


class StreamingStt:
    """An ``SttEngine`` behind a WebSocket.

    Args:
        wire: The vendor's messages.
        timeout: Longest that a final transcript may take, and connecting, in seconds.
    """

    def __init__(self, wire: Wire, *, timeout: float) -> None:
        self._wire = wire
        self._timeout = timeout
        self.name = wire.vendor.name

    @asynccontextmanager
    async def open(self, hints: SpeechHints) -> AsyncIterator[SttSession]:
        """See ``SttEngine``. Connects in the background: what is said meanwhile is kept."""
        session = _Session(self._wire, hints, self._timeout)
        async with beside(session.serve()):
            yield session


def fitting(terms: Sequence[str], *, most: int, longest: int, budget: int) -> list[str]:
    """Return the first terms that a vendor takes.

    Args:
        terms: The likeliest first.
        most: How many may be named.
        longest: Characters of a term.
        budget: Characters of all of them.
    """
    chosen: list[str] = []
    for term in terms:
        if len(chosen) == most or len(term) > budget:
            break
        if 0 < len(term) <= longest:
            chosen.append(term)
            budget -= len(term)
    return chosen
