"""From the end of speech to the first sound of the answer, beside pipecat's agent in the same run, by turns."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio

from app.bench.caller import Caller, PeerCaller, Turn, calling, calling_peer
from app.bench.figures import SPREAD_HEAD, Spread, table
from app.bench.riders import sentences, spoken
from app.bench.servers import ROOT, BenchServer, local_engines, machine, running_module, running_server

_CALL_UTTERANCES = 10
"""After so many both hang up and call anew: a conversation of a usual length."""
_ANSWER_SECONDS = 20.0
_QUIET_SECONDS = 0.8
"""So long without a chunk, and pipecat's answer is over: it does not say."""
_PEER_RATE = 24_000

Result = dict[str, Any]


def measure(weights: Path, *, utterances: int, seed: int, with_peer: bool, say: Any) -> Result:
    """Measure both.

    Args:
        weights: The folder of ``scripts/weights``.
        utterances: How many each is asked.
        seed: Chooses the order of the sentences.
        with_peer: Whether pipecat is measured beside us.
        say: Is told how far it is.
    """
    asked = sentences(utterances, seed)
    for text, voice in asked:
        spoken(text, voice)
    engines = local_engines(weights)
    say("latency: starting servers")
    with (
        running_module(["-m", "app.bench.steady_model"]) as model,
        running_server(
            engines, LLM="openai", LLM_MODEL="steady", OPENAI_BASE_URL=f"{model}/v1", OPENAI_API_KEY="none"
        ) as server,
    ):
        if not with_peer:
            return anyio.run(_measure, server, None, asked, say)
        with running_module([str(ROOT / "benchmarks" / "pipecat_bot.py")], **_peer_env(engines, model)) as peer:
            return anyio.run(_measure, server, f"{peer.replace('http', 'ws', 1)}/ws", asked, say)


def _peer_env(engines: Mapping[str, str], model: str) -> dict[str, str]:
    return {
        "WHISPER_MODEL": engines["WHISPER_MODEL"],
        "KOKORO_FOLDER": engines["KOKORO_FOLDER"],
        "KOKORO_VOICE": engines["KOKORO_VOICE"],
        "OPENAI_BASE_URL": f"{model}/v1",
        "SYSTEM_PROMPT": "Eres la recepcionista de una empresa de taxis en Barranquilla. " * 20,
        "HF_HUB_OFFLINE": "1",
    }


async def _measure(server: BenchServer, peer_url: str | None, asked: Sequence[tuple[str, str]], say: Any) -> Result:
    await anyio.to_thread.run_sync(server.wait_until_idle)
    before = machine()
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    for start in range(0, len(asked), _CALL_UTTERANCES):
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(calling(server.ws, f"latency-{start}"))
            peer = None if peer_url is None else await stack.enter_async_context(calling_peer(peer_url, _PEER_RATE))
            caller.microphone.is_muted = True
            if peer is not None:
                peer.microphone.is_muted = True
            await anyio.sleep(1.5)  # both have opened their engines
            for number, (text, voice) in enumerate(asked[start : start + _CALL_UTTERANCES], start):
                pcm = spoken(text, voice)  # type: ignore[arg-type]
                # By turns who is first, so that neither always has the cooler machine.
                both = [_ask(caller, pcm), _ask_peer(peer, pcm)] if peer is not None else [_ask(caller, pcm)]
                order = both if number % 2 == 0 else list(reversed(both))
                found = {}
                for each in order:
                    made = await each
                    found[made.pop("who")] = made
                ours.append({"text": text, "voice": voice, **found["ours"]})
                if "pipecat" in found:
                    theirs.append({"text": text, "voice": voice, **found["pipecat"]})
                say(f"latency: {number + 1}/{len(asked)} ours {_shown(ours)}  pipecat {_shown(theirs)}")
    return {
        "part": "latency",
        "machine": before,
        "configuration": {
            "ours": server.settings(*_SHOWN),
            "pipecat": _PEER_CONFIGURATION if peer_url else None,
            "model": "one OpenAI-compatible server for both: first token after 150 ms, then one each 15 ms",
            "order": "by turns, each first every other time; whoever is not asked sends no sound",
        },
        "ours": ours,
        "pipecat": theirs,
    }


_SHOWN = ("STT", "TTS", "VAD", "WHISPER_MODEL", "KOKORO_VOICE", "SMART_TURN_MODEL", "LLM", "OMP_NUM_THREADS")
_PEER_CONFIGURATION = {
    "pipeline": "transport.input, WhisperSTTService, user aggregator, OpenAILLMService, TTS, transport.output",
    "whisper": "WhisperSTTService: the same weights, int8, beam 5, es, our initial_prompt, no_speech_prob off",
    "vad": "SileroVADAnalyzer() with its defaults (confidence 0.7, start 0.2 s, stop 0.2 s, volume 0.6)",
    "turns": "the default strategies: Smart Turn v3 (LocalSmartTurnAnalyzerV3), one thread",
    "text": "TTSService's default aggregation of sentences",
    "voice": "the same Kokoro code and voice as ours in a worker thread, clause by clause; pipecat's own"
    " KokoroTTSService needs kokoro-onnx, which makes whole sentences",
    "transport": "FastAPIWebsocketTransport, raw serializer",
    "from": "what `pipecat init` writes for a cascade",
}


async def _ask(caller: Caller, pcm: bytes) -> dict[str, Any]:
    """Say something to our server, and hear the answer to its end."""
    before = set(caller.turns)
    caller.microphone.is_muted = False
    await anyio.sleep(0.3)
    said = await caller.microphone.say(pcm)

    def new() -> list[Turn]:
        return [turn for turn_id, turn in caller.turns.items() if turn_id not in before]

    def answered() -> bool:
        return any(turn.ended_at is not None and turn.status == "completed" for turn in new())

    is_answered = await caller.until(answered, _ANSWER_SECONDS)
    await caller.until(lambda: not caller.open_turns, _ANSWER_SECONDS)
    caller.microphone.is_muted = True
    turns = new()
    answer = next((turn for turn in reversed(turns) if turn.first_sound_at is not None), None)
    heard = " ".join(turn.understood for turn in turns)
    made: dict[str, Any] = {"who": "ours", "understood": heard, "complaints": list(caller.complaints)}
    if not is_answered or answer is None or answer.speaker is None or answer.speaker.first_audible_at is None:
        return {**made, "outcome": "no answer"}
    latency = (answer.speaker.first_audible_at - said.ends_at) * 1000
    return {
        **made,
        # An answer to the first half of a sentence is none.
        "outcome": "cut off" if latency < 0 or len(turns) > 1 else "answered",
        "latency_ms": round(latency, 1),
        "transcript_ms": _since(said.ends_at, answer.understood_at),
        "first_word_ms": _since(said.ends_at, answer.first_word_at),
        "first_chunk_ms": _since(said.ends_at, answer.first_sound_at),
        "late_chunks": answer.speaker.late,
        "chunks": answer.speaker.chunks,
        "microphone_behind_ms": round(caller.microphone.behind_s * 1000, 1),
    }


async def _ask_peer(caller: PeerCaller, pcm: bytes) -> dict[str, Any]:
    """Say something to pipecat's agent, and hear the answer to its end."""
    caller.forget()
    caller.microphone.is_muted = False
    await anyio.sleep(0.3)
    said = await caller.microphone.say(pcm)
    is_answered = await caller.until(lambda: caller.speaker.first_audible_at is not None, _ANSWER_SECONDS)
    speaker = caller.speaker

    def over() -> bool:
        now = time.monotonic()
        return speaker.last_at is not None and now - speaker.last_at > _QUIET_SECONDS and speaker.left_ms(now) <= 0

    if is_answered:
        await caller.until(over, 2 * _ANSWER_SECONDS)
    caller.microphone.is_muted = True
    made: dict[str, Any] = {"who": "pipecat", "understood": caller.understood}
    if not is_answered or speaker.first_audible_at is None:
        return {**made, "outcome": "no answer"}
    latency = (speaker.first_audible_at - said.ends_at) * 1000
    return {
        **made,
        "outcome": "cut off" if latency < 0 else "answered",
        "latency_ms": round(latency, 1),
        "late_chunks": speaker.late,
        "chunks": speaker.chunks,
    }


def _since(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 1)


def _shown(rows: Sequence[Mapping[str, Any]]) -> str:
    return "-" if not rows else f"{rows[-1].get('latency_ms', '-')} ms {rows[-1]['outcome']}"


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows if row["outcome"] == "answered" and row.get(name) is not None]


def render(result: Result) -> str:
    """Return the table."""
    ours, theirs = result["ours"], result["pipecat"]
    rows = [["Voztaxi", *Spread.of(_values(ours, "latency_ms")).cells(), *_outcomes(ours)]]
    for name, shown in (
        ("transcript_ms", "transcript"),
        ("first_word_ms", "first word"),
        ("first_chunk_ms", "first chunk"),
    ):
        rows.append([f"  … {shown}", *Spread.of(_values(ours, name)).cells(), "", ""])
    if theirs:
        rows.append(["pipecat", *Spread.of(_values(theirs, "latency_ms")).cells(), *_outcomes(theirs)])
        pairs = [
            other["latency_ms"] - one["latency_ms"]
            for one, other in zip(ours, theirs, strict=True)
            if one["outcome"] == other["outcome"] == "answered"
        ]
        rows.append(["  … pipecat - Voztaxi, per utterance", *Spread.of(pairs).cells(), "", ""])
        if pairs:
            ahead = sum(each > 0 for each in pairs)
            rows.append(["  … utterances with Voztaxi ahead", f"{ahead}/{len(pairs)}", *[""] * 7])
    title = "End of speech to first sound of the answer, ms (last loud sample sent → first audible chunk arrived)"
    return f"{title}\n{table(('', *SPREAD_HEAD, 'cut off', 'no answer'), rows)}"


def _outcomes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(sum(row["outcome"] == kind for row in rows)) for kind in ("cut off", "no answer")]
