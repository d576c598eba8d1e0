"""How well explanations keep their pace, and how soon a saved one begins.

Run it with ``.venv/bin/python benchmarks/explanations.py [CLIENTS] [SECONDS]``. The server runs on loopback with its
defaults, in an empty folder, as a process of its own; the clients are python-socketio's, all in this process. A
chunk is late by as much as it arrives later than the one that came soonest for its place in the same explanation: what
the server, the sockets and this process take is all in it.
"""

import asyncio
import gc
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402 - the project's root is not on the path before
import psutil  # noqa: E402
import socketio  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from app.core.clock import now_ms  # noqa: E402
from app.engines.identity.local import LocalIdentity, secret_key  # noqa: E402
from app.models.account import Claims  # noqa: E402
from app.models.explanations import Explanation, SavedAnswer, Step  # noqa: E402
from app.services.questions import read_question  # noqa: E402
from app.stores.sql.answers import SqlAnswerStore  # noqa: E402
from app.stores.sql.database import Database  # noqa: E402
from tests.live.server import Server, running_server  # noqa: E402

SECRET = "a secret of the benchmark's own, long enough"
QUESTION = "¿Cómo se mide?"
CHUNK = 50
TICK = 0.05
STEP_CHARACTERS = 4000
STARTS = 100
"""How often it is measured how soon a saved answer begins."""


class Listener:
    """A client that notes when what it is told arrives."""

    def __init__(self, number: int) -> None:
        identity = LocalIdentity(secret_key(SecretStr(SECRET)), issuer="voztaxi", audience="voztaxi")
        claims = Claims(account_id=f"user-{number}", name=None, expires_at=now_ms() + 3_600_000)
        self.token = identity.make(claims, token_id=str(number), now=now_ms())
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self._take)
        self.arrivals: list[tuple[float, float]] = []
        """Of each chunk its place in the schedule, and when it came."""
        self.sizes: set[int] = set()
        self.errors: list[Any] = []
        self.started = asyncio.Event()
        self.done = asyncio.Event()
        self.started_at = 0.0
        self._tick = 0.0

    async def ask(self) -> float:
        """Ask, and return how long it took until the explanation began."""
        self.started.clear()
        asked_at = time.perf_counter()
        await self.client.emit("ask_question", {"token": self.token, "question": QUESTION})
        await self.started.wait()
        return self.started_at - asked_at

    async def _take(self, event: str, data: dict[str, Any]) -> None:
        now = time.perf_counter()
        match event:
            case "explanation_start":
                self.started_at = now
                self.started.set()
            case "content_chunk":
                self.arrivals.append((self._tick, now))
                self.sizes.add(len(data["chunk"]))
                self._tick += len(data["chunk"]) / CHUNK
            case "step_complete":
                self._tick += 1
            case "explanation_complete":
                self.done.set()
            case "error":
                self.errors.append(data)
                self.started.set()
                self.done.set()

    def lateness(self) -> list[float]:
        """Return how late each chunk was, in seconds."""
        offsets = [at - tick * TICK for tick, at in self.arrivals]
        return [offset - min(offsets) for offset in offsets]


async def save_answer(server: Server, seconds: float) -> None:
    """Save an answer that takes so long to be told."""
    characters = int(seconds / TICK * CHUNK)
    words = "palabra " * (STEP_CHARACTERS // 8)
    steps = tuple(
        Step(title=f"Paso {start}", content=words[: min(STEP_CHARACTERS, characters - start)])
        for start in range(0, characters, STEP_CHARACTERS)
    )
    question = read_question(QUESTION, None, max_characters=100)
    async with Database(f"sqlite+aiosqlite:///{server.folder}/voztaxi.db") as database:
        await SqlAnswerStore(database).save(
            SavedAnswer(
                question_hash=question.question_hash,
                question=question.text,
                normalised=question.normalised,
                explanation=Explanation(steps=steps, total_duration=seconds),
                model="none",
                created_at=now_ms(),
            )
        )


async def measure(server: Server, count: int, seconds: float) -> None:
    """Print what came of it."""
    await save_answer(server, seconds)
    listeners = [Listener(number) for number in range(count)]
    for listener in listeners:
        await listener.client.connect(server.url, transports=["websocket"])
    # One after the other, each in place of the one before.
    prompt = Listener(count)
    await prompt.client.connect(server.url, transports=["websocket"])
    starts = [await prompt.ask() for _ in range(STARTS)]
    await prompt.client.disconnect()
    gc.freeze()
    gc.disable()
    process = psutil.Process(server._process.pid)  # type: ignore[union-attr]
    before, began = process.cpu_times(), time.perf_counter()

    async def listen(listener: Listener) -> None:
        await asyncio.sleep(random.uniform(0, 1))
        await listener.ask()
        await listener.done.wait()

    await asyncio.gather(*(listen(each) for each in listeners))
    took = time.perf_counter() - began
    after = process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / took
    late = sorted(1000 * each for listener in listeners for each in listener.lateness())
    print(f"explanations at once       {len(listeners)}, {len(late)} chunks, {len(late) / took:.0f} a second")
    print(f"saved answer begins after  median {1000 * statistics.median(starts):.1f} ms")
    print(f"a chunk is late by         median {late[len(late) // 2]:.1f} ms, p99 {late[len(late) * 99 // 100]:.1f} ms, "
          f"most {late[-1]:.1f} ms")  # fmt: skip
    print(f"longest chunk              {max(max(each.sizes) for each in listeners)} characters")
    print(f"server                     {100 * cpu:.0f} % of a core")
    print(f"errors                     {[error for each in listeners for error in each.errors][:3]}")
    for listener in listeners:
        await listener.client.disconnect()


def quantile(figures: str, share: float) -> float:
    """Return the bound of the bucket in which a share of all chunks is, in seconds."""
    name = "voztaxi_explanation_lateness_seconds_bucket"
    found = re.findall(rf'^{name}{{le="([^"]+)"}} ([0-9.e+]+)$', figures, re.MULTILINE)
    buckets = [(float(bound), float(number)) for bound, number in found]
    return next(bound for bound, number in buckets if number >= share * buckets[-1][1])


def main() -> None:
    """Measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), JWT_SECRET=SECRET, RATE_LIMIT_QUESTIONS="0") as server,
    ):
        asyncio.run(measure(server, count, seconds))
        figures = httpx.get(f"{server.url}/metrics").text
        print(f"as the server sees it      p99 {1000 * quantile(figures, 0.99):.0f} ms or less")


if __name__ == "__main__":
    main()
