"""Recordings of riders who consent: made beside the conversation, never in its way."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import structlog
from anyio.abc import TaskGroup

from app.core.clock import NowMs
from app.core.errors import AppError, Conflict, ForbiddenThread, NotFound, Overloaded, StoreError, as_app_error
from app.models.account import Caller
from app.models.recordings import RecordingInfo, Speaker
from app.services.recording_mix import RecordingMix
from app.stores.base import RecordingStore, RecordingWriter

log = structlog.stdlib.get_logger("voztaxi.recordings")

_WRITE_SECONDS = 1.0
"""How often sound is written."""
_CLOSE_SECONDS = 5.0
"""How long the end of a recording is waited for: what was not closed then is, when tidying up."""
_SWEEP_SECONDS = 3600.0
_DAY_MS = 24 * 3600 * 1000


class Recording:
    """A recording that goes on. Nothing here waits or raises: where it fails it ends, and the conversation goes on.

    Args:
        thread_id: The thread.
        mix: Where sound is placed.
    """

    def __init__(self, thread_id: str, mix: RecordingMix) -> None:
        self.failure: AppError | None = None
        """Why nothing is recorded any more; None while it is."""
        self.id: str | None = None
        """The id of what is recorded; None where it could not begin."""
        self._thread_id = thread_id
        self._mix = mix

    def rider(self, pcm16k: bytes) -> None:
        """Record what came from the microphone just now: mono ``pcm_s16le`` at ``HEARING_RATE``."""
        if self.failure is None and not self._mix.rider(pcm16k):
            self.fail(Overloaded())

    def agent(self, pcm24k: bytes, offset_ms: int, turn_id: str) -> None:
        """Record what was sent to be played, in order, perhaps ahead of time: mono ``pcm_s16le`` at ``SPEAKING_RATE``.

        Args:
            pcm24k: The sound.
            offset_ms: Where in its turn's speech it lies.
            turn_id: The turn.
        """
        if self.failure is None and not self._mix.agent(pcm24k, offset_ms, turn_id):
            self.fail(Overloaded())

    def dropped(self, turn_id: str, offset_ms: int) -> None:
        """Leave out what was sent of a turn's speech after ``offset_ms``: it will not be heard."""
        self._mix.dropped(turn_id, offset_ms)

    def mark(self, turn_id: str, who: Speaker, *, ago_ms: float = 0) -> None:
        """Note that somebody began to speak so many milliseconds ago. The agent's sound marks itself."""
        self._mix.mark(turn_id, who, ago_ms=ago_ms)

    def fail(self, error: AppError) -> None:
        """End the recording, with what it has."""
        if self.failure is None:
            self.failure = error
            if isinstance(error, NotFound):
                log.info("recording was deleted while it was made", thread_id=self._thread_id, recording=self.id)
                return
            log.warning(
                "recording ended before the conversation",
                thread_id=self._thread_id,
                recording=self.id,
                code=error.error_code,
                exc_info=error,
            )


@dataclass(frozen=True, slots=True)
class RecordingRules:
    """What recordings are subject to."""

    consent: str
    """What riders are told."""
    days: float
    """How long a recording is kept."""


class RecordingService:
    """Makes recordings, lets those have them whose thread it is, and deletes them in time.

    Args:
        recordings: Where they are kept.
        authorise: Raises where a thread is somebody else's.
        rules: What they are subject to.
        now_ms: The clock on the wall.
        now: Seconds, monotonic: the clock that sound is placed by.
    """

    def __init__(
        self,
        *,
        recordings: RecordingStore,
        authorise: Callable[[str, Caller], Awaitable[object]],
        rules: RecordingRules,
        now_ms: NowMs,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recordings = recordings
        self._authorise = authorise
        self._rules = rules
        self._now_ms = now_ms
        self._now = now
        self._tasks: TaskGroup = anyio.create_task_group()
        self._going_on: dict[str, anyio.Event] = {}
        """What ends each recording that is written."""
        self._one_less = anyio.Event()

    async def __aenter__(self) -> Self:
        """Start; close what a dead process left open, and from then on delete what has expired."""
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._keep_tidy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """End what still is recorded, and stop tidying up."""
        for ended in self._going_on.values():
            ended.set()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            while self._going_on:
                self._one_less = anyio.Event()
                await self._one_less.wait()
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    @property
    def consent(self) -> str:
        """What a rider has to be told before one is recorded."""
        return self._rules.consent

    @asynccontextmanager
    async def open(self, thread_id: str, caller: Caller, *, consented_at: int) -> AsyncIterator[Recording]:
        """Record a microphone's session within the block. It begins now.

        Args:
            thread_id: The thread, which the caller may use.
            caller: Who speaks.
            consented_at: When the rider consented; milliseconds since the epoch.

        Yields:
            The recording; one whose ``failure`` is set where it could not begin.
        """
        began, started_at = self._now(), self._now_ms()
        mix = RecordingMix(lambda: (self._now() - began) * 1000)
        recording = Recording(thread_id, mix)
        info = RecordingInfo(
            id=self._recordings.new_id(thread_id),
            thread_id=thread_id,
            owner=caller.account_id,
            started_at=started_at,
            consent=self._rules.consent,
            consented_at=consented_at,
            expires_at=started_at + int(self._rules.days * _DAY_MS),
        )
        ended, limit = anyio.Event(), anyio.CancelScope()
        self._going_on[info.id] = ended
        self._tasks.start_soon(self._write, recording, mix, info, ended, limit)
        try:
            yield recording
        finally:
            ended.set()
            limit.deadline = anyio.current_time() + _CLOSE_SECONDS

    async def list(self, thread_id: str, caller: Caller) -> Sequence[RecordingInfo]:
        """Return the recordings of a thread, oldest first.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        await self._authorise(thread_id, caller)
        found = await self._recordings.of_thread(thread_id)
        return [info for info in found if self._is_kept(info) and _is_open_to(info, caller)]

    async def get(self, recording_id: str, caller: Caller) -> RecordingInfo:
        """Return what is known of a recording.

        Raises:
            NotFound: There is none.
            ForbiddenThread: It is somebody else's.
        """
        info = await self._recordings.get(recording_id)
        if info is None or not self._is_kept(info):
            raise NotFound("No existe esa grabación.")
        await self._authorise(info.thread_id, caller)
        if not _is_open_to(info, caller):
            raise ForbiddenThread
        return info

    async def audio(self, recording_id: str, caller: Caller) -> Path:
        """Return the file with a recording's sound. Raises as ``ended`` does."""
        info = await self._ended(recording_id, caller)
        path = await self._recordings.audio(info.id)
        if path is None:
            raise NotFound("No existe esa grabación.")
        return path

    async def wav(self, recording_id: str, caller: Caller) -> tuple[RecordingInfo, AsyncIterator[bytes]]:
        """Return a recording and its sound as the pieces of a WAV file. Raises as ``audio`` does."""
        info = await self._ended(recording_id, caller)
        return info, self._recordings.wav(info.id, duration_ms=info.duration_ms)

    async def delete(self, recording_id: str, caller: Caller) -> None:
        """Delete a recording, also one that goes on. Raises as ``get`` does."""
        info = await self.get(recording_id, caller)
        await self._recordings.delete(info.id)
        log.info("recording deleted", recording=info.id, thread_id=info.thread_id)

    async def sweep(self) -> None:
        """Delete what has expired and close what a dead process left open."""
        try:
            changed = await self._recordings.sweep(now=self._now_ms())
        except AppError as error:
            log.warning("recordings could not be tidied", code=error.error_code, exc_info=error)
        else:
            if changed:
                log.info("recordings tidied", changed=changed)

    async def _keep_tidy(self) -> None:
        while True:
            await self.sweep()
            await anyio.sleep(_SWEEP_SECONDS)

    async def _ended(self, recording_id: str, caller: Caller) -> RecordingInfo:
        info = await self.get(recording_id, caller)
        if info.state == "recording":
            raise Conflict("La grabación todavía no ha terminado.")
        return info

    def _is_kept(self, info: RecordingInfo) -> bool:
        return info.expires_at > self._now_ms()

    async def _write(
        self, recording: Recording, mix: RecordingMix, info: RecordingInfo, ended: anyio.Event, limit: anyio.CancelScope
    ) -> None:
        """Write a recording until it ends, or fails."""
        with limit:
            try:
                async with self._recordings.open(info) as writer:
                    recording.id = info.id
                    await _write_on(writer, recording, mix, info, ended)
            except Exception as error:  # a recording never ends a conversation: what is wrong is in the log
                recording.fail(as_app_error(error))
        if limit.cancelled_caught:
            recording.fail(StoreError())
        del self._going_on[info.id]
        self._one_less.set()


async def _write_on(
    writer: RecordingWriter, recording: Recording, mix: RecordingMix, info: RecordingInfo, ended: anyio.Event
) -> None:
    known, is_over, written_ms = info, False, 0
    try:
        while recording.failure is None and not is_over:
            with anyio.move_on_after(_WRITE_SECONDS):
                await ended.wait()
            is_over = ended.is_set()
            await writer.write(*(mix.finish() if is_over else mix.take()))
            written_ms = mix.taken_ms
            if not is_over and mix.marks != known.marks:
                known = info.model_copy(update={"marks": mix.marks, "duration_ms": written_ms})
                await writer.save(known)
    except AppError as error:
        recording.fail(error)
    failure = recording.failure
    end = {
        "marks": mix.marks,
        "duration_ms": written_ms,
        "state": "whole" if failure is None else "cut",
        "code": None if failure is None else failure.error_code,
    }
    await writer.end(info.model_copy(update=end))


def _is_open_to(info: RecordingInfo, caller: Caller) -> bool:
    """Whether a caller who may use the thread may have the recording too: its own rider spoke in it."""
    return info.owner in (None, caller.account_id)
