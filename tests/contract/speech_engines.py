"""Every engine that hears or speaks, opened for the contract suites. Whoever writes one adds its opener to a list."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from app.engines.stt.base import SttEngine
from app.engines.stt.whisper import WhisperStt
from app.engines.tts.base import TtsEngine
from app.engines.tts.espeak import EspeakTts
from app.engines.tts.kokoro import KokoroTts
from app.engines.tts.piper import PiperTts
from app.engines.worker import WorkerPool
from tests.tiny_piper import write_voice
from tests.voices import weights_folder

Engine = TypeVar("Engine")
PATIENCE = 60
"""Seconds until an engine that hangs has failed: more than it needs on a machine that does much else."""


@dataclass(frozen=True)
class Opened(Generic[Engine]):
    """An engine that is ready, and how to break it."""

    engine: Engine
    crash: Callable[[], AbstractContextManager[None]]
    """Break off what runs now; after the block the engine is well."""
    hang: Callable[[], AbstractContextManager[None]]
    """Have it say nothing more to what runs now, with a near deadline; after the block the engine is well."""


Opener = Callable[[Path], AbstractAsyncContextManager[Opened[Engine]]]
"""Opens an engine, given an empty folder."""


@asynccontextmanager
async def open_whisper(_folder: Path) -> AsyncIterator[Opened[SttEngine]]:
    """Whisper base."""
    engine = WhisperStt(str(weights_folder() / "whisper-base"), timeout=PATIENCE)
    async with _open_pool(engine.pool) as pool:
        yield Opened(engine, *pool)


@asynccontextmanager
async def open_espeak(_folder: Path) -> AsyncIterator[Opened[TtsEngine]]:
    """The robot."""
    engine = EspeakTts(timeout=PATIENCE)
    async with _open_pool(engine.pool) as pool:
        yield Opened(engine, *pool)


@asynccontextmanager
async def open_kokoro(_folder: Path) -> AsyncIterator[Opened[TtsEngine]]:
    """The neural voice."""
    engine = KokoroTts(weights_folder() / "kokoro", timeout=PATIENCE)
    async with _open_pool(engine.pool) as pool:
        yield Opened(engine, *pool)


@asynccontextmanager
async def open_piper(folder: Path) -> AsyncIterator[Opened[TtsEngine]]:
    """A voice that hums: no package has a Spanish one."""
    engine = PiperTts(write_voice(folder), timeout=PATIENCE)
    async with _open_pool(engine.pool) as pool:
        yield Opened(engine, *pool)


STT_ENGINES: dict[str, Opener[SttEngine]] = {"whisper": open_whisper}
TTS_ENGINES: dict[str, Opener[TtsEngine]] = {"espeak": open_espeak, "kokoro": open_kokoro, "piper": open_piper}


@asynccontextmanager
async def _open_pool(
    pool: WorkerPool,
) -> AsyncIterator[tuple[Callable[[], AbstractContextManager[None]], Callable[[], AbstractContextManager[None]]]]:
    """Open the workers of an engine, and yield how to crash and how to hang them."""
    others = set(psutil.Process().children())

    def signalled(number: signal.Signals) -> None:
        for process in set(psutil.Process().children()) - others:
            os.kill(process.pid, number)

    @contextmanager
    def broken(number: signal.Signals) -> Iterator[None]:
        signalled(number)
        pool.timeout = 1
        try:
            yield
        finally:
            pool.timeout = PATIENCE

    async with pool.open():
        await pool.warm()
        yield partial(broken, signal.SIGKILL), partial(broken, signal.SIGSTOP)


@asynccontextmanager
async def held(context: AbstractAsyncContextManager[Opened[Engine]]) -> AsyncIterator[Opened[Engine]]:
    """Hold something open in a task of its own: pytest sets up and tears down in different ones."""
    opened: asyncio.Future[Opened[Engine]] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def hold() -> None:
        try:
            async with context as engine:
                opened.set_result(engine)
                await done.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    task = asyncio.create_task(hold())
    try:
        yield await opened
    finally:
        done.set()
        await task
