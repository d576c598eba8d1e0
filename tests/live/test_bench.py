"""The measurements measure: one caller at a server with the wires of vendors, and what the pulse says of it."""

import subprocess
import sys

import httpx
import pytest

from app.bench.caller import calling
from app.bench.callers import speak
from app.bench.servers import running_module, running_server
from app.bench.vendors import engines_of
from tests.live.server import ROOT
from tests.voices import spoken

pytestmark = pytest.mark.live


async def test_a_caller_is_answered_aloud_and_the_loop_has_a_pulse() -> None:
    with running_module(["-m", "app.bench.vendors"]) as url:
        vendors = httpx.get(f"{url}/health", trust_env=False).json()
        with running_server(engines_of(vendors, "deepgram", "cartesia")) as server:
            async with calling(server.ws, "bench-smoke") as caller:
                made = await speak(caller, spoken("Hola, buenas tardes, necesito un taxi."))
            pulse = server.pulse()
            own, _ = server.memory_mb()
    assert made["outcome"] == "answered", made
    assert made["is_whole"]
    assert made["chunks"] > 5
    assert made["latency_ms"] > 0
    assert pulse["tasks"] > 0
    assert 0 < pulse["lag_p50_ms"] <= pulse["lag_p99_ms"]
    assert own > 20


def test_a_part_that_does_not_exist_is_refused() -> None:
    command = [sys.executable, "-m", "app.cli", "bench", "voice", "singing"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, timeout=60)
    assert done.returncode == 2
    assert "There is no singing" in done.stderr
