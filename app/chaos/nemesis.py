"""Lets the planned faults happen to the processes, and notes when."""

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import psycopg
import redis
from anyio import to_thread

from app.chaos.faults import SERVER_FAULTS, GlobalEvent, GlobalFault
from app.chaos.fleet import Fleet
from app.chaos.servers import AppServer, Cluster
from app.chaos.services import Postgres, Redis, Service

_WATCH_SECONDS = 0.25
_STARTS = 12
_STOP_SECONDS = 40.0
"""How long a server may take to stop: its turns' grace, its sockets, its stores."""


@dataclass(slots=True)
class Happened:
    """A fault that happened."""

    kind: GlobalFault
    target: str
    at: float
    """``time.perf_counter`` when it began."""
    until: float
    """The same when it was over: what was ended answers again."""
    unix: float
    """When it began, as Unix time."""
    notes: dict[str, Any] = field(default_factory=dict)


class Nemesis:
    """Breaks processes, one after the other, and mends them.

    Args:
        cluster: The servers.
        redis: Their Redis.
        postgres: Their PostgreSQL; None where they have another database.
        fleet: Their fleet.
    """

    def __init__(self, cluster: Cluster, redis: Redis, postgres: Postgres | None, fleet: Fleet) -> None:
        self._cluster = cluster
        self._redis = redis
        self._postgres = postgres
        self._fleet = fleet
        self.happened: list[Happened] = []
        self.crashes: list[str] = []
        """Servers that ended by themselves."""
        self.refused_stops: list[str] = []
        """Servers that did not stop when they were told to, or not well."""

    async def run(self, plan: Iterator[GlobalEvent]) -> None:
        """Let one fault after the other happen, until cancelled. What is broken by then is mended with ``mend``.

        A server that was ended starts again while stores already break; one server at a time is away.
        """
        one_server = anyio.Semaphore(1)
        async with anyio.create_task_group() as restarts:
            for event in plan:
                await anyio.sleep(event.after_seconds)
                if event.kind in SERVER_FAULTS:
                    await one_server.acquire()
                happened = Happened(event.kind, self._target(event), time.perf_counter(), math.inf, time.time())
                self.happened.append(happened)
                if event.kind in SERVER_FAULTS:
                    restarts.start_soon(self._let_server_fail, event, happened, one_server)
                else:
                    await self._let_happen(event, happened)

    async def watch(self) -> None:
        """Start servers again that ended by themselves, and remember it; until cancelled."""
        while True:
            await anyio.sleep(_WATCH_SECONDS)
            for server in self._cluster.servers:
                if server.is_wanted and not server.is_running:
                    server.is_wanted = False
                    self.crashes.append(f"{server.url} ended with {server.wait(0.0)}")
                    await self._start(server)

    async def mend(self) -> None:
        """Bring everything back."""
        services: list[Service | None] = [self._redis, self._postgres]
        for service in services:
            if service is not None:
                await self._bring_back(service)
        for server in self._cluster.servers:
            if server.is_running:
                server.resume()
            if not server.is_wanted:
                await self._start(server)
        await self._fleet.calm()

    def _target(self, event: GlobalEvent) -> str:
        if event.kind.endswith("server"):
            return f"server-{event.server}"
        return event.kind.rpartition("_")[2] if event.kind != "fleet_trouble" else "fleet"

    async def _let_server_fail(self, event: GlobalEvent, happened: Happened, one_server: anyio.Semaphore) -> None:
        try:
            await self._let_happen(event, happened)
        finally:
            one_server.release()

    async def _let_happen(self, event: GlobalEvent, happened: Happened) -> None:
        try:
            await self._do(event, happened)
        finally:
            happened.until = time.perf_counter()

    async def _do(self, event: GlobalEvent, happened: Happened) -> None:
        server = self._cluster.servers[event.server]
        match event.kind:
            case "kill_server":
                await to_thread.run_sync(server.kill)
                await anyio.sleep(event.seconds)
                await self._start(server)
            case "terminate_server":
                await self._terminate(server, happened)
                await anyio.sleep(event.seconds)
                await self._start(server)
            case "freeze_server" | "pause_redis" | "pause_postgres":
                service = self._service(event)
                service.pause()
                try:
                    await anyio.sleep(event.seconds)
                finally:
                    service.resume()
            case "restart_redis" | "restart_postgres":
                service = self._service(event)
                await to_thread.run_sync(service.kill)
                await anyio.sleep(event.seconds)
                await self._bring_back(service)
            case "cut_redis":
                await to_thread.run_sync(_cut_redis, self._redis)
            case "cut_postgres":
                assert self._postgres is not None
                happened.notes["connections"] = await to_thread.run_sync(_cut_postgres, self._postgres)
            case "fleet_trouble":
                async with _finally(self._fleet.calm):
                    happened.notes["knobs"] = await self._fleet.trouble()
                    await anyio.sleep(event.seconds)

    def _service(self, event: GlobalEvent) -> Service:
        if event.kind.endswith("redis"):
            return self._redis
        if event.kind.endswith("postgres"):
            assert self._postgres is not None
            return self._postgres
        return self._cluster.servers[event.server]

    async def _terminate(self, server: AppServer, happened: Happened) -> None:
        server.terminate()
        started = time.perf_counter()
        code = await to_thread.run_sync(server.wait, _STOP_SECONDS)
        happened.notes["seconds_to_stop"] = round(time.perf_counter() - started, 2)
        happened.notes["exit_code"] = code
        if code not in (0, -15):
            self.refused_stops.append(f"{server.url} ended with {code}")
            await to_thread.run_sync(server.kill)

    async def _start(self, server: AppServer) -> None:
        """Start a server as a supervisor does: again, where a store was away.

        Raises:
            RuntimeError: It does not start.
        """
        for attempt in range(_STARTS):
            server.launch()  # here: a process lives no longer than the thread that starts it
            try:
                await to_thread.run_sync(server.wait_until_ready)
            except RuntimeError:
                if attempt == _STARTS - 1:
                    raise
                await anyio.sleep(0.5)
            else:
                return

    async def _bring_back(self, service: Service) -> None:
        if service.is_running:
            service.resume()
            return
        service.launch()
        await to_thread.run_sync(service.wait_until_ready)


@asynccontextmanager
async def _finally(clean_up: Callable[[], Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await clean_up()


def _cut_redis(server: Redis) -> None:
    with redis.Redis.from_url(server.url) as client:
        for kind in ("pubsub", "normal"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def _cut_postgres(server: Postgres) -> int:
    address = server.url.replace("postgresql+asyncpg://", "postgresql://", 1)
    with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return len(cut.fetchall())
