"""A connection to Postgres that died while nobody used it fails nobody's transaction."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import make_url, text

from app.chaos.services import Postgres
from app.stores.checkpoints import postgres as saver_module
from app.stores.checkpoints.postgres import open_postgres
from app.stores.sql.database import Database
from app.stores.sql.drivers import postgres as driver_module

pytestmark = pytest.mark.contract

Operation = Callable[[], Awaitable[Any]]
Open = Callable[[str], AbstractAsyncContextManager[Operation]]
_AT_ONCE = 4
_MOST = 65536
_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing resets the connection."""


class Relay:
    """What stands between a client and a server, and can lose its memory of the connections that it passes on."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._remembered: set[asyncio.StreamReader] = set()
        self.connections = 0
        self.tasks: set[asyncio.Task[Any] | None] = set()

    async def serve(self, asked: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Pass one connection on, until it is forgotten: what comes then is answered by a reset."""
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        self._remembered.add(asked)
        answers, server = await asyncio.open_connection(*self._upstream)
        back = asyncio.create_task(_copy(answers, client))
        with suppress(OSError):
            while (data := await asked.read(_MOST)) and asked in self._remembered:
                server.write(data)
            client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.transport.abort()
        server.close()
        for each in (server, client):
            with suppress(OSError):
                await each.wait_closed()
        await back

    def forget(self) -> None:
        """Tell nobody, and know none of the connections any more."""
        self._remembered.clear()


async def _copy(answers: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await answers.read(_MOST):
            client.write(data)
    client.close()


@asynccontextmanager
async def _relayed(postgres_url: str) -> AsyncIterator[tuple[Relay, str]]:
    """A relay before a database, and the address of the database behind it."""
    address = make_url(postgres_url)
    relay = Relay(str(address.host), address.port or 5432)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield relay, address.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    await asyncio.gather(*(each for each in relay.tasks if each is not None))


@asynccontextmanager
async def _transactions(url: str) -> AsyncIterator[Operation]:
    async with Database(url, auto_migrate=True) as database:
        yield lambda: database.write(lambda connection: connection.execute(text("SELECT pg_sleep(0.05)")).one())


@asynccontextmanager
async def _reads(url: str) -> AsyncIterator[Operation]:
    async with Database(url, auto_migrate=True) as database:
        yield lambda: database.rows(text("SELECT pg_sleep(0.05)"))


@asynccontextmanager
async def _checkpoints(url: str) -> AsyncIterator[Operation]:
    async with open_postgres(url, auto_migrate=True) as saver:
        yield lambda: saver.aget_tuple({"configurable": {"thread_id": "t", "checkpoint_ns": ""}})


@pytest.fixture(params=[_transactions, _reads, _checkpoints])
def opened(request: pytest.FixtureRequest) -> Open:
    """Something that takes a connection of a pool."""
    operations: Open = request.param
    return operations


async def _at_once(operation: Operation) -> None:
    await asyncio.gather(*(operation() for _ in range(_AT_ONCE)))


async def test_that_the_server_ended(opened: Open, postgres: Postgres, postgres_url: str) -> None:
    name = make_url(postgres_url).database
    ended = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    async with opened(postgres_url) as operation:
        await _at_once(operation)
        await asyncio.to_thread(postgres.run, ended)
        await _at_once(operation)


async def test_that_was_lost_on_the_way(opened: Open, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (driver_module, saver_module):
        monkeypatch.setattr(module, "RESTED_SECONDS", 0.0)
    async with _relayed(postgres_url) as (relay, url), opened(url) as operation:
        await _at_once(operation)
        before = relay.connections
        relay.forget()
        await _at_once(operation)
        assert relay.connections > before


async def test_one_that_lives_is_used_again(opened: Open, postgres_url: str) -> None:
    async with _relayed(postgres_url) as (relay, url), opened(url) as operation:
        await _at_once(operation)
        before = relay.connections
        for _ in range(3 * _AT_ONCE):
            await operation()
        assert relay.connections == before
