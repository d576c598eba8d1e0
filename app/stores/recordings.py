"""Recordings as files in a folder: of each, Ogg with Opus in stereo, and JSON beside it.

A folder per thread, named by a digest, holds that thread's recordings; the id of a recording names its
folder too, so nothing has to be searched for. No name is made of what a client says. A file that is
being written is locked by its process: what is not locked and says that it goes on, nobody goes on with.
"""

import fcntl
import hashlib
import os
import re
import secrets
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import av
import numpy as np
import numpy.typing as npt
import soxr  # type: ignore[import-untyped]
import structlog
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from pydantic import ValidationError

from app.core.errors import NotFound, StoreError
from app.models.audio import BYTES_PER_SAMPLE, HEARING_RATE, SPEAKING_RATE
from app.models.recordings import RECORDING_ID, RecordingInfo
from app.stores.base import RecordingWriter

log = structlog.stdlib.get_logger("voztaxi.recordings")

T = TypeVar("T")
Samples = npt.NDArray[np.int16]

BIT_RATE = 48_000
"""Bits per second of both voices: with less, Opus mixes one into the other."""
PAGE_MICROSECONDS = 500_000
"""How much sound a page holds: it is in the file once the next one begins."""
_AT_ONCE = 2
"""Threads that write sound: encoding is work for a processor."""
_CLOSE_SECONDS = 5.0
_WAV_PIECE = 65_536
_NAME = re.compile(RECORDING_ID)
_FOLDER = re.compile(r"[0-9a-f]{32}")
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


class FileRecordingStore:
    """Recordings in a folder, which processes may share where it is on a disk of theirs.

    Args:
        folder: The folder; made where there is none.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        folder.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)

    def new_id(self, thread_id: str) -> str:
        """Return the id of a new recording of a thread. Nobody can guess it."""
        return f"{_digest(thread_id)}-{secrets.token_hex(16)}"

    @asynccontextmanager
    async def open(self, info: RecordingInfo) -> AsyncIterator[RecordingWriter]:
        """Begin a recording. A block that is left without its ``end`` leaves it open, for ``sweep`` to close."""
        path = self._path(info.id)
        assert path is not None, "the store made the id"
        writer = await self._do(partial(_FileWriter, path, info))
        try:
            yield _Writer(writer, self._do)
        finally:
            with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                await self._do(writer.close)

    async def get(self, recording_id: str) -> RecordingInfo | None:
        """Return what is known of a recording, or None. Any text may be asked for."""
        path = self._path(recording_id)
        return None if path is None else await _in_thread(partial(_read, path))

    async def of_thread(self, thread_id: str) -> Sequence[RecordingInfo]:
        """Return the recordings of a thread, oldest first."""

        def read() -> Sequence[RecordingInfo]:
            found = (_read(path) for path in (self._folder / _digest(thread_id)).glob("*.ogg"))
            return sorted((info for info in found if info is not None), key=lambda info: (info.started_at, info.id))

        return await _in_thread(read)

    async def audio(self, recording_id: str) -> Path | None:
        """Return the file of a recording's sound; None where there is no such recording."""
        path = self._path(recording_id)
        return path if path is not None and await _in_thread(path.exists) else None

    async def wav(self, recording_id: str, *, duration_ms: int) -> AsyncIterator[bytes]:
        """Return a recording as a WAV file in stereo at ``SPEAKING_RATE``, exactly this long, piece by piece."""
        path = self._path(recording_id)
        if path is None:
            raise NotFound
        pieces = _wav(path, duration_ms)
        try:
            while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                yield piece
        finally:
            pieces.close()

    async def delete(self, recording_id: str) -> bool:
        """Delete a recording, also one that goes on. Returns whether there was one."""
        path = self._path(recording_id)
        return path is not None and await _in_thread(partial(_delete, path))

    async def forget(self, thread_id: str) -> None:
        """Delete all recordings of a thread."""

        def forget() -> None:
            for path in list((self._folder / _digest(thread_id)).glob("*.ogg")):
                _delete(path)

        await _in_thread(forget)

    async def sweep(self, *, now: int) -> int:
        """Delete what has expired, and close what a dead process left open, or delete it where it has no sound."""

        def sweep() -> int:
            changed = 0
            for folder in [each for each in self._folder.iterdir() if _FOLDER.fullmatch(each.name)]:
                for path in list(folder.glob("*.ogg")):
                    try:
                        changed += _tidy(path, now)
                    except (OSError, av.FFmpegError) as error:
                        log.warning("recording could not be tidied", recording=path.stem, exc_info=error)
                for left in folder.glob("*.json"):
                    if not left.with_suffix(".ogg").exists():
                        left.unlink(missing_ok=True)
                with suppress(OSError):  # something is in it
                    folder.rmdir()
            return changed

        return await _in_thread(sweep)

    def _path(self, recording_id: str) -> Path | None:
        """Return where a recording's sound is; None for what cannot be an id."""
        if not _NAME.fullmatch(recording_id):
            return None
        return self._folder / recording_id[:32] / f"{recording_id}.ogg"

    async def _do(self, work: Callable[[], T]) -> T:
        return await _in_thread(work, self._limiter)


class _Writer:
    """Writes in a thread."""

    def __init__(self, writer: "_FileWriter", do: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._writer = writer
        self._do = do

    async def write(self, rider: bytes, agent: bytes) -> None:
        """Write what comes next."""
        await self._do(partial(self._writer.write, rider, agent))

    async def save(self, info: RecordingInfo) -> None:
        """Store what is known of it by now."""
        await self._do(partial(self._writer.save, info))

    async def end(self, info: RecordingInfo) -> None:
        """Close the sound, then store what is known of it."""
        await self._do(partial(self._writer.end, info))


class _FileWriter:
    """One file that is being written. Not for the event loop."""

    def __init__(self, path: Path, info: RecordingInfo) -> None:
        self._path = path
        self._lock = threading.Lock()
        """Whoever closes it may come while a disk hangs."""
        # The sound comes first, and is locked: whoever tidies up sees that somebody is at it.
        file = _create(path)
        try:
            _save(path, info)
        except BaseException:
            os.close(file)
            raise
        self._file = _Appending(file)
        self._container = av.open(
            self._file, "w", format="ogg", options={"page_duration": str(PAGE_MICROSECONDS), "flush_packets": "1"}
        )
        self._stream: AudioStream = self._container.add_stream("libopus", rate=SPEAKING_RATE, layout="stereo")
        self._stream.bit_rate = BIT_RATE
        self._resampler = soxr.ResampleStream(HEARING_RATE, SPEAKING_RATE, 1, dtype="int16")
        self._left = np.empty(0, np.int16)
        self._right = np.empty(0, np.int16)
        self._written = 0
        """Samples of either voice."""
        self._is_broken = False

    def write(self, rider: bytes, agent: bytes) -> None:
        with self._lock:
            self._file.check()
            self._encode(np.frombuffer(rider, np.int16), np.frombuffer(agent, np.int16), last=False)

    def save(self, info: RecordingInfo) -> None:
        with self._lock:
            self._file.check()
            _save(self._path, info)

    def end(self, info: RecordingInfo) -> None:
        with self._lock:
            self._file.check()
            if not self._is_broken:
                self._encode(np.empty(0, np.int16), np.empty(0, np.int16), last=True)
                self._mux(None)
                self._container.close()
            _save(self._path, info)

    def close(self) -> None:
        """Let go of the file, and of the lock with it."""
        with self._lock:
            self._file.close()

    def _encode(self, rider: Samples, agent: Samples, *, last: bool) -> None:
        # The resampler gives less than it was given, and the rest later: the other voice waits for it.
        self._left = np.concatenate([self._left, self._resampler.resample_chunk(rider, last=last)])
        self._right = np.concatenate([self._right, agent])
        ready = min(len(self._left), len(self._right))
        if last:
            ready = len(self._right)
            self._left = np.pad(self._left, (0, max(0, ready - len(self._left))))
        if ready == 0:
            return
        both = np.empty((1, 2 * ready), np.int16)
        both[0, 0::2], both[0, 1::2] = self._left[:ready], self._right[:ready]
        self._left, self._right = self._left[ready:], self._right[ready:]
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = SPEAKING_RATE, self._written
        self._written += ready
        self._mux(frame)

    def _mux(self, frame: av.AudioFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except BaseException:
            self._is_broken = True  # nothing is written after what was torn
            raise


class _Appending:
    """What the container writes to: a file without a buffer, so that a page is in it once it is written."""

    def __init__(self, file: int) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Write all of it."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        return len(data)

    def check(self) -> None:
        """Raise where the file was deleted."""
        if os.fstat(self._file).st_nlink == 0:
            raise NotFound

    def close(self) -> None:
        """Close the file; a container that is not done with it writes nowhere."""
        file, self._file = self._file, -1
        os.close(file)


async def _in_thread(work: Callable[[], T], limiter: anyio.CapacityLimiter | None = None) -> T:
    """Do what would block the event loop. A disk that hangs is left alone when the caller gives up.

    Raises:
        StoreError: The disk or the codec failed.
    """
    try:
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
    except (OSError, av.FFmpegError) as error:
        raise StoreError(f"the recording failed: {error}") from error


def _digest(thread_id: str) -> str:
    return hashlib.sha256(thread_id.encode()).hexdigest()[:32]


def _create(path: Path) -> int:
    """Create a file and return it, open for writing and locked."""
    for _ in range(8):
        path.parent.mkdir(_PRIVATE_FOLDER, exist_ok=True)
        with suppress(FileNotFoundError):  # its folder was empty, and just then tidied up
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_nlink:
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)  # it was not locked yet, and tidied up itself
    raise FileNotFoundError(path)


def _save(path: Path, info: RecordingInfo) -> None:
    """Write what is known of a recording, so that a reader sees all of it or what was there before."""
    written = path.with_suffix(".json.new")
    with open(written, "w", encoding="utf-8", opener=partial(os.open, mode=_PRIVATE_FILE)) as file:
        file.write(info.model_dump_json())
    written.replace(path.with_suffix(".json"))


def _read(path: Path) -> RecordingInfo | None:
    """Return what is known of the recording whose sound is at ``path``; None where either is missing."""
    if not path.exists():
        return None
    try:
        return RecordingInfo.model_validate_json(path.with_suffix(".json").read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        log.warning("recording cannot be read", recording=path.stem, exc_info=error)
        return None


def _delete(path: Path) -> bool:
    was_there = path.exists()
    for suffix in (".ogg", ".json", ".json.new"):
        path.with_suffix(suffix).unlink(missing_ok=True)
    with suppress(OSError):  # other recordings are in it
        path.parent.rmdir()
    return was_there


def _tidy(path: Path, now: int) -> bool:
    """Delete a recording that has expired; close or delete one that nobody goes on with. Returns whether it did."""
    info = _read(path)
    if info is not None and info.expires_at <= now:
        return _delete(path)
    if info is not None and info.state != "recording":
        return False
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        info = _read(path)  # it may have ended just now
        duration_ms = 0 if info is None else _duration_ms(path)
        if info is None or duration_ms == 0:
            return _delete(path)
        if info.state == "recording":
            _save(path, info.model_copy(update={"state": "cut", "duration_ms": duration_ms}))
            return True
    except BlockingIOError:
        pass  # somebody is at it
    finally:
        os.close(file)
    return False


def _duration_ms(path: Path) -> int:
    """Return how long the sound in a file is: milliseconds, 0 where there is none."""
    end = 0
    with suppress(av.FFmpegError), av.open(str(path)) as container:  # what was written last may be torn
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            if packet.pts is not None and stream.time_base is not None:
                end = int((packet.pts + (packet.duration or 0)) * stream.time_base * 1000)
    return end


def _decoded(container: InputContainer) -> Iterator[av.AudioFrame]:
    """Decode a recording: stereo at ``SPEAKING_RATE``, as far as it is whole."""
    resampler = AudioResampler(format="s16", layout="stereo", rate=SPEAKING_RATE)
    try:
        for frame in container.decode(audio=0):
            yield from resampler.resample(frame)
    except av.FFmpegError:
        pass  # the last page is torn where a process died
    yield from resampler.resample(None)


def _wav(path: Path, duration_ms: int) -> Generator[bytes]:
    """Decode a recording, with a header before it that says how long it is."""
    width = 2 * BYTES_PER_SAMPLE
    left = duration_ms * SPEAKING_RATE // 1000 * width
    yield struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + left, b"WAVE"),
        *(b"fmt ", 16, 1, 2, SPEAKING_RATE, SPEAKING_RATE * width, width, 8 * BYTES_PER_SAMPLE),
        *(b"data", left),
    )
    with av.open(str(path)) as container:
        piece = bytearray()
        for frame in _decoded(container):
            piece += frame.to_ndarray().tobytes()[: left - len(piece)]
            if len(piece) >= min(_WAV_PIECE, left):
                yield bytes(piece)
                left -= len(piece)
                piece.clear()
            if left == 0:
                return
    left -= len(piece)
    yield bytes(piece)
    while left > 0:
        yield bytes(min(left, _WAV_PIECE))
        left -= _WAV_PIECE
