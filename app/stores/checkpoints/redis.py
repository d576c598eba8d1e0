"""Checkpoints in Redis or Valkey; it needs no modules."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote

import anyio
from langgraph_checkpoint_aws.checkpoint.valkey import AsyncValkeySaver  # type: ignore[import-untyped]
from pydantic import SecretStr
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.client import Pipeline
from valkey.exceptions import ValkeyError, WatchError

from app.core.errors import StoreError

_SCANNED_AT_ONCE = 1000
_DELETED_AT_ONCE = 500
_CLOSE_SECONDS = 2.0


class RedisSaver(AsyncValkeySaver):  # type: ignore[misc]
    """The saver, with keys under our name in which a thread's id means nothing to Redis.

    Its own keys hold the id as it is, and it looks for what to delete by a pattern made of it: the
    thread ``*`` would take all others with it.
    """

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread."""
        found: list[bytes] = []
        async for key in self.client.scan_iter(match=_key("*", thread_id, "*"), count=_SCANNED_AT_ONCE):
            found.append(key)
            if len(found) >= _DELETED_AT_ONCE:
                await self.client.unlink(*found)
                found.clear()
        if found:
            await self.client.unlink(*found)

    def _make_checkpoint_key(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> str:
        return _key("checkpoint", thread_id, f"{checkpoint_ns}:{checkpoint_id}")

    def _make_writes_key(self, thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> str:
        return _key("writes", thread_id, f"{checkpoint_ns}:{checkpoint_id}")

    def _make_thread_key(self, thread_id: str, checkpoint_ns: str) -> str:
        return _key("checkpoints", thread_id, checkpoint_ns)


class _Client(Valkey):
    """A client whose failures are ours.

    The saver takes those of its own client for "there is no checkpoint", and a thread would begin anew
    whenever Redis is away for a moment.
    """

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _store_errors():
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "_Pipeline":
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> Any:
        with _store_errors():
            return await super().execute(raise_on_error)

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        with _store_errors():
            return await super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]


@asynccontextmanager
async def open_redis(url: SecretStr, *, timeout: float = 5.0, connections: int = 32) -> AsyncIterator[RedisSaver]:
    """Open the checkpoints in Redis.

    Args:
        url: ``redis://`` or ``rediss://``, with the password if there is one.
        timeout: Seconds that a command may take before its connection counts as lost.
        connections: How many there may be; more callers wait.

    Raises:
        StoreError: The server cannot be reached.
    """
    pool = BlockingConnectionPool.from_url(
        url.get_secret_value(),
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
    )
    client = _Client(connection_pool=pool)
    try:
        await client.ping()
        yield RedisSaver(client)
    finally:
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await client.aclose(close_connection_pool=True)


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except WatchError:  # how it sees that somebody was faster
        raise
    except (ValkeyError, OSError) as error:
        raise StoreError from error


def _key(kind: str, thread_id: str, rest: str) -> str:
    """Return a key. The braces keep what belongs to a thread on one node of a cluster."""
    return f"voztaxi:{{{quote(thread_id, safe='')}}}:{kind}:{rest}"
