"""Many callers at once: is the pace kept, how long do answers take, and does the event loop ever wait?"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx

from app.bench.caller import Caller, Turn, calling
from app.bench.figures import SPREAD_HEAD, Spread, table
from app.bench.riders import VOICES, sentences, spoken
from app.bench.servers import BenchServer, idle_pulse, local_engines, machine, running_module, running_server
from app.bench.vendors import engines_of

Result = dict[str, Any]
_ANSWER_SECONDS = 45.0
_CLOUD = (("deepgram", "cartesia"), ("assemblyai", "elevenlabs"), ("openai", "openai"))


@dataclass(frozen=True, slots=True)
class Setup:
    """Engines, and how many callers they are given."""

    name: str
    engines: dict[str, str]
    callers: int


def measure(weights: Path, *, callers: int, local_callers: int, turns: int, say: Any) -> Result:
    """Measure each pair of engines.

    Args:
        weights: The folder of ``scripts/weights``.
        callers: At once, with the engines of vendors.
        local_callers: At once, with those that run here: two cores understand one utterance at a time.
        turns: What each caller says.
        say: Is told how far it is.
    """
    for text, voice in sentences(max(10, callers) * turns, 1):
        spoken(text, voice)
    with ExitStack() as stack:
        url = stack.enter_context(running_module(["-m", "app.bench.vendors"]))
        found = httpx.get(f"{url}/health", timeout=10, trust_env=False).json()
        local = local_engines(weights)
        turn_model = {"SMART_TURN_MODEL": local["SMART_TURN_MODEL"]}
        setups = [
            *(Setup(f"{stt} + {tts}", engines_of(found, stt, tts) | turn_model, callers) for stt, tts in _CLOUD),
            Setup("whisper + kokoro", local, local_callers),
            Setup("whisper + espeak", {**local, "TTS": "espeak"}, local_callers),
        ]
        idle = stack.enter_context(idle_pulse())
        before = machine()
        rows = []
        for setup in setups:
            if not setup.callers:
                continue
            say(f"callers: {setup.name}, {setup.callers} at once")
            with running_server(setup.engines, RATE_LIMIT_TURNS="0", RATE_LIMIT_REQUESTS="0") as server:
                server.pulse()  # what its start took is no caller's wait
                # The first request and the first call make what a server makes once; the figures are of what follows.
                anyio.run(_call_all, server, 1, 1)
                server.metric("voztaxi_microphones")
                first = server.pulse()
                server.wait_until_idle()
                server.pulse()
                idle.read()
                used, began = server.processor_seconds(), time.monotonic()
                made = anyio.run(_call_all, server, setup.callers, turns)
                seconds = time.monotonic() - began
                made |= {
                    "name": setup.name,
                    "callers": setup.callers,
                    "first_call_pulse": first,
                    "pulse": server.pulse(),
                    "idle_pulse": idle.read(),
                    "processor_share": round((server.processor_seconds() - used) / seconds, 3),
                    "seconds": round(seconds, 1),
                }
                rows.append(made)
        return {"part": "callers", "machine": before, "setups": rows, "clerk": "the offline clerk"}


async def _call_all(server: BenchServer, callers: int, turns: int) -> dict[str, Any]:
    asked = sentences(callers * turns, 1)
    found: list[dict[str, Any]] = []
    async with anyio.create_task_group() as group:
        for number in range(callers):
            group.start_soon(_call, server, number, asked[number * turns : (number + 1) * turns], found)
    return {"turns": found}


async def _call(
    server: BenchServer, number: int, asked: Sequence[tuple[str, str]], found: list[dict[str, Any]]
) -> None:
    await anyio.sleep(0.37 * number)  # nobody calls at the same moment
    async with calling(server.ws, f"caller-{number}-{time.time_ns()}") as caller:
        await anyio.sleep(1.0)
        for text, voice in asked:
            found.append(await speak(caller, spoken(text, voice if voice in VOICES else VOICES[0])))
            await anyio.sleep(0.5)


async def speak(caller: Caller, pcm: bytes) -> dict[str, Any]:
    """Say something, hear the answer to its end, and return what came of it."""
    before = set(caller.turns)
    said = await caller.microphone.say(pcm)

    def new() -> list[Turn]:
        return [turn for turn_id, turn in caller.turns.items() if turn_id not in before]

    def answered() -> bool:
        return bool(new()) and all(turn.ended_at is not None for turn in new())

    is_answered = await caller.until(answered, _ANSWER_SECONDS)
    answer = next((turn for turn in reversed(new()) if turn.speaker is not None), None)
    if not is_answered or answer is None or answer.speaker is None or answer.speaker.first_at is None:
        complaints = [error for turn in new() for error in turn.errors]
        return {"outcome": "no answer", "why": _why(new()), "complaints": [*caller.complaints, *complaints]}
    return {
        "outcome": "answered" if len(new()) == 1 else "cut off",
        "status": answer.status,
        "latency_ms": round((answer.speaker.first_at - said.ends_at) * 1000, 1),
        "chunks": answer.speaker.chunks,
        "late": answer.speaker.late,
        "starved_ms": round(answer.speaker.starved_ms, 1),
        "sound_ms": len(answer.speaker.sound) * 500 // answer.speaker.sample_rate,
        "is_whole": answer.speaker.is_whole,
        "microphone_behind_ms": round(caller.microphone.behind_s * 1000, 1),
    }


def _why(turns: Sequence[Turn]) -> str:
    """Return what became of an utterance that no sound answered."""
    if not turns:
        return "not taken for words"
    if any(turn.ended_at is None for turn in turns):
        return "not over in time"
    return f"{turns[-1].status} without sound"


def render(result: Result) -> str:
    """Return the tables."""
    rows, pulses = [], []
    for each in result["setups"]:
        turns = each["turns"]
        answered = [turn for turn in turns if turn["outcome"] == "answered"]
        heard = [turn for turn in turns if "chunks" in turn]
        chunks, late = sum(turn["chunks"] for turn in heard), sum(turn["late"] for turn in heard)
        pace = f"{1 - late / chunks:.2%}" if chunks else "-"
        starved = max((turn["starved_ms"] for turn in heard), default=0)
        rows.append(
            [
                each["name"],
                str(each["callers"]),
                *Spread.of([turn["latency_ms"] for turn in answered]).cells(),
                str(len(turns) - len(answered)),
                f"{chunks}",
                pace,
                f"{starved:.0f}",
                f"{each['processor_share']:.0%}",
            ]
        )
        for name, pulse in (("", each["pulse"]), ("  an idle loop beside it", each["idle_pulse"])):
            pulses.append(
                [
                    name or each["name"],
                    *(
                        str(pulse.get(key, "-"))
                        for key in ("lag_p50_ms", "lag_p99_ms", "lag_worst_ms", "lags_over_20_ms")
                    ),
                    *(
                        str(pulse.get(key, "-"))
                        for key in ("work_p99_ms", "work_worst_ms", "works_over_20_ms", "collection_worst_ms")
                    ),
                ]
            )
    head = ("engines", "callers", *SPREAD_HEAD, "other", "chunks", "in time", "worst gap ms", "CPU")
    lines = [
        "Callers at once: end of speech → first chunk of the answer, ms; pace kept; processor use of the server",
        table(head, rows),
        "",
        "Event loop: how late its timer was, and how much the loop itself worked in one go, ms",
        table(("engines", "lag p50", "p99", "worst", ">20", "work p99", "worst", ">20", "of it garbage"), pulses),
    ]
    worst = max((each["first_call_pulse"].get("work_worst_ms", 0) for each in result["setups"]), default=0)
    lines += [f"Not in the table: in a server's first call its loop worked {worst} ms in one go, while routes are made"]
    for each in result["setups"]:
        where = each["pulse"].get("where") or []
        lines += [f"  {each['name']}, late in: {place} ({count})" for place, count in where[:3]]
    return "\n".join(lines)
