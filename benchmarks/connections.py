"""What a WebSocket costs the server: memory of an idle one, and of one that listens to a thread.

Run it with ``.venv/bin/python benchmarks/connections.py [COUNT]``. The server runs on loopback with its
defaults, in an empty folder, as a process of its own; its resident memory is what the system says.
"""

import asyncio
import base64
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import anyio.lowlevel  # noqa: E402 - the project's root is not on the path before
import httpx  # noqa: E402
import psutil  # noqa: E402

from tests.live.server import Server, running_server  # noqa: E402


async def open_socket(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket and do nothing with it: a client library would need more memory than the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /api/v1/ws/chat HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def text_frame(message: dict[str, object]) -> bytes:
    """Return a short text frame as a client sends it, masked with zeros."""
    data = json.dumps(message).encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data


def resident(server: Server) -> int:
    """Return the resident memory of the server in bytes."""
    [process] = [each for each in psutil.net_connections("tcp") if each.laddr.port == server.port and not each.raddr]
    return int(psutil.Process(process.pid).memory_info().rss)


async def measure(server: Server, count: int) -> None:
    """Print what ``count`` connections cost, idle and listening, and what is left when they are gone."""
    warm = [await open_socket(server.port) for _ in range(50)]
    for _, writer in warm:
        writer.close()
    await until(server, 0)
    before = resident(server)
    sockets = [await open_socket(server.port) for _ in range(count)]
    await until(server, count)
    idle = resident(server)
    for number, (_, writer) in enumerate(sockets):
        writer.write(text_frame({"type": "replay", "thread_id": f"t{number}", "after_seq": 0}))
    for reader, _ in sockets:
        await reader.readexactly(2)
    listening = resident(server)
    for _, writer in sockets:
        writer.close()
    await until(server, 0)
    print(f"connections          {count}")
    print(f"server before        {before / 2**20:.1f} MiB")
    print(f"idle                 {(idle - before) / count / 1024:.1f} KiB each")
    print(f"listening            {(listening - before) / count / 1024:.1f} KiB each")
    print(f"server after         {resident(server) / 2**20:.1f} MiB")


async def until(server: Server, count: int) -> None:
    """Wait until the server has ``count`` connections."""
    async with httpx.AsyncClient(base_url=server.url) as client:
        while (await client.get("/api/v1/ws/health")).json()["active_connections"] != count:
            await anyio.lowlevel.checkpoint()


def main() -> None:
    """Start a server and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * count + 200)), hard))
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        asyncio.run(measure(server, count))


if __name__ == "__main__":
    main()
