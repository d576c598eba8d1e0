"""Callers for a long time: does the memory stay flat, and is everything given back?"""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio

from app.bench.caller import calling
from app.bench.callers import speak
from app.bench.figures import Slope, Spread, table
from app.bench.riders import INTERRUPTIONS, VOICES, sentences, spoken
from app.bench.servers import BenchServer, local_engines, machine, running_server

Result = dict[str, Any]
_SAMPLE_SECONDS = 5.0
_WARM_SHARE = 0.25
"""What is measured in this first share of the time is warming up, and no part of the slope."""
_CALL_TURNS = 6
_CACHE_MB = 4
"""Of sound: full soon, for while it fills nobody can tell it from a leak."""
_SETTLE_SECONDS = 20.0


def measure(weights: Path, *, minutes: float, callers: int, seed: int, say: Any) -> Result:
    """Let callers come and go.

    Args:
        weights: The folder of ``scripts/weights``.
        minutes: How long.
        callers: At once.
        seed: Chooses what they say, and who interrupts.
        say: Is told how far it is.
    """
    for text, voice in sentences(48, seed):
        spoken(text, voice)
    for text in INTERRUPTIONS:
        spoken(text, VOICES[0])
    settings = {"RATE_LIMIT_TURNS": "0", "RATE_LIMIT_REQUESTS": "0", "TTS_CACHE_MB": str(_CACHE_MB)}
    with running_server(local_engines(weights), **settings) as server:
        server.wait_until_idle()
        start = _held(server)
        samples: list[dict[str, float]] = []
        turns: list[dict[str, Any]] = []
        anyio.run(_soak, server, minutes, callers, seed, samples, turns, say)
        pulse = server.pulse()
        time.sleep(_SETTLE_SECONDS)
        end = _held(server)
        return {
            "part": "soak",
            "machine": machine(),
            "minutes": minutes,
            "callers": callers,
            "engines": server.settings("STT", "TTS", "VAD", "WHISPER_MODEL", "KOKORO_VOICE"),
            "samples": samples,
            "turns": turns,
            "start": start,
            "end": end,
            "pulse": pulse,
        }


def _held(server: BenchServer) -> dict[str, float]:
    """Return what the server holds when nobody calls."""
    pulse = server.pulse()  # first: garbage and what the allocator keeps are given back
    own, workers = server.memory_mb()
    return {
        "server MB": round(own, 1),
        "workers MB": round(workers, 1),
        "in use MB": pulse.get("in_use_mb") or -1.0,
        "microphones": server.metric("voztaxi_microphones"),
        "connections": server.metric("voztaxi_connections"),
        "tasks": float(pulse.get("tasks", -1)),
        "objects": float(pulse.get("objects", -1)),
        "files": float(server.files()),
        "threads": float(server.threads()),
    }


async def _soak(
    server: BenchServer,
    minutes: float,
    callers: int,
    seed: int,
    samples: list[dict[str, float]],
    turns: list[dict[str, Any]],
    say: Any,
) -> None:
    began = time.monotonic()
    deadline = began + minutes * 60

    async def sample() -> None:
        while True:
            own, workers = await anyio.to_thread.run_sync(server.memory_mb)
            minute = (time.monotonic() - began) / 60
            samples.append(
                {"minute": round(minute, 3), "server_mb": own, "workers_mb": workers, "files": server.files()}
            )
            say(f"soak: minute {minute:.1f}, server {own:.1f} MB, workers {workers:.1f} MB, {len(turns)} turns")
            await anyio.sleep(_SAMPLE_SECONDS)

    async def call(number: int) -> None:
        chance = random.Random(f"{seed}:{number}")  # noqa: S311 - variety, not a secret
        calls = 0
        while time.monotonic() < deadline:
            calls += 1
            async with calling(server.ws, f"soak-{number}-{calls}") as caller:
                await anyio.sleep(1.0)
                for text, voice in sentences(_CALL_TURNS, chance.randrange(1_000_000)):
                    if time.monotonic() >= deadline:
                        return
                    turns.append(await _turn(caller, text, voice, chance))
                    await anyio.sleep(chance.uniform(0.3, 1.5))
                    if chance.random() < 0.05:
                        break  # hangs up in the middle

    async with anyio.create_task_group() as group:
        group.start_soon(sample)
        async with anyio.create_task_group() as calls:
            for number in range(callers):
                calls.start_soon(call, number)
        group.cancel_scope.cancel()


async def _turn(caller: Any, text: str, voice: Any, chance: random.Random) -> dict[str, Any]:
    """Say something; every fourth answer is interrupted."""
    if chance.random() < 0.25:
        await caller.microphone.say(spoken(text, voice))
        if await caller.until(lambda: caller.audible is not None, 20.0):
            await anyio.sleep(chance.uniform(0.2, 1.0))
        wish = chance.choice(INTERRUPTIONS)
        return {**await speak(caller, spoken(wish, VOICES[0])), "text": wish, "interrupts": text}
    return {**await speak(caller, spoken(text, voice)), "text": text}


def render(result: Result) -> str:
    """Return the tables."""
    samples = result["samples"]
    kept = [each for each in samples if each["minute"] >= _WARM_SHARE * result["minutes"]]
    minutes = [each["minute"] for each in kept]
    rows = []
    for name, key in (("server", "server_mb"), ("workers", "workers_mb")):
        values = [each[key] for each in kept]
        slope = Slope.of(minutes, values)
        shown = "-" if slope is None else f"{slope.per_minute:+.3f} ({slope.low:+.3f} to {slope.high:+.3f})"
        first, last = (f"{samples[index][key]:.1f}" for index in (0, -1)) if samples else ("-", "-")
        warm = f"{kept[0][key]:.1f}" if kept else "-"
        rows.append([name, first, warm, last, f"{max(values, default=0):.1f}", shown])
    head = ("memory, MB", "start", "after warming up", "end", "most", "MB a minute (95 %)")
    names = list(result["start"])
    held = [[when, *(f"{result[when][name]:g}" for name in names)] for when in ("start", "end")]
    answered = [turn for turn in result["turns"] if turn["outcome"] != "no answer"]
    latencies = Spread.of([turn["latency_ms"] for turn in answered if turn["outcome"] == "answered"])
    unanswered = Counter(turn["why"] for turn in result["turns"] if turn["outcome"] == "no answer")
    whys = "".join(f" ({count} {why})" for why, count in unanswered.most_common())
    chunks, late = sum(turn["chunks"] for turn in answered), sum(turn["late"] for turn in answered)
    pulse = result["pulse"]
    return "\n".join(
        [
            f"{result['callers']} callers for {result['minutes']:g} minutes, {len(result['turns'])} turns,"
            f" {len(result['turns']) - len(answered)} without an answer{whys}",
            table(head, rows),
            "",
            "Held when nobody calls",
            table(("", *names), held),
            "",
            f"Latency median {latencies.median} ms, p90 {latencies.p90} ms; chunks in time {chunks - late} of {chunks};"
            f" event loop late p99 {pulse.get('lag_p99_ms')} ms, worst {pulse.get('lag_worst_ms')} ms,"
            f" own work worst {pulse.get('work_worst_ms')} ms",
        ]
    )
