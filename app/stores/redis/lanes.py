"""Who runs the turns of a thread, agreed over Redis."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, get_args

import anyio
import structlog

from app.core.clock import NewId
from app.core.deadlines import store_deadline
from app.core.errors import StoreError
from app.stores.base import Command, CommandHandler, lane_kind
from app.stores.redis.channels import Channels
from app.stores.redis.client import RedisClient, Script
from app.stores.redis.keys import process_channel, thread_key

log = structlog.stdlib.get_logger("voztaxi.lanes")

_COMMANDS: frozenset[str] = frozenset(get_args(Command))
_ABANDONED_MS = 7 * 24 * 3600 * 1000
"""How long it is remembered that a lane was not given back."""
_CLOSE_SECONDS = 2.0
_FREE = "free"

# KEYS: the lane, its memory, the channels of those who wait.
# ARGV: token, milliseconds of the lane, milliseconds of its memory, the channel of a process that waits, or ''.
# Returns {1, whether the one before did not give it back} or {0, the token of whoever has it}.
_TAKE = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  if ARGV[4] ~= '' then
    redis.call('SADD', KEYS[3], ARGV[4])
    redis.call('PEXPIRE', KEYS[3], ARGV[2])
  end
  return {0, holder}
end
local before = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return {1, (before and before ~= ARGV[1]) and 1 or 0}
""")
# A lane that ran out while Redis could not be reached is taken up again, unless somebody else has had it since.
_KEEP = Script("""
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return 1
""")
# ARGV: token, what those who wait are told.
_GIVE_BACK = Script("""
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
for _, channel in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  redis.call('PUBLISH', channel, ARGV[2])
end
redis.call('DEL', KEYS[3])
return 1
""")


@dataclass(slots=True, eq=False)
class RedisLease:
    """A ``Lease``, with the token that says so in Redis."""

    thread_id: str
    token: str
    was_abandoned: bool = False
    leaves_open: bool = False
    valid_until: float = 0.0
    """On the clock that goes on while the process stands still: no longer than Redis keeps the lane."""
    was_taken: bool = False
    """Another process has it; Redis says so."""

    @property
    def is_lost(self) -> bool:
        """See ``Lease``."""
        return self.was_taken or time.monotonic() > self.valid_until


class RedisLanes:
    """``Lanes`` over Redis, open inside ``async with``.

    A lane is a key with an expiry, renewed while the process lives. What is left of a process that
    stood still for longer is held off by its token: the event log takes events of a turn only with
    the token that the lane has (Kleppmann, "How to do distributed locking", 2016: fencing).

    Args:
        redis: Open for longer than this.
        channels: The same.
        new_id: Makes the name of this process.
        lease_seconds: After how long without a sign of life a lane is free.
    """

    def __init__(self, redis: RedisClient, channels: Channels, *, new_id: NewId, lease_seconds: float) -> None:
        self._redis = redis
        self._channels = channels
        self._lease_seconds = lease_seconds
        self._process_id = new_id()
        self._numbers = itertools.count(1)
        self._leases: dict[str, RedisLease] = {}
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._handlers: dict[str, CommandHandler] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to keep lanes and to take commands."""
        listener = self._channels.join(process_channel(self._process_id), self._obey)
        with store_deadline(self._lease_seconds):
            await listener.ready.wait()
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give back what is still held."""
        assert self._keeper is not None
        self._keeper.cancel()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await asyncio.wait([self._keeper])
            for lease in list(self._leases.values()):
                await self._give_back(lease)
        self._channels.leave(process_channel(self._process_id))

    def token(self, thread_id: str) -> str:
        """Return what proves that this process has the lane of a thread; without it, what proves nothing."""
        lease = self._leases.get(thread_id)
        return "none" if lease is None or lease.was_taken else lease.token

    def holds(self, thread_id: str) -> bool:
        """Return whether this process has the lane of a thread, as far as it can know without asking."""
        lease = self._leases.get(thread_id)
        return lease is not None and not lease.is_lost

    @asynccontextmanager
    async def take(
        self, thread_id: str, *, urge: Command | None = None, on_behalf_of: str = ""
    ) -> AsyncIterator[RedisLease]:
        """See ``Lanes``."""
        lease = self._make(thread_id)
        try:
            await self._wait_for(lease, urge, on_behalf_of)
            yield lease
        finally:
            await self._give_back(lease)

    @asynccontextmanager
    async def take_free(self, thread_id: str) -> AsyncIterator[RedisLease | None]:
        """See ``Lanes``."""
        lease = self._make(thread_id)
        try:
            yield lease if await self._try(lease, channel="") else None
        finally:
            await self._give_back(lease)

    async def free(self, thread_ids: Sequence[str]) -> Sequence[str]:
        """See ``Lanes``."""
        if not thread_ids:
            return []
        holders = await self._redis.call(lambda redis: redis.mget([_keys(each)[0] for each in thread_ids]))
        return [each for each, holder in zip(thread_ids, holders, strict=True) if holder is None]

    async def command(self, thread_id: str, command: Command) -> bool:
        """See ``Lanes``."""
        holder = await self._redis.call(lambda redis: redis.get(thread_key(thread_id, "lane")))
        return holder is not None and await self._tell(str(holder), thread_id, command)

    def on_command(self, handler: CommandHandler, *, kind: str = "") -> None:
        """See ``Lanes``."""
        self._handlers[kind] = handler

    def _make(self, thread_id: str) -> RedisLease:
        return RedisLease(thread_id, f"{self._process_id}:{next(self._numbers)}")

    async def _try(
        self, lease: RedisLease, *, urge: Command | None = None, on_behalf_of: str = "", channel: str
    ) -> bool:
        """Take the lane if it is free; else urge whoever has it."""
        args = (lease.token, self._lease_ms, _ABANDONED_MS, channel)
        valid_until = time.monotonic() + self._lease_seconds
        taken, answer = await self._redis.run(_TAKE, _keys(lease.thread_id), args)
        if taken:
            lease.was_abandoned = bool(answer)
            lease.valid_until = valid_until
            self._leases[lease.thread_id] = lease
            return True
        if urge is not None:
            await self._tell(str(answer), lease.thread_id, urge, on_behalf_of)
        return False

    async def _wait_for(self, lease: RedisLease, urge: Command | None, on_behalf_of: str) -> None:
        """Try whenever the lane is given back, and now and then: a process that died says nothing."""
        bell = asyncio.Event()
        waiting = self._waiting.setdefault(lease.thread_id, [])
        waiting.append(bell)
        try:
            # Said once: the one who has the lane may begin another turn meanwhile, which is not meant.
            channel = process_channel(self._process_id)
            while not await self._try(lease, urge=urge, on_behalf_of=on_behalf_of, channel=channel):
                with anyio.move_on_after(self._lease_seconds / 4):
                    await bell.wait()
                bell.clear()
                urge = None
        finally:
            waiting.remove(bell)
            if not waiting:
                del self._waiting[lease.thread_id]

    async def _give_back(self, lease: RedisLease) -> None:
        if self._leases.get(lease.thread_id) is lease:
            del self._leases[lease.thread_id]
        if lease.is_lost or lease.leaves_open:
            return  # it runs out, and that it was not given back is what tells the next one
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            try:
                await self._redis.run(
                    _GIVE_BACK, _keys(lease.thread_id), (lease.token, f"{_FREE} {lease.token} {lease.thread_id}")
                )
            except StoreError as error:
                # It runs out by itself, and whoever takes it then finds that nothing is left to close.
                log.warning("lane could not be given back", thread_id=lease.thread_id, exc_info=error)

    async def _tell(self, token: str, thread_id: str, command: Command, on_behalf_of: str = "") -> bool:
        process_id = token.rpartition(":")[0]
        # It names the lease: what arrives when that one is over is not meant for the next.
        message = f"{command} {token} {thread_id} {on_behalf_of}"
        heard = await self._redis.call(lambda redis: redis.publish(process_channel(process_id), message))
        return bool(heard)

    def _obey(self, message: str) -> None:
        command, _, rest = message.partition(" ")
        token, _, rest = rest.partition(" ")
        thread_id, _, on_behalf_of = rest.partition(" ")
        lease = self._leases.get(thread_id)
        if command == _FREE:
            for bell in self._waiting.get(thread_id, ()):
                bell.set()
        elif command in _COMMANDS and lease is not None and lease.token == token:
            self._hand_on(thread_id, command, on_behalf_of)  # type: ignore[arg-type]

    def _hand_on(self, thread_id: str, command: Command, on_behalf_of: str) -> None:
        handler = self._handlers.get(lane_kind(thread_id))
        if handler is not None:
            handler(thread_id, command, on_behalf_of)

    @property
    def _lease_ms(self) -> int:
        return int(self._lease_seconds * 1000)

    async def _keep(self) -> None:
        """Renew every lane that is held, well before it runs out."""
        while True:
            await anyio.sleep(self._lease_seconds / 3)
            leases = list(self._leases.values())
            if not leases:
                continue
            calls = [(_KEEP, _keys(lease.thread_id), (lease.token, self._lease_ms, _ABANDONED_MS)) for lease in leases]
            valid_until = time.monotonic() + self._lease_seconds
            try:
                answers = await self._redis.run_all(calls)
            except StoreError as error:
                log.warning("lanes could not be renewed", lanes=len(leases), exc_info=error)
                continue
            for lease, answer in zip(leases, answers, strict=True):
                if answer == 1:
                    lease.valid_until = valid_until
                elif answer == 0 and self._leases.get(lease.thread_id) is lease:
                    log.warning("lane was lost", thread_id=lease.thread_id)
                    lease.was_taken = True
                    self._hand_on(lease.thread_id, "cancel", "")


def _keys(thread_id: str) -> list[str]:
    return [thread_key(thread_id, part) for part in ("lane", "lane:memory", "lane:waiting")]
