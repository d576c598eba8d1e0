"""The clients of a measurement: many WebSockets in one process, as cheap as they can be.

``python -m app.bench.overhead.load`` reads an ``Order`` as JSON from its standard input, opens the connections, has
each of them take turns to warm up, prints ``{}`` and waits for a line. Then it takes the turns that are measured and
prints a ``Harvest`` as JSON. Where it is not served it prints why, as ``failed``, and ends. Frames are looked at with a
search of bytes: to parse them would cost this process more than the servers.
"""

import asyncio
import base64
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

_HANDSHAKE_SECONDS = 120.0
_SHOWN_BYTES = 300
"""Of the last frame of a client that was not served."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done."""

    port: int
    path: str
    say: str
    """What a client sends for a turn; ``$THREAD`` in it is the conversation."""
    token: str
    """What a token holds in its frame."""
    end: str
    """What the frame holds that ends a turn. Tokens in it are not counted."""
    tokens: int
    """Of a turn. A turn with another number of them is wrong."""
    connections: int
    seconds: float
    """So long each connection begins one turn after the other."""
    turns: int = 1
    """What each takes at least, however long."""
    warm_up: int = 1
    """Turns of each connection before those that are measured."""
    turns_of_thread: int = 4
    """After so many a connection begins another conversation."""
    spread_ms: float = 0
    """The connections begin at even distances within so long; 0 for all at once."""
    limit_seconds: float = 60
    """Of the turns to warm up, and of those that are measured. Who needs longer has failed."""


@dataclass(slots=True)
class Harvest:
    """What came of it; times are in milliseconds from the moment that the input was sent."""

    first_event: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    frames: int = 0
    payload_bytes: int = 0
    wrong: int = 0
    """Turns that had too few or too many tokens, or no end."""
    seconds: float = 0
    processor_seconds: float = 0
    """What this process itself used meanwhile."""


class _Connection(asyncio.Protocol):
    """A WebSocket that takes its turns."""

    def __init__(self, order: Order, number: int, harvest: Harvest) -> None:
        self._order = order
        self._number = number
        self._harvest = harvest
        self._token, self._end = order.token.encode(), order.end.encode()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._said = 0
        self._began = 0.0
        self._seen_frame = self._seen_token = False
        self._tokens = 0
        self._heard = b""
        self.is_counted = False
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self._turn: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._order.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._order.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        error = ConnectionError(f"the server hung up: {exc}")
        for future in (self.opened, self._turn):
            if future is not None and not future.done():
                future.set_exception(error)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self.opened.done():
            head, found, rest = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = buffer
                return
            if b" 101 " not in head[:20]:
                self.opened.set_exception(ConnectionError(head.decode(errors="replace").partition("\r\n")[0]))
                return
            self.opened.set_result(None)
            buffer = rest
        start, size = 0, len(buffer)
        while size - start >= 2:
            length, body = buffer[start + 1], start + 2
            if length == 126:
                body += 2
                length = int.from_bytes(buffer[start + 2 : body], "big") if size >= body else size
            elif length == 127:
                body += 8
                length = int.from_bytes(buffer[start + 2 : body], "big") if size >= body else size
            if size < body + length:
                break
            opcode = buffer[start] & 15
            if opcode == 1:
                self._frame(buffer[body : body + length])
            elif opcode == 9:
                self._send(10, buffer[body : body + length])
            start = body + length
        self._buffer = buffer[start:]

    @property
    def waits(self) -> str | None:
        """What it heard last, where its turn has not ended."""
        is_over = self._turn is None or (self._turn.done() and not self._turn.cancelled())
        return None if is_over else self._heard[:_SHOWN_BYTES].decode(errors="replace")

    def _frame(self, payload: bytes) -> None:
        self._heard = payload
        harvest = self._harvest
        if self.is_counted:
            harvest.frames += 1
            harvest.payload_bytes += len(payload)
            if not self._seen_frame:
                self._seen_frame = True
                harvest.first_event.append((time.perf_counter() - self._began) * 1000)
        if self._end in payload:
            if self._turn is not None and not self._turn.done():
                self._turn.set_result(None)
            return
        tokens = payload.count(self._token)
        if tokens:
            self._tokens += tokens
            if not self._seen_token:
                self._seen_token = True
                if self.is_counted:
                    harvest.first_token.append((time.perf_counter() - self._began) * 1000)

    async def take_turn(self) -> None:
        """Say something, and return when the turn has ended."""
        thread = f"load-{os.getpid()}-{self._number}-{self._said // self._order.turns_of_thread}"
        self._said += 1
        self._seen_frame = self._seen_token = False
        self._tokens = 0
        self._turn = self._loop.create_future()
        self._began = time.perf_counter()
        self._send(1, self._order.say.replace("$THREAD", thread).encode())
        await self._turn
        if not self.is_counted:
            return
        self._harvest.whole.append((time.perf_counter() - self._began) * 1000)
        if self._tokens != self._order.tokens:
            self._harvest.wrong += 1

    def _send(self, opcode: int, payload: bytes) -> None:
        """Send a frame, masked with zeros."""
        assert self._transport is not None
        size = len(payload)
        head = bytes([0x80 | opcode, 0x80 | size]) if size < 126 else bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2)
        self._transport.write(head + bytes(4) + payload)

    def close(self) -> None:
        """Hang up as a browser does."""
        if self._transport is not None and not self._transport.is_closing():
            self._send(8, (1000).to_bytes(2))
            self._transport.close()


async def run(order: Order) -> None:
    """Take the turns of an order, and print what came of them."""
    loop = asyncio.get_running_loop()
    harvest = Harvest()
    connections: list[_Connection] = []
    for number in range(order.connections):
        _, connection = await loop.create_connection(
            lambda number=number: _Connection(order, number, harvest),  # type: ignore[misc]
            "127.0.0.1",
            order.port,
        )
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            await connection.opened
        connections.append(connection)

    async def talk(connection: _Connection, turns: int, seconds: float, later: float) -> None:
        await asyncio.sleep(later)
        until = loop.time() + seconds
        while turns > 0 or loop.time() < until:
            turns -= 1
            await connection.take_turn()

    async def all_talk(turns: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(order.limit_seconds), asyncio.TaskGroup() as group:
                for number, each in enumerate(connections):
                    later = order.spread_ms / 1000 * number / order.connections
                    group.create_task(talk(each, turns, seconds, later))
        except TimeoutError as error:
            waiting = [each.waits for each in connections if each.waits is not None]
            raise TimeoutError(
                f"not done after {order.limit_seconds:.0f} s: {len(waiting)} of {len(connections)} wait, "
                f"one of them heard last: {waiting[0] if waiting else None}"
            ) from error

    await all_talk(order.warm_up, 0)
    _tell("{}")
    await loop.run_in_executor(None, sys.stdin.readline)
    for each in connections:
        each.is_counted = True
    used, began = sum(os.times()[:2]), loop.time()
    await all_talk(order.turns, order.seconds)
    harvest.seconds = loop.time() - began
    harvest.processor_seconds = sum(os.times()[:2]) - used
    _tell(json.dumps(asdict(harvest)))
    await loop.run_in_executor(None, sys.stdin.readline)  # who measures memory does it while all are open
    for each in connections:
        each.close()


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main() -> None:
    """Run the order of the standard input."""
    order = Order(**json.loads(sys.stdin.readline()))
    try:
        await run(order)
    except* OSError as group:  # a TimeoutError is one too
        error = group.exceptions[0]
        _tell(json.dumps({"failed": str(error) or type(error).__name__}))


if __name__ == "__main__":
    uvloop.run(main())
