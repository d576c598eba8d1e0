"""Models in processes of their own: loaded once, one call at a time each, so that nobody else waits for them.

``anyio.to_process`` keeps no model and returns one value; ``concurrent.futures`` and ``loky`` lose a whole pool to a
crash, and neither streams an answer nor stops what runs: so this is our own, and small.
"""

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from app.core.errors import AppError
from app.engines.worker_process import LENGTH, packed

Request = TypeVar("Request")
Piece = TypeVar("Piece")
Model = Callable[[Request], Generator[Piece]]
"""Answers a call piece by piece. Where the call is given up it is closed at the next piece."""

_PROGRAM = "import sys; from app.engines.worker_process import main; main(int(sys.argv[1]))"
_STOP_SECONDS = 5.0
"""How long a worker has to reach its next piece once nobody wants it any more; then its process is replaced."""
_STDERR_BYTES = 2000

_log = structlog.get_logger(__name__)


class _CannotLoad(Exception):
    """The model could not be loaded; the message says why."""


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing more comes."""

    failure: str | None = None


_CLOSED = _End("the pool was closed")


class Call(Generic[Request, Piece]):
    """What a worker was asked, or will be when one is free. Made by ``WorkerPool.submit``.

    Args:
        pool: Whom it is for.
        request: What is asked.
        number: Which of the pool's calls it is.
        urgency: Calls with a lower one go first; may be changed while it waits.
    """

    def __init__(self, pool: "WorkerPool[Request, Piece]", request: Request, number: int, urgency: int) -> None:
        self._pool = pool
        self.request = request
        self.number = number
        self.urgency = urgency
        self.answers: asyncio.Queue[Piece | _End] = asyncio.Queue()
        self.abandoned = anyio.Event()

    async def pieces(self) -> AsyncGenerator[Piece]:
        """Yield what comes; closing the generator gives the call up. For one reader.

        Raises:
            AppError: The pool's error: the worker failed, or was silent for too long.
        """
        try:
            while True:
                try:
                    with anyio.fail_after(self._pool.timeout):
                        answer = await self.answers.get()
                except TimeoutError:
                    answer = _End("nothing came in time")
                if isinstance(answer, _End):
                    if answer.failure is not None:
                        _log.warning("worker_call_failed", worker=self._pool.name, reason=answer.failure)
                        raise self._pool.error
                    return
                yield answer
        finally:
            self.abandon()

    async def last(self) -> Piece | None:
        """Return the last piece; None where there was none, or the call was given up meanwhile.

        Raises:
            AppError: The pool's error: the worker failed, or was silent for too long.
        """
        last = None
        async with aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                last = piece
        return last

    def abandon(self) -> None:
        """Give the call up. Whoever waits for its pieces is told that there are no more."""
        self.abandoned.set()
        self._pool.forget(self)
        self.answers.put_nowait(_End())


class WorkerPool(Generic[Request, Piece]):
    """Processes with the same model, and the calls that wait for them.

    Args:
        name: For the log.
        load: Picklable; called in the worker, returns the model.
        error: What a failed call raises.
        processes: How many calls run at once.
        timeout: Seconds without a piece, the wait for a worker included, after which a call has failed.
        load_timeout: Seconds that loading may take.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Model[Request, Piece]],
        *,
        error: type[AppError],
        processes: int = 1,
        timeout: float = 10,
        load_timeout: float = 120,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self._load = load
        self._error = error
        self._processes = processes
        self._load_timeout = load_timeout
        self._numbers = count(1)
        self._waiting: list[Call[Request, Piece]] = []
        self._asked = asyncio.Event()
        self._free = 0
        self._first_loads: list[asyncio.Future[str | None]] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Begin to load the workers. When the block is left, their processes are gone and their calls have failed."""
        loop = asyncio.get_running_loop()
        self._first_loads = [loop.create_future() for _ in range(self._processes)]
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            for loaded in self._first_loads:
                tasks.start_soon(self._run, tasks, loaded)
            try:
                yield
            except Exception as error:
                failure = error  # raised below as it is, not as a group
            finally:
                tasks.cancel_scope.cancel()
                for call in self._waiting:
                    call.answers.put_nowait(_CLOSED)
        if failure is not None:
            raise failure

    async def warm(self) -> None:
        """Wait until all workers have loaded for the first time.

        Raises:
            AppError: The pool's error: one could not. The log says why.
        """
        for loaded in self._first_loads:
            if await asyncio.shield(loaded) is not None:
                raise self.error

    def submit(self, request: Request, *, urgency: int = 0) -> Call[Request, Piece]:
        """Ask at once; the call waits for a free worker. Who asks reads its pieces, or abandons it."""
        call = Call(self, request, next(self._numbers), urgency)
        self._waiting.append(call)
        self._asked.set()
        return call

    @property
    def is_idle(self) -> bool:
        """Whether a worker is free and no call waits for it."""
        return self._free > len(self._waiting)

    # What calls use.

    @property
    def error(self) -> AppError:
        """A new error for a call that failed."""
        return self._error()

    def forget(self, call: Call[Request, Piece]) -> None:
        """Drop a call if it still waits."""
        with suppress(ValueError):
            self._waiting.remove(call)

    # The workers.

    async def _run(self, tasks: TaskGroup, first_load: asyncio.Future[str | None]) -> None:
        """Serve calls with one process after the other, each replaced when it is gone."""
        while True:
            failure: str | None = None
            try:
                async with self._worker(tasks) as worker:
                    if not first_load.done():
                        first_load.set_result(None)
                    await self._serve(worker)
            except _CannotLoad as error:
                failure = str(error)
                _log.error("worker_cannot_load", worker=self.name, reason=failure)
                if not first_load.done():
                    first_load.set_result(failure)
            if failure is not None:  # tried again for the call after this one
                (await self._next()).answers.put_nowait(_End(failure))

    async def _serve(self, worker: "_Worker") -> None:
        while True:
            call = await self._next()
            if worker.is_gone:  # it ended while nobody needed it: that is not the call's fault
                self._waiting.append(call)
                return
            end = _CLOSED
            try:
                end = await worker.answer(call)
            finally:
                call.answers.put_nowait(end)
            if worker.is_gone:
                return

    async def _next(self) -> Call[Request, Piece]:
        """Return the most urgent call, the oldest of those."""
        self._free += 1
        try:
            while not self._waiting:
                self._asked.clear()
                await self._asked.wait()
            call = min(self._waiting, key=lambda waiting: (waiting.urgency, waiting.number))
            self._waiting.remove(call)
            return call
        finally:
            self._free -= 1

    @asynccontextmanager
    async def _worker(self, tasks: TaskGroup) -> AsyncIterator["_Worker"]:
        """Start a process and have it load; it is gone when the block is left.

        Raises:
            _CannotLoad: It could not, or took too long.
        """
        with anyio.CancelScope(shield=True):  # what is begun here must be known, to be ended below
            ours, theirs = socket.socketpair()
            complaints, stderr = socket.socketpair()
            read, write = await asyncio.open_unix_connection(sock=ours)
            read_complaints, write_complaints = await asyncio.open_unix_connection(sock=complaints)
            with theirs, stderr:
                process = await anyio.to_thread.run_sync(_start, theirs, stderr)
        tasks.start_soon(_log_complaints, self.name, read_complaints)
        worker = _Worker(process, read, write)
        try:
            await self._load_into(worker)
            yield worker
        finally:
            write.close()
            write_complaints.close()
            process.kill()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(process.wait)

    async def _load_into(self, worker: "_Worker") -> None:
        try:
            with anyio.fail_after(self._load_timeout):
                await worker.load(self._load)
        except TimeoutError:
            raise _CannotLoad("it took too long") from None


class _Worker:
    """One process, from the server's side."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", read: asyncio.StreamReader, write: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._read = read
        self._write = write
        self._is_lost = False

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended, or is about to."""
        return self._is_lost or self._process.poll() is not None

    async def load(self, load: Callable[[], Any]) -> None:
        """Tell the process what to load, and wait until it has.

        Raises:
            _CannotLoad: It could not.
        """
        self._write.write(packed(load))
        kind, value = await self._receive()
        if kind != "ready":
            raise _CannotLoad(value)

    async def answer(self, call: Call[Any, Any]) -> _End:
        """Hand a call over and pass on what comes; return how it ended. The process may be gone after it."""
        self._write.write(packed(("call", call.number, call.request)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_abandoned, call)
            while (message := await self._receive())[0] == "piece":
                call.answers.put_nowait(message[1])
            tasks.cancel_scope.cancel()
        return _End(None if message[0] == "done" else message[1])

    async def _stop_when_abandoned(self, call: Call[Any, Any]) -> None:
        """Ask the process to stop once nobody wants the call any more, and end it if it does not."""
        await call.abandoned.wait()
        self._write.write(packed(("stop", call.number, None)))
        await anyio.sleep(_STOP_SECONDS)
        self._process.kill()

    async def _receive(self) -> tuple[str, Any]:
        """Return the next message; where the process is gone, that."""
        try:
            (length,) = LENGTH.unpack(await self._read.readexactly(LENGTH.size))
            message: tuple[str, Any] = pickle.loads(await self._read.readexactly(length))  # noqa: S301 - our own child
        except (asyncio.IncompleteReadError, OSError):
            self._is_lost = True
            return "gone", "its process ended"
        return message


def _start(link: socket.socket, stderr: socket.socket) -> "subprocess.Popen[bytes]":
    """Start a process. It finds modules where this one does; what it prints goes where its errors go."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, str(link.fileno())],
        pass_fds=[link.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=stderr.fileno(),
        stderr=stderr.fileno(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


async def _log_complaints(name: str, complaints: asyncio.StreamReader) -> None:
    """Put what a worker prints into the log, as personal: libraries may print what they were given."""
    try:
        while printed := await complaints.read(_STDERR_BYTES):
            _log.warning("worker_printed", worker=name, pii_printed=printed.decode(errors="replace"))
    except OSError:
        _log.debug("worker_output_lost", worker=name)
