"""What lies under a Socket.IO connection: bounded, and closed on our terms."""

import anyio
import pytest
from starlette.types import Message

from app.api.close_codes import FRAME_TOO_LARGE, SERVICE_RESTART, SLOW_CLIENT
from app.api.socketio.wire import Outgoing, Wire

pytestmark = pytest.mark.unit

LEFT = {"type": "websocket.disconnect", "code": 1006}


class Client:
    """The other end of a WebSocket."""

    def __init__(self, *frames: str | bytes, reads: bool = True) -> None:
        self.frames = list(frames)
        self.reads = reads
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if not self.frames:
            await anyio.sleep_forever()
        frame = self.frames.pop(0)
        return {"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame}

    async def send(self, message: Message) -> None:
        if not self.reads:
            await anyio.sleep_forever()
        self.got.append(message)

    def wire(self, *, send_seconds: float = 5) -> Wire:
        return Wire(self.receive, self.send, send_seconds=send_seconds, max_bytes=100)


async def close_of(wire: Wire, client: Client) -> int:
    """Close as the library does, and return the code that goes out."""
    await wire.send({"type": "websocket.close"})
    code: int = client.got[-1]["code"]
    return code


async def test_packets_pass_both_ways() -> None:
    client = Client('42["x"]', b"\x00")
    wire = client.wire()

    assert (await wire.receive())["text"] == '42["x"]'
    assert (await wire.receive())["bytes"] == b"\x00"
    await wire.send({"type": "websocket.send", "text": "2"})
    assert client.got == [{"type": "websocket.send", "text": "2"}]


@pytest.mark.parametrize("frame", ["", "x", "bA", "4" + "[" * 99])
async def test_a_frame_that_is_no_packet_ends_the_connection(frame: str) -> None:
    client = Client(frame)
    wire = client.wire()
    if frame.startswith("4["):
        frame = "4" + "[" * 100_000
        client.frames = [frame]
        wire = Wire(client.receive, client.send, send_seconds=5, max_bytes=10**6)

    assert await wire.receive() == LEFT
    assert await close_of(wire, client) == 1002


@pytest.mark.parametrize("frame", ["4" + "x" * 100, "4" + "ñ" * 50, b"x" * 101])
async def test_a_frame_that_is_too_large_ends_the_connection(frame: str | bytes) -> None:
    client = Client(frame)
    wire = client.wire()

    assert await wire.receive() == LEFT
    assert await close_of(wire, client) == FRAME_TOO_LARGE.code


async def test_a_client_that_takes_nothing_is_seen_to_leave() -> None:
    client = Client(reads=False)
    wire = client.wire(send_seconds=0.01)

    with pytest.raises(OSError, match=SLOW_CLIENT.reason):
        await wire.send({"type": "websocket.send", "text": "2"})
    assert await wire.receive() == LEFT


async def test_a_server_that_stops_wakes_who_waits_for_the_client_and_says_why_it_closes() -> None:
    client = Client()
    wire = client.wire()
    received: list[Message] = []
    async with anyio.create_task_group() as tasks:

        async def receive() -> None:
            received.append(await wire.receive())

        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        wire.end(SERVICE_RESTART)

    assert received == [LEFT]
    assert await close_of(wire, client) == SERVICE_RESTART.code


async def test_all_who_add_packets_wait_while_many_wait() -> None:
    packets = Outgoing()
    waited: list[int] = []
    for number in range(3):
        await packets.put(number)
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            await packets.until_below(2)
            waited.append(packets.qsize())

        for _ in range(2):
            tasks.start_soon(wait)
        for expected in ([], [1, 1]):
            await anyio.wait_all_tasks_blocked()
            packets.get_nowait()
            await anyio.wait_all_tasks_blocked()
            assert waited == expected
    await packets.until_below(2)
