"""The channels that a process listens to, over one connection."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from app.stores.redis.client import RedisClient

log = structlog.stdlib.get_logger("voztaxi.redis")

_QUIET_SECONDS = 5.0
"""After this long without a word the server is asked for one, after as long again it counts as gone."""
_AGAIN_SECONDS = 0.1
_FAILURES = (RedisError, OSError, TimeoutError)


@dataclass(slots=True, eq=False)
class Listener:
    """Who listens to a channel."""

    on_message: Callable[[str], None]
    on_gap: Callable[[], None]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the channel is heard."""


class Channels:
    """Subscriptions of one process, open inside ``async with``.

    Redis keeps nothing for a listener that is away: after a lost connection each listener is told
    that messages may be missing.

    Args:
        redis: Open for longer than this.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._listeners: dict[str, Listener] = {}
        self._asked: Counter[str] = Counter()
        """Subscriptions that were asked for and not yet confirmed: those of a listener that left are among them."""
        self._commands: deque[tuple[str, ...]] = deque()
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        assert self._task is not None
        with anyio.CancelScope(shield=True):
            # A cancellation is lost where it meets an error of the connection.
            while not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task], timeout=1)

    def join(
        self, channel: str, on_message: Callable[[str], None], *, on_gap: Callable[[], None] = lambda: None
    ) -> Listener:
        """Listen to a channel until ``leave``. Once the listener is ready no message is missed unknowingly.

        Args:
            channel: It may have one listener at a time.
            on_message: Called with each message, in order. Must not wait.
            on_gap: Called when messages may have been missed.
        """
        listener = self._listeners[channel] = Listener(on_message, on_gap)
        self._ask("SUBSCRIBE", channel)
        return listener

    def leave(self, channel: str) -> None:
        """Listen no longer."""
        if self._listeners.pop(channel, None) is not None:
            self._ask("UNSUBSCRIBE", channel)

    def _ask(self, *command: str) -> None:
        if command[0] == "SUBSCRIBE":
            self._asked.update(command[1:])
        self._commands.append(command)
        self._bell.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._hear()
            except* _FAILURES as errors:
                log.warning("connection for subscriptions was lost", error=repr(errors.exceptions[0]))
            await anyio.sleep(_AGAIN_SECONDS)

    async def _hear(self) -> None:
        """Hear all channels over one connection until it breaks."""
        connection = self._redis.make_connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._commands.clear()
            self._asked.clear()
            if self._listeners:
                self._ask("SUBSCRIBE", *self._listeners)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send, connection)
                tasks.start_soon(self._receive, connection)
        finally:
            with anyio.move_on_after(1, shield=True), suppress(*_FAILURES):
                await connection.disconnect()

    async def _send(self, connection: AbstractConnection) -> None:
        while True:
            self._bell.clear()
            while self._commands:
                if not connection.is_connected:  # a command would connect it anew, and it would hear nothing
                    raise ConnectionError
                await connection.send_command(*self._next_command())
            await self._bell.wait()

    def _next_command(self) -> tuple[str, ...]:
        """Return what was asked for first, together with what was asked in the same way right after it.

        A command takes passes of the event loop, which are long when a crowd comes: nobody is to wait for one each.
        """
        verb, *channels = self._commands.popleft()
        while self._commands and self._commands[0][0] == verb:
            channels += self._commands.popleft()[1:]
        return verb, *channels

    async def _receive(self, connection: AbstractConnection) -> None:
        is_asked = False
        while True:
            message = None
            with anyio.move_on_after(_QUIET_SECONDS):
                message = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
            if message is None:
                if is_asked:
                    raise TimeoutError
                self._ask("PING")
            else:
                self._take(message)
            is_asked = message is None

    def _take(self, message: object) -> None:
        if not isinstance(message, list) or len(message) != 3:
            return
        kind, channel, data = message
        listener = self._listeners.get(channel)
        if kind == "message" and listener is not None:
            listener.on_message(data)
        elif kind == "subscribe":
            self._asked[channel] -= 1
            if self._asked[channel]:
                return
            del self._asked[channel]
            if listener is not None:
                if listener.ready.is_set():
                    listener.on_gap()
                listener.ready.set()
