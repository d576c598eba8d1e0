"""What clients that begin and do not go on cost the server, and the riders who come meanwhile.

Run it with ``.venv/bin/python benchmarks/half_open.py [COUNT]``, 10,000 of them by default. Three kinds, one after the
other: half of a request's head, half of a body, and a stream of which nothing is read. The server runs on
loopback with its defaults, in an empty folder, as a process of its own; its resident memory is what the system says.
"""

import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402 - the project's root is not on the path before

from tests.live.half_open import HALF_BODY, HALF_HEAD, half_open, process_of, stream_request  # noqa: E402
from tests.live.server import Server, add_users, running_server  # noqa: E402

QUESTIONS = 20
"""What a rider says while the others are there."""


async def ask(server: Server, token: str) -> tuple[list[float], int]:
    """Return how long a rider waited for each answer, in seconds, and how often they were told to come again."""
    waited, refused = [], 0
    for number in range(QUESTIONS):
        started = time.perf_counter()
        while True:
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                said = {"text": "Hola", "thread_id": f"rider-{number}"}
                answer = await client.post("/api/v1/chat", json=said, headers={"Authorization": f"Bearer {token}"})
            if answer.status_code != 503:
                break
            refused += 1
            await asyncio.sleep(0.5)
        answer.raise_for_status()
        waited.append(time.perf_counter() - started)
    return waited, refused


async def measure(server: Server, count: int, kind: str, begun: bytes, token: str) -> None:
    """Print what ``count`` of a kind cost."""
    process = process_of(server)
    alone, _ = await ask(server, token)
    before = process.memory_info().rss
    started = time.perf_counter()
    async with half_open(server, count, begun) as clients:
        opened = time.perf_counter() - started
        waited, refused = await ask(server, token)
        peak = process.memory_info().rss
        files = process.num_fds()
        answers = Counter(each.status for each in clients)
    await ask(server, token)
    print(f"\n{kind}: {count} opened in {opened:.1f} s")
    print(f"answers              {dict(answers)}")
    print(f"open files           {files}")
    print(f"a rider meanwhile    {shown(waited)}, refused {refused} times")
    print(f"a rider before       {shown(alone)}")
    print(f"server before        {before / 2**20:.1f} MiB")
    print(f"server meanwhile     {peak / 2**20:.1f} MiB")
    print(f"server after         {process.memory_info().rss / 2**20:.1f} MiB")


def shown(waited: list[float]) -> str:
    """Return how long it took, in words."""
    return f"{statistics.median(waited) * 1000:.0f} ms, at most {max(waited) * 1000:.0f} ms"


def main() -> None:
    """Start a server and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 1000)), hard))
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        add_users(server, "ana")
        login = httpx.post(f"{server.url}/auth/login", json={"username": "ana", "password": "ana's password"})
        token = login.json()["access_token"]
        for kind, begun in (
            ("half a head", HALF_HEAD),
            ("half a body", HALF_BODY),
            ("a stream that nobody reads", stream_request(token, "Hola")),
        ):
            asyncio.run(measure(server, count, kind, begun, token))


if __name__ == "__main__":
    main()
