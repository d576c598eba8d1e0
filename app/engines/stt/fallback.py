"""An order of recognisers: where one fails, the next is given all that was said.

An engine that failed is left alone for a while. Then it is given, behind a rider's back, what another engine has just
understood; when it understands anything at all, riders come to it again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from app.core.errors import SttError
from app.core.tasks import Chores, beside, uninterruptible, until_first
from app.engines.breaker import Breaker
from app.engines.stt.base import Recognition, SpeechHints, SttEngine, SttSession

log = structlog.stdlib.get_logger("voztaxi.stt")

_CLOSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class _Entry:
    engine: SttEngine
    breaker: Breaker


class FallbackStt:
    """An ``SttEngine`` made of several.

    Args:
        engines: The one that is wanted first.
        timeout: Longest that one of them may take to open, or to finish an utterance, before it failed; in seconds.
        now: Seconds, monotonic.
    """

    def __init__(
        self, engines: Sequence[SttEngine], *, timeout: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._entries = [_Entry(engine, Breaker(now)) for engine in engines]
        self._timeout = timeout
        self.name = ",".join(engine.name for engine in engines)

    @asynccontextmanager
    async def open(self, hints: SpeechHints) -> AsyncIterator[SttSession]:
        """See ``SttEngine``. Opens the first engine ahead, without waiting for it."""
        session = _Session(self._entries, hints, self._timeout)
        try:
            session.warm_up()
            yield session
        finally:
            await uninterruptible(session.close())


class _Held:
    """An engine's session, open in a task of its own: whoever opens it first is not who closes it."""

    def __init__(self, engine: SttEngine, hints: SpeechHints) -> None:
        self._closing = asyncio.Event()
        self._opened = asyncio.Event()
        self._session: SttSession | None = None
        self._failure: Exception | None = None
        self._task = asyncio.create_task(self._hold(engine, hints))

    async def session(self) -> SttSession:
        """Return the session once it is open."""
        await self._opened.wait()
        if self._session is None:
            raise SttError from self._failure
        return self._session

    async def close(self) -> None:
        self._closing.set()
        await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
        self._task.cancel()

    async def _hold(self, engine: SttEngine, hints: SpeechHints) -> None:
        try:
            async with engine.open(hints) as session:
                self._session = session
                self._opened.set()
                await self._closing.wait()
        except Exception as error:  # whoever wants the session is told
            self._failure = error
        finally:
            self._opened.set()


class _Session:
    def __init__(self, entries: Sequence[_Entry], hints: SpeechHints, timeout: float) -> None:
        self._entries = entries
        self._hints = hints
        self._timeout = timeout
        self._held: dict[str, _Held] = {}
        self._chores = Chores()

    @asynccontextmanager
    async def recognise(self) -> AsyncIterator[Recognition]:
        recognition = _Recognition(self)
        async with beside(recognition.run()):
            yield recognition

    def warm_up(self) -> None:
        self._hold(self.order()[0])

    def order(self) -> list[_Entry]:
        """Return the engines as they are tried: those first that are trusted."""
        return sorted(self._entries, key=lambda entry: not entry.breaker.is_trusted)

    @asynccontextmanager
    async def attempt(self, entry: _Entry) -> AsyncIterator[Recognition]:
        """Open an utterance with an engine."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self._timeout):
                session = await self._hold(entry).session()
                recognition = await stack.enter_async_context(session.recognise())
            yield recognition

    async def finish(self, recognition: Recognition) -> str:
        """Return an engine's final transcript, unless it hangs."""
        async with asyncio.timeout(self._timeout):
            return await recognition.finish()

    def failed(self, entry: _Entry, error: Exception) -> None:
        """Leave an engine alone; its session is opened again when it is next used."""
        entry.breaker.failed()
        log.warning("recogniser failed, the next one is asked", engine=entry.engine.name, error=type(error).__name__)
        held = self._held.pop(entry.engine.name, None)
        if held is not None:
            self._chores.start(held.close())

    def worked(self, entry: _Entry, sound: bytes) -> None:
        """Trust an engine, and try others out with what it understood."""
        entry.breaker.worked()
        for other in self._entries:
            if sound and other.breaker.claim_trial():
                self._chores.start(self._try_out(other, sound))

    async def close(self) -> None:
        await self._chores.close()
        await asyncio.gather(*(held.close() for held in self._held.values()))

    def _hold(self, entry: _Entry) -> _Held:
        name = entry.engine.name
        if name not in self._held:
            self._held[name] = _Held(entry.engine, self._hints)
        return self._held[name]

    async def _try_out(self, entry: _Entry, sound: bytes) -> None:
        try:
            async with entry.engine.open(self._hints) as session, session.recognise() as recognition:
                recognition.feed(sound)
                await self.finish(recognition)
        except Exception as error:  # any failure is the same: it is left alone for longer
            entry.breaker.failed()
            log.info("recogniser still fails", engine=entry.engine.name, error=type(error).__name__)
        else:
            entry.breaker.worked()
            log.info("recogniser works again", engine=entry.engine.name)


class _Recognition:
    """One utterance, with whichever engine understands it."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._sound = bytearray()
        self._is_paused = False
        self._current: Recognition | None = None
        self._finishing = asyncio.Event()
        self._news = asyncio.Event()
        self._partial = ""
        self._final: str | None = None
        self._failure: Exception | None = None

    def feed(self, audio: bytes) -> None:
        self._sound += audio
        self._is_paused = False
        if self._current is not None:
            self._current.feed(audio)

    def pause(self) -> None:
        self._is_paused = True
        if self._current is not None:
            self._current.pause()

    async def partials(self) -> AsyncIterator[str]:
        told = ""
        while True:
            self._news.clear()
            if self._partial != told:
                told = self._partial
                yield told
            elif self._failure is not None:
                raise SttError from self._failure
            elif self._final is not None:
                return
            else:
                await self._news.wait()

    async def finish(self) -> str:
        self._finishing.set()
        while self._final is None and self._failure is None:
            self._news.clear()
            await self._news.wait()
        self._news.set()
        if self._final is None:
            raise SttError from self._failure
        return self._final

    async def run(self) -> None:
        """Give the utterance to one engine after the other, until one understands it."""
        failure: Exception | None = None
        for entry in self._session.order():
            try:
                self._final = await self._understand(entry)
            except Exception as error:  # an engine may crash as it likes: the next one is asked
                failure = error
                self._session.failed(entry, error)
            else:
                self._session.worked(entry, bytes(self._sound))
                break
            finally:
                self._current = None
        if self._final is None:
            self._failure = failure
        self._news.set()

    async def _understand(self, entry: _Entry) -> str:
        async with self._session.attempt(entry) as recognition:
            if self._sound:
                recognition.feed(bytes(self._sound))
            if self._is_paused:
                recognition.pause()
            self._current = recognition
            await until_first(self._wait_for_the_end(), self._follow(recognition))
            return await self._session.finish(recognition)

    async def _wait_for_the_end(self) -> None:
        await self._finishing.wait()

    async def _follow(self, recognition: Recognition) -> None:
        """Pass transcripts on as they grow. Returns only by the failure of the engine."""
        async for text in recognition.partials():
            self._partial = text
            self._news.set()
        await asyncio.Event().wait()
