"""How fast and how good the offline clerk reads: addresses of the city's corpus, and whole turns.

Run it with ``.venv/bin/python benchmarks/taxi_brain.py``. Times are of this process alone (CPU), so a
busy machine matters less; the medians are what to quote.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from app.core.logging import configure_logging  # noqa: E402 - the project's root is not on the path before
from app.core.memory import settled_memory  # noqa: E402
from app.taxi import scene  # noqa: E402
from app.taxi.places import Gazetteer, parse_address  # noqa: E402
from app.taxi.reading import slots  # noqa: E402
from tests.desk import open_desk  # noqa: E402

CORPUS = ROOT / "tests/unit/taxi/places/data/accident_addresses.txt"
LINES = ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")
SENTENCE = "Hola, necesito un taxi a la Calle 72 #43-25 en El Prado, voy para el aeropuerto y pago con nequi"
CONVERSATIONS = 60


def percentiles(values: list[float]) -> str:
    """Return the median, the 90th and the 99th percentile as text."""
    cuts = statistics.quantiles(values, n=100)
    return f"median {statistics.median(values):.3f} ms   p90 {cuts[89]:.3f} ms   p99 {cuts[98]:.3f} ms"


def measure_addresses(gazetteer: Gazetteer) -> None:
    """Parse the corpus and one rider's sentence many times."""
    texts = CORPUS.read_text(encoding="utf-8").splitlines()
    times: list[float] = []
    statuses: Counter[str] = Counter()
    for text in texts:
        start = time.process_time_ns()
        statuses[parse_address(text, gazetteer).status] += 1
        times.append((time.process_time_ns() - start) / 1e6)
    found = statuses["address"] + statuses["corner"]
    share = 100 * found / len(texts)
    print(f"corpus        {len(texts)} strings, street and cross street {share:.2f} %   {dict(statuses)}")
    print(f"  one string  {percentiles(times)}")
    times.clear()
    for _ in range(1000):
        start = time.process_time_ns()
        parse_address(SENTENCE, gazetteer)
        times.append((time.process_time_ns() - start) / 1e6)
    print(f"  a sentence  {percentiles(times)}")


async def measure_turns() -> None:
    """Run the sample conversation in memory: service, runner, graph, offline model and reader.

    Every rider is new: what was read of another one's same words is forgotten before each turn.
    """
    times: list[float] = []
    async with open_desk() as desk:
        await desk.talk(*LINES, thread_id="warm")
        with settled_memory():
            for number in range(CONVERSATIONS):
                for line in LINES:
                    scene._understand.cache_clear()
                    slots._read.cache_clear()
                    start = time.process_time_ns()
                    await desk.say(line, thread_id=f"thread-{number}")
                    times.append((time.process_time_ns() - start) / 1e6)
    print(f"turns         {len(times)} of the sample conversation")
    print(f"  one turn    {percentiles(times)}")


def main() -> None:
    """Print all figures."""
    configure_logging(level="WARNING", style="console", file=None, personal=False)
    measure_addresses(Gazetteer.load())
    asyncio.run(measure_turns())


if __name__ == "__main__":
    main()
