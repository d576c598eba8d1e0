"""Riders who speak while the agent does: how fast there is silence, which wishes are kept, what goes on."""

import importlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import anyio

from app.bench.caller import Caller, Turn, calling
from app.bench.figures import SPREAD_HEAD, Spread, share, table
from app.bench.noises import LICENCES, Noise, noises
from app.bench.riders import BACKCHANNELS, INTERRUPTIONS, VOICES, spoken
from app.bench.servers import BenchServer, local_engines, machine, running_module, running_server
from app.bench.steady_model import LONG_ANSWER

Result = dict[str, Any]
_WISH = "Cuénteme cómo funciona el servicio."
_SPEAKS_SECONDS = 20.0
_VERDICT_SECONDS = 15.0
_NOTICE_SECONDS = 1.2
"""So long after a noise its sound may still be noticed."""
_GOOD = ("unnoticed", "resumed")
"""What may become of an answer in which there is a false alarm."""
_OVER = "ended: completed"
"""What becomes of a noise that comes as the answer is over."""
_FIRST_MS = 1500
"""The agent is let speak so long before somebody makes a noise, milliseconds."""
_ROOM_MS = 6000
"""So much must be left of an answer for another noise; the whole takes some 40 seconds."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What a microphone hears while the agent speaks."""

    name: str
    source: str
    pcm: bytes


def measure(weights: Path, *, interruptions: int, false_alarms: int, transcribe: bool, say: Any) -> Result:
    """Measure how riders are let in.

    Args:
        weights: The folder of ``scripts/weights``.
        interruptions: True ones.
        false_alarms: Recorded noises, and as many backchannels.
        transcribe: Whether what the ear heard of an answer with false alarms is transcribed back.
        say: Is told how far it is.
    """
    both = [(text, voice) for text in INTERRUPTIONS for voice in VOICES]
    wanted = [both[number % len(both)] for number in range(interruptions)]
    wishes = [Disturbance(text, f"spoken, {voice}", spoken(text, voice)) for text, voice in wanted]
    heard, problems = noises(false_alarms)
    listening = [(text, voice) for voice in VOICES for text in BACKCHANNELS][:false_alarms]
    alarms = [
        *(Disturbance(each.name, each.source, each.pcm) for each in _cut(heard, false_alarms)),
        *(Disturbance(text, f"spoken, {voice}", spoken(text, voice)) for text, voice in listening),
    ]
    say("interrupt: starting servers")
    with (
        running_module(["-m", "app.bench.steady_model"]) as model,
        running_server(
            local_engines(weights),
            LLM="openai",
            LLM_MODEL="steady",
            OPENAI_BASE_URL=f"{model}/v1",
            OPENAI_API_KEY="none",
        ) as server,
    ):
        result = anyio.run(_measure, server, wishes, alarms, say)
    result["noises_not_had"] = problems
    result["licences"] = LICENCES
    if transcribe:
        say("interrupt: transcribing what the ear heard")
        _transcribe(result, weights)
    for answer in result["answers"]:
        answer.pop("heard")
    return result


def _cut(heard: Sequence[Noise], most: int) -> Sequence[Noise]:
    """Return as many recorded ones as wanted, and the coughs, which are few, with them."""
    return heard if most >= 3 else heard[:most]


async def _measure(
    server: BenchServer, wishes: Sequence[Disturbance], alarms: Sequence[Disturbance], say: Any
) -> Result:
    await anyio.to_thread.run_sync(server.wait_until_idle)
    before = machine()
    numbers = count()
    true = [
        await _interrupt(server, each, f"wish-{next(numbers)}", number) for number, each in _told(wishes, "wish", say)
    ]
    waiting = list(alarms)
    false: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    # What an answer is that nobody disturbs: the transcripts of the others are compared with it.
    _, calm = await _disturb(server, [], f"calm-{next(numbers)}")
    answers.append({**calm, "is_calm": True})
    while waiting:
        say(f"interrupt: {len(waiting)} noises and backchannels left")
        tried, answer = await _disturb(server, waiting, f"noise-{next(numbers)}")
        false += tried
        answers.append(answer)
        if not tried:
            false.append({"name": waiting[0].name, "source": waiting[0].source, "outcome": "no answer to disturb"})
        waiting = waiting[max(1, len(tried)) :]
    return {
        "part": "interrupt",
        "machine": before,
        "engines": server.settings("STT", "TTS", "VAD", "WHISPER_MODEL", "KOKORO_VOICE"),
        "interruptions": true,
        "false_alarms": false,
        "answers": answers,
    }


def _told(wishes: Sequence[Disturbance], what: str, say: Any) -> Iterator[tuple[int, Disturbance]]:
    for number, each in enumerate(wishes):
        say(f"interrupt: {what} {number + 1}/{len(wishes)} {each.name}")
        yield number, each


async def _speaking(caller: Caller, after_ms: float) -> Turn | None:
    """Ask for the long answer, and return its turn once so much of it was played."""
    before = set(caller.turns)
    await caller.type(_WISH)

    def turn() -> Turn | None:
        return next((each for turn_id, each in caller.turns.items() if turn_id not in before and each.speaker), None)

    if not await caller.until(lambda: turn() is not None, _SPEAKS_SECONDS):
        return None
    found = turn()
    assert found is not None
    assert found.speaker is not None
    speaker = found.speaker
    await caller.until(
        lambda: found.ended_at is not None or speaker.played_ms(anyio.current_time()) >= after_ms, _SPEAKS_SECONDS
    )
    return found


async def _interrupt(server: BenchServer, wish: Disturbance, thread_id: str, number: int) -> dict[str, Any]:
    """Let the agent speak, and say something that is meant."""
    made: dict[str, Any] = {"name": wish.name, "source": wish.source, "outcome": "no answer to interrupt"}
    async with calling(server.ws, thread_id) as caller:
        await anyio.sleep(0.5)
        turn = await _speaking(caller, _FIRST_MS + 370 * (number % 7))
        if turn is None or turn.speaker is None or turn.ended_at is not None:
            return {**made, "complaints": caller.complaints}
        said = await caller.microphone.say(wish.pcm)
        is_stopped = await caller.until(lambda: turn.ended_at is not None, _VERDICT_SECONDS)
        new = [each for each in caller.turns.values() if each is not turn]
        await caller.until(lambda: bool(new) or len(caller.turns) > 1, 3.0)
        new = [each for each in caller.turns.values() if each is not turn]
        stops = turn.speaker.stops
        if not stops:
            outcome = "never stopped"
        elif is_stopped and turn.status == "interrupted" and new:
            outcome = "kept"
        elif is_stopped and turn.status == "interrupted":
            outcome = "stopped, no turn"
        else:
            outcome = "taken for a noise"
        made |= {"outcome": outcome, "understood": " ".join(each.understood for each in new), "status": turn.status}
        if stops:
            stop = stops[0]
            last_sound = turn.speaker.last_at if stop.resumed_at is None else None
            made |= {
                "onset_to_interrupted_ms": round((stop.at - said.starts_at) * 1000, 1),
                "decision_to_interrupted_ms": round(turn.decision_lags_ms[0], 1),
                "sound_after_interrupted_ms": round(max(0.0, (last_sound or stop.at) - stop.at) * 1000, 1),
                "played_beyond_heard_ms": round(stop.played_ms - stop.offset_ms, 1),
                "kept_share_of_answer": round(len(turn.kept) / max(1, len(turn.answer)), 3),
            }
        return made


async def _disturb(
    server: BenchServer, waiting: Sequence[Disturbance], thread_id: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Let the agent speak, and make one noise after the other until the answer is over."""
    tried: list[dict[str, Any]] = []
    async with calling(server.ws, thread_id) as caller:
        await anyio.sleep(0.5)
        turn = await _speaking(caller, _FIRST_MS)
        if turn is None or turn.speaker is None:
            return tried, {"outcome": "no answer", "complaints": caller.complaints, "heard": b""}
        for noise in waiting:
            sound_left = turn.speech_ended_at is None or turn.speaker.left_ms(anyio.current_time()) > _ROOM_MS
            if turn.ended_at is not None or not sound_left:
                break
            tried.append(await _make_noise(caller, turn, noise))
            if tried[-1]["outcome"] == _OVER and len(tried) > 1:
                tried.pop()  # the answer came to its end by itself: the noise is made in the next one
                break
            if tried[-1]["outcome"] not in _GOOD:
                break
            await anyio.sleep(1.0)
        await caller.until(lambda: turn.ended_at is not None, 90)
        end = anyio.current_time()
        speaker = turn.speaker
        return tried, {
            "outcome": turn.status or "no end",
            "is_whole": speaker.is_whole and turn.status == "completed",
            "said_all": turn.kept.strip() == LONG_ANSWER,
            "stops": len(speaker.stops),
            "gap_ms": round(speaker.gap_ms, 1),
            "overlap_ms": round(speaker.overlap_ms, 1),
            "changed_chunks": speaker.changed,
            "played_ms": round(speaker.played_ms(end)),
            "sound_ms": round(len(speaker.sound) * 500 / speaker.sample_rate),
            "sample_rate": speaker.sample_rate,
            "heard": speaker.heard(end),
        }


async def _make_noise(caller: Caller, turn: Turn, noise: Disturbance) -> dict[str, Any]:
    speaker = turn.speaker
    assert speaker is not None
    stops, turns = len(speaker.stops), len(caller.turns)
    said = await caller.microphone.say(noise.pcm)
    made: dict[str, Any] = {"name": noise.name, "source": noise.source}
    if not await caller.until(lambda: len(speaker.stops) > stops or turn.ended_at is not None, _NOTICE_SECONDS):
        return {**made, "outcome": "unnoticed"}
    if len(speaker.stops) == stops:
        return {**made, "outcome": f"ended: {turn.status}"}
    # Each later stop of the same noise must come to an end too.
    await caller.until(lambda: speaker.stops[-1].resumed_at is not None or turn.ended_at is not None, _VERDICT_SECONDS)
    stop = speaker.stops[stops]
    made |= {
        "stops": len(speaker.stops) - stops,
        "onset_to_interrupted_ms": round((stop.at - said.starts_at) * 1000, 1),
    }
    if len(caller.turns) > turns or turn.ended_at is not None:
        await caller.until(lambda: len(caller.turns) > turns, 3.0)
        others = [each.understood for each in list(caller.turns.values())[turns:]]
        return {**made, "outcome": "interrupted", "understood": " ".join(others)}
    if stop.resumed_at is None:
        return {**made, "outcome": "never resumed"}
    return {
        **made,
        "outcome": "resumed",
        "silence_ms": round((stop.resumed_at - stop.at) * 1000),
        "missing_ms": round(stop.missing_ms, 1),
        "repeated_ms": round(stop.repeated_ms, 1),
    }


def _transcribe(result: Result, weights: Path) -> None:
    """Transcribe what the ear heard of each completed answer, and count the words that are not the answer's."""
    faster_whisper = importlib.import_module("faster_whisper")
    voices = importlib.import_module("tests.voices")
    numpy, soxr = importlib.import_module("numpy"), importlib.import_module("soxr")
    model = faster_whisper.WhisperModel(str(weights / "whisper-base"), device="cpu", compute_type="int8")
    for answer in result["answers"]:
        if answer["outcome"] != "completed":
            continue
        samples = numpy.frombuffer(answer["heard"], dtype="<i2") / 32768
        narrow = soxr.resample(samples, answer["sample_rate"], 16_000).astype("float32")
        segments, _ = model.transcribe(
            narrow, language="es", chunk_length=12, no_speech_threshold=None, log_prob_threshold=None
        )
        heard = " ".join(segment.text for segment in segments)
        answer["heard_words"] = heard
        answer["word_errors"] = round(voices.word_errors(LONG_ANSWER, heard), 3)


def render(result: Result) -> str:
    """Return the tables."""
    true, false, answers = result["interruptions"], result["false_alarms"], result["answers"]
    stopped = [each for each in true if "onset_to_interrupted_ms" in each]
    times = (
        ("onset of speech (sample sent) → interrupted arrives", "onset_to_interrupted_ms"),
        ("decision of the server (its stamp) → interrupted arrives", "decision_to_interrupted_ms"),
        ("sound that still came after interrupted", "sound_after_interrupted_ms"),
        ("played beyond what the server takes as heard", "played_beyond_heard_ms"),
    )
    rows = [[name, *Spread.of([each[key] for each in stopped]).cells()] for name, key in times]
    kept = sum(each["outcome"] == "kept" for each in true)
    lines = [
        "Interrupt → silence, ms",
        table(("", *SPREAD_HEAD), rows),
        "",
        f"True interruptions kept     {share(kept, len(true))}",
        *_failures(true, ("kept",)),
    ]
    for what, kind in (
        ("recorded noises", "recorded"),
        ("synthesised coughs", "synthesised"),
        ("backchannels", "spoken"),
    ):
        some = [each for each in false if each["source"].startswith(kind)]
        if not some:
            continue
        good = sum(each["outcome"] in _GOOD for each in some)
        counts = Counter(each["outcome"] for each in some).most_common()
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in counts)
        lines += [f"False alarms, {what:<20}  the answer went on {share(good, len(some))}: {outcomes}"]
        lines += _failures(some, _GOOD)
    resumed = [each for each in false if each["outcome"] == "resumed"]
    rows = [
        [name, *Spread.of([each[key] for each in resumed]).cells()]
        for name, key in (
            ("silence of the agent", "silence_ms"),
            ("speech missing", "missing_ms"),
            ("speech repeated", "repeated_ms"),
        )
    ]
    disturbed = [each for each in answers if not each.get("is_calm")]
    whole = [each for each in disturbed if each.get("is_whole") and each.get("said_all")]
    ended = [each for each in disturbed if each["outcome"] == "completed"]
    lines += ["", "After a false alarm, ms", table(("", *SPREAD_HEAD), rows)]
    lines += [
        f"Answers with false alarms that were heard whole, nothing missing or twice: {share(len(whole), len(ended))}"
    ]
    errors = [each["word_errors"] for each in disturbed if "word_errors" in each]
    calm = [each["word_errors"] for each in answers if each.get("is_calm") and "word_errors" in each]
    if errors:
        shown = ", ".join(str(each) for each in errors)
        lines += [
            f"Transcribed back, word error rate of what the ear heard: {shown};"
            f" of an answer that nobody disturbed: {calm[0] if calm else '-'}"
        ]
    lines += [f"Not had: {each}" for each in result["noises_not_had"]]
    return "\n".join(lines)


def _failures(rows: Sequence[dict[str, Any]], good: Sequence[str]) -> list[str]:
    return [
        f"  {each['name']} ({each['source']}): {each['outcome']} «{each.get('understood', '')}»"
        for each in rows
        if each["outcome"] not in good
    ]
