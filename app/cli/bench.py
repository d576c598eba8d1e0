"""``voztaxi bench voice``: measures, prints the tables, writes what was measured as JSON."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

PARTS = ("latency", "interrupt", "bookings", "callers", "soak")
CONDITIONS = ("clean", "20 dB", "10 dB", "telephone")


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """How much is measured."""

    utterances: int
    peer: bool
    interruptions: int
    noises: int
    scenarios: int
    noisy: int
    conditions: Sequence[str]
    pace: float
    at_once: int
    callers: int
    local_callers: int
    turns: int
    minutes: float
    soak_callers: int
    seed: int


def run_voice_bench(parts: Sequence[str], options: VoiceOptions, out: Path | None) -> None:
    """Measure, print and write.

    Args:
        parts: Which of ``PARTS``.
        options: How much.
        out: A folder for a JSON file and a text file of each part; None writes none.
    """
    try:
        from app.bench import bookings, callers, interruptions, latency, soak
        from app.bench.riders import NotACheckout, weights_folder
        from app.bench.servers import machine
    except ModuleNotFoundError as error:
        typer.echo(
            f"voztaxi bench voice needs {error.name}: run it in a checkout, after scripts/install --dev", err=True
        )
        raise typer.Exit(2) from error
    try:
        weights = weights_folder()
    except (NotACheckout, AssertionError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    say: Callable[[str], None] = Progress()
    work: dict[str, tuple[ModuleType, Callable[[], dict[str, Any]]]] = {
        "latency": (
            latency,
            lambda: latency.measure(
                weights, utterances=options.utterances, seed=options.seed, with_peer=options.peer, say=say
            ),
        ),
        "interrupt": (
            interruptions,
            lambda: interruptions.measure(
                weights,
                interruptions=options.interruptions,
                false_alarms=options.noises,
                transcribe=True,
                say=say,
            ),
        ),
        "bookings": (
            bookings,
            lambda: bookings.measure(
                weights,
                clean=options.scenarios,
                others=options.noisy,
                conditions=options.conditions,  # type: ignore[arg-type]
                pace=options.pace,
                at_once=options.at_once,
                seed=options.seed,
                say=say,
            ),
        ),
        "callers": (
            callers,
            lambda: callers.measure(
                weights, callers=options.callers, local_callers=options.local_callers, turns=options.turns, say=say
            ),
        ),
        "soak": (
            soak,
            lambda: soak.measure(
                weights, minutes=options.minutes, callers=options.soak_callers, seed=options.seed, say=say
            ),
        ),
    }
    print(headline(machine()))
    for part in parts:
        module, measure = work[part]
        result = measure()
        shown = module.render(result)
        print(f"\n== {part}\n{_configuration(result)}{shown}", flush=True)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{part}.json").write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            (out / f"{part}.txt").write_text(f"{headline(result['machine'])}\n{shown}\n", encoding="utf-8")


class Progress:
    """Says on standard error how far it is: one line that is written over, or one a step where nobody watches."""

    def __call__(self, words: str) -> None:
        """Say it."""
        if sys.stderr.isatty():
            print(f"\r{words[:150]:<150}", end="", file=sys.stderr, flush=True)
        else:
            print(words, file=sys.stderr, flush=True)


def headline(machine: dict[str, Any]) -> str:
    """Say what the measurements ran on."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    load = " ".join(str(each) for each in machine["load_before"])
    return (
        f"{machine['at']}  {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB,"
        f" {machine['system']}, Python {machine['python']}\nload before: {load}\n{packages}"
    )


def _configuration(result: dict[str, Any]) -> str:
    """Say which engines were measured."""
    names = ("engines", "configuration", "clerk", "riders", "pace")
    shown = [(name, json.dumps(result[name], ensure_ascii=False)) for name in names if result.get(name) is not None]
    return "".join(f"{name}: {words}\n" for name, words in shown)
