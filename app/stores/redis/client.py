"""One Redis for a process: its connections, its scripts, its errors."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import structlog
from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import NoScriptError, RedisError

from app.core.errors import StoreError

log = structlog.stdlib.get_logger("voztaxi.redis")

Argument = str | bytes | int
Call = tuple["Script", Sequence[str], Sequence[Argument]]

_ATTEMPTS = 3
_BACKOFF_SECONDS = 0.02
_CLOSE_SECONDS = 2.0


class Script:
    """A Lua script. It runs as one step: nothing comes between its commands.

    The text names the *life* of the server, its ``run_id``, in ``LIFE``. Redis forgets its scripts when
    it restarts, so the first call after a restart is told that there is none, learns the new life and
    loads the script that names it. No process can go on in the old one.

    Args:
        body: Lua.
    """

    def __init__(self, body: str) -> None:
        self._body = body

    def text(self, life: str) -> str:
        """Return the script for a life of the server."""
        return f"local LIFE = '{life}'\n{self._body}"


class RedisClient:
    """Connections to one Redis, open inside ``async with``.

    Args:
        url: ``redis://`` or ``rediss://``, with the password if there is one.
        timeout: Seconds that a command may take before its connection counts as lost.
        connections: How many there may be; more callers wait.
    """

    def __init__(self, url: SecretStr, *, timeout: float = 5.0, connections: int = 32) -> None:
        # A command whose answer was lost is sent again: every script here may run twice.
        retry = Retry(ExponentialWithJitterBackoff(base=_BACKOFF_SECONDS, cap=timeout), _ATTEMPTS - 1)
        self._pool = BlockingConnectionPool.from_url(
            url.get_secret_value(),
            max_connections=connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            protocol=2,
            decode_responses=True,
            retry=retry,
        )
        self._redis: Redis = Redis(connection_pool=self._pool)
        self.timeout = timeout
        self._life = ""
        self._digests: dict[Script, str] = {}

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            StoreError: The server cannot be reached.
        """
        try:
            with redis_errors():
                await self._learn_life()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._close()

    @property
    def pool(self) -> BlockingConnectionPool:
        """The connections, for a library that speaks to the server by itself."""
        return self._pool

    def make_connection(self) -> AbstractConnection:
        """Return a connection beside the pool, not yet open. It is the caller's to close."""
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def ping(self) -> None:
        """Raise ``StoreError`` where the server cannot be reached."""
        with redis_errors():
            await self._redis.execute_command("PING")  # type: ignore[no-untyped-call]

    async def call(self, function: Callable[[Redis], Any]) -> Any:
        """Await what ``function`` asks of the server.

        Raises:
            StoreError: It failed or took too long. It may have been done all the same.
        """
        with redis_errors():
            return await function(self._redis)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run a script. Raises as ``call`` does."""
        [result] = await self.run_all([(script, keys, args)])
        if isinstance(result, Exception):
            raise StoreError from result
        return result

    async def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts in order, in one round trip.

        Returns:
            For each call its result, or the error that this call alone had.

        Raises:
            StoreError: The server did not answer. Any of them may have been run all the same.
        """
        with redis_errors():
            results = await self._run_all(calls)
            missing = [index for index, result in enumerate(results) if isinstance(result, NoScriptError)]
            if missing:
                await self._load({calls[index][0] for index in missing})
                again = await self._run_all([calls[index] for index in missing])
                for index, result in zip(missing, again, strict=True):
                    results[index] = result
            return results

    async def _close(self) -> None:
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._redis.aclose(close_connection_pool=True)

    async def _run_all(self, calls: Sequence[Call]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for script, keys, args in calls:
            pipeline.evalsha(self._digest(script), len(keys), *keys, *args)
        results: list[Any] = await pipeline.execute(raise_on_error=False)
        return results

    def _digest(self, script: Script) -> str:
        digest = self._digests.get(script)
        if digest is None:
            text = script.text(self._life).encode()
            digest = self._digests[script] = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        return digest

    async def _load(self, scripts: set[Script]) -> None:
        before = self._life
        await self._learn_life()
        if before != self._life:
            log.warning("redis was restarted")
        for script in scripts:
            await self._redis.script_load(script.text(self._life))

    async def _learn_life(self) -> None:
        life = str((await self._redis.info("server"))["run_id"])
        if life != self._life:
            self._life = life
            self._digests.clear()


@contextmanager
def redis_errors() -> Iterator[None]:
    """Make what goes wrong with the server a ``StoreError``."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreError("El almacenamiento compartido no respondió.") from error
