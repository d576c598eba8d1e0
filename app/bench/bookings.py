"""Taxis booked by voice: the evaluation's scenarios, said aloud by riders with two voices, graded by what is stored.

The microphone may be faster than real time and answers come as text, so that hundreds of conversations are affordable:
what is measured is hearing, not waiting. Latency and sound have measurements of their own.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
from rapidfuzz.distance import Levenshtein

from app.bench.caller import Caller, Turn, calling
from app.bench.figures import share, table
from app.bench.orally import as_said, otherwise, words_in_full
from app.bench.riders import VOICES, Condition, Voice, in_a_room, spoken
from app.bench.servers import BenchServer, local_engines, machine, running_server
from app.evals.grading import Verdict, grade
from app.evals.questions import topic_of
from app.evals.scenario import Scenario, load_scenarios
from app.evals.simulated_rider import SimulatedRider
from app.evals.words import tokens
from app.models.audio import HEARING_RATE

Result = dict[str, Any]
KINDS = (
    *("spoken_asr", "step_by_step", "one_sentence", "place", "corner", "correction_midway", "correction_at_summary"),
    *("details_any_order", "ambiguous_neighborhood", "another_taxi", "half_of_day"),
)
_MISHEARD = "siemon bolibar cevillar fono pera docientos neki davi subtitulos bre pena dolar cobra paypal"
_ALREADY_MISHEARD = frozenset(_MISHEARD.split())
"""Words of scenarios that are mistakes of a recogniser: nobody says them aloud."""
_LEAD_SECONDS = 0.3
_TRAIL_SECONDS = 1.7
"""Longer than the silence that ends any utterance."""
_ANSWER_SECONDS = 30.0
_NOTHING_SECONDS = 15.0
_REPETITIONS = 2
"""Who was not understood at all says it again so often."""
_INNER_PAUSE_MS = 350


@dataclass(slots=True)
class Said:
    """One line of a rider, and what became of it."""

    said: str
    understood: list[str] = field(default_factory=list)
    answer: str = ""
    bookings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Conversation:
    """A booking by voice."""

    scenario: str
    kind: str
    voice: Voice
    condition: Condition
    lines: list[Said] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    expected: list[dict[str, Any]] = field(default_factory=list)
    stored: list[dict[str, Any]] = field(default_factory=list)

    @property
    def as_json(self) -> dict[str, Any]:
        """What is written of it."""
        return {
            **{name: getattr(self, name) for name in ("scenario", "kind", "voice", "condition", "expected", "stored")},
            "success": self.verdict.success,
            "wrong": _wrong(self.verdict),
            "lines": [
                {"said": each.said, "understood": each.understood, "answer": each.answer, "bookings": each.bookings}
                for each in self.lines
            ],
        }


def chosen(count: int) -> list[Scenario]:
    """Return scenarios that end in a booking and can be said aloud, of all kinds by turns."""
    by_kind: dict[str, list[Scenario]] = defaultdict(list)
    for scenario in load_scenarios(kinds=KINDS):
        if scenario.expect and scenario.rider.style != "english" and not _ALREADY_MISHEARD & set(_words(scenario)):
            by_kind[scenario.kind].append(scenario)
    found: list[Scenario] = []
    while by_kind and len(found) < count:
        for kind in list(by_kind):
            found.append(by_kind[kind].pop(0))
            if not by_kind[kind]:
                del by_kind[kind]
    return found[:count]


def _words(scenario: Scenario) -> Iterable[str]:
    for rider in (scenario.rider, scenario.next_rider):
        if rider is None:
            continue
        lines = [*rider.opening, *rider.afterwards, *(line for said in rider.answers.values() for line in said)]
        for line in [*(each.say for each in lines), *(each.say for each in rider.interjections)]:
            yield from tokens(line)


def measure(
    weights: Path,
    *,
    clean: int,
    others: int,
    conditions: Sequence[Condition],
    pace: float,
    at_once: int,
    seed: int,
    say: Any,
) -> Result:
    """Let riders book.

    Args:
        weights: The folder of ``scripts/weights``.
        clean: Scenarios in silence, each by one of the voices by turns.
        others: Scenarios in each other condition.
        conditions: What becomes of speech on its way.
        pace: How many times as fast as real time the microphone is.
        at_once: Conversations at a time.
        seed: Chooses the riders' words.
        say: Is told how far it is.
    """
    plan: list[tuple[Scenario, Voice, Condition]] = []
    for condition in conditions:
        scenarios = chosen(clean if condition == "clean" else others)
        plan += [(each, VOICES[number % 2], condition) for number, each in enumerate(scenarios)]
    say(f"bookings: {len(plan)} conversations")
    with running_server(local_engines(weights), RATE_LIMIT_TURNS="0", RATE_LIMIT_REQUESTS="0") as server:
        server.wait_until_idle()
        conversations = anyio.run(_converse_all, server, plan, pace, at_once, seed, say)
        return {
            "part": "bookings",
            "machine": machine(),
            "engines": server.settings("STT", "VAD", "WHISPER_MODEL", "SMART_TURN_MODEL"),
            "clerk": "the offline clerk",
            "pace": pace,
            "riders": "Kokoro's ef_dora and em_alex by turns, numbers and letters said in words;"
            " who is not understood says it again in a whole sentence",
            "conversations": [each.as_json for each in conversations],
        }


async def _converse_all(
    server: BenchServer,
    plan: Sequence[tuple[Scenario, Voice, Condition]],
    pace: float,
    at_once: int,
    seed: int,
    say: Any,
) -> list[Conversation]:
    found: dict[int, Conversation] = {}
    limiter = anyio.CapacityLimiter(at_once)

    async def play(number: int) -> None:
        scenario, voice, condition = plan[number]
        async with limiter:
            found[number] = made = await _converse(server, http, scenario, voice, condition, pace, seed)
        good = sum(each.verdict.success for each in found.values())
        say(
            f"bookings: {len(found)}/{len(plan)}, {good} right; {condition} {scenario.id}:"
            f" {'right' if made.verdict.success else _wrong(made.verdict)}"
        )

    async with (
        httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http,
        anyio.create_task_group() as group,
    ):
        for number in range(len(plan)):
            group.start_soon(play, number)
    return [found[number] for number in sorted(found)]


async def _converse(
    server: BenchServer,
    http: httpx.AsyncClient,
    scenario: Scenario,
    voice: Voice,
    condition: Condition,
    pace: float,
    seed: int,
) -> Conversation:
    made = Conversation(scenario.id, scenario.kind, voice, condition)
    made.expected = [each.model_dump(mode="json", exclude_defaults=True) for each in scenario.expect]
    thread_id = f"spoken-{scenario.id}-{condition.replace(' ', '')}-{voice}-{time.time_ns()}"
    consented: list[str] = []
    error: str | None = None
    try:
        async with calling(server.ws, thread_id, pace=pace, speak=False) as caller:
            await anyio.sleep(0.2)
            await _talk(caller, scenario, made, seed, consented)
    except Exception as problem:  # one conversation is lost, and is counted as such
        error = f"{type(problem).__name__}: {problem}"
    answer = await http.get("/api/v1/bookings", params={"thread_id": thread_id})
    made.stored = answer.json()["bookings"]
    made.verdict = grade(scenario, made.stored, consented)
    made.verdict.error = error
    return made


async def _talk(caller: Caller, scenario: Scenario, made: Conversation, seed: int, consented: list[str]) -> None:
    heard = before = ""
    riders = [scenario.rider] if scenario.next_rider is None else [scenario.rider, scenario.next_rider]
    for number, who in enumerate(riders):
        wanted = scenario.expect[number] if number < len(scenario.expect) else None
        rider = SimulatedRider(who, wanted, f"{seed}:{scenario.id}:{number}")
        while (utterance := rider.next(heard)) is not None:
            text = utterance.text
            if text == before:  # it was not understood
                text = otherwise(text, topic_of(heard))
            before = utterance.text
            line = Said(as_said(text))
            made.lines.append(line)
            speech = await anyio.to_thread.run_sync(spoken, line.said, made.voice)
            for _ in range(1 + _REPETITIONS):
                turns = await _say(caller, speech, made.condition, seed + len(made.lines))
                line.understood += [turn.understood for turn in turns] or ["(nada)"]
                if turns:
                    break
            if not turns:
                return
            line.answer = heard = turns[-1].answer
            line.bookings = [booking for turn in turns for booking in turn.bookings]
            if line.bookings:
                rider.booked()
                if utterance.consents:
                    consented += line.bookings
            if utterance.leaves:
                return
        if not rider.is_booked:
            return


async def _say(caller: Caller, speech: bytes, condition: Condition, seed: int) -> list[Turn]:
    """Say a line, and return the turns that came of it; none where nothing was understood."""
    before = set(caller.turns)
    await caller.microphone.say(in_a_room(speech, condition, _LEAD_SECONDS, _TRAIL_SECONDS, seed))

    def new() -> list[Turn]:
        return [turn for turn_id, turn in caller.turns.items() if turn_id not in before]

    if not await caller.until(lambda: bool(new()), _NOTHING_SECONDS):
        return []
    quiet = 1.5 if _has_inner_pause(speech) else 0.4
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        await caller.until(lambda: all(turn.ended_at is not None for turn in new()), _ANSWER_SECONDS)
        count = len(new())
        # A second half of the line may still be on its way through the recogniser.
        if not await caller.until(lambda count=count: len(new()) > count, quiet):  # type: ignore[misc]
            break
    return new()


def _has_inner_pause(speech: bytes) -> bool:
    """Return whether somebody falls silent so long within a line that it may be taken for its end."""
    samples = np.abs(np.frombuffer(speech, dtype="<i2").astype(np.int32))
    size = HEARING_RATE // 50
    quiet = [not (samples[place : place + size] > 330).any() for place in range(0, len(samples), size)]
    longest = run = 0
    for each in quiet:
        run = run + 1 if each else 0
        longest = max(longest, run)
    return longest * 20 >= _INNER_PAUSE_MS


def _wrong(verdict: Verdict) -> str:
    parts = list(verdict.wrong_dispatches)
    if verdict.missing:
        parts.append(f"{verdict.missing} taxi missing")
    parts += [f"{slot.name}: expected {slot.expected}, stored {slot.stored}" for slot in verdict.wrong_slots]
    if verdict.error:
        parts.append(verdict.error)
    return "; ".join(parts)


def mistakes(conversations: Sequence[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Return what was said and understood as something else, words beside words, with counts."""
    found: Counter[tuple[str, str]] = Counter()
    for conversation in conversations:
        for line in conversation["lines"]:
            said = tokens(line["said"])
            understood = tokens(words_in_full(" ".join(line["understood"])))
            for operation in Levenshtein.opcodes(said, understood):
                if operation.tag != "equal":
                    found[
                        " ".join(said[operation.src_start : operation.src_end]),
                        " ".join(understood[operation.dest_start : operation.dest_end]),
                    ] += 1
    return found


def word_error_rate(conversations: Sequence[dict[str, Any]]) -> float:
    """Return the share of words that were understood wrongly, numbers in words on both sides."""
    edits = words = 0
    for conversation in conversations:
        for line in conversation["lines"]:
            said = tokens(line["said"])
            edits += Levenshtein.distance(said, tokens(words_in_full(" ".join(line["understood"]))))
            words += len(said)
    return edits / max(1, words)


def render(result: Result) -> str:
    """Return the tables."""
    conversations = result["conversations"]
    rows = []
    for condition in dict.fromkeys(each["condition"] for each in conversations):
        mine = [each for each in conversations if each["condition"] == condition]
        cells = [condition, share(sum(each["success"] for each in mine), len(mine))]
        for voice in VOICES:
            some = [each for each in mine if each["voice"] == voice]
            cells.append(share(sum(each["success"] for each in some), len(some)))
        cells += [f"{word_error_rate(mine):.1%}", f"{sum(len(each['lines']) for each in mine) / len(mine):.1f}"]
        rows.append(cells)
    lines = [
        f"Booked exactly right by voice (microphone at {result['pace']:g} times real time, answers as text)",
        table(("", "right", *VOICES, "word errors", "lines"), rows),
    ]
    failed = [each for each in conversations if not each["success"]]
    if failed:
        lines += ["", "What went wrong"]
    for each in failed:
        lines.append(f"  {each['condition']}, {each['voice']}, {each['scenario']}: {each['wrong']}")
        for line in each["lines"]:
            if tokens(words_in_full(" ".join(line["understood"]))) != tokens(line["said"]):
                lines.append(f"      said «{line['said']}» understood «{' | '.join(line['understood'])}»")
    common = [(pair, count) for pair, count in mistakes(conversations).most_common(40) if count > 1]
    if common:
        lines += ["", "Commonest mistakes of the recogniser (numbers in words on both sides)"]
        lines.append(
            table(("said → understood", "n"), [[f"«{one}» → «{other}»", str(n)] for (one, other), n in common])
        )
    return "\n".join(lines)
