"""AssemblyAI's Universal-Streaming, version 3 of its protocol.

Turns end where we say so: its own silence detection is put out of the way. Transcripts come unformatted, as the vendor
advises for agents: formatting waits for a second pass, and addresses are read from words anyway.
https://www.assemblyai.com/docs/streaming/message-sequence
"""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, SecretStr, ValidationError

from app.engines.stt.base import SpeechHints
from app.engines.stt.streaming import Ended, Flushed, Heard, Segment, StreamingStt, fitting
from app.engines.vendor import VendorError
from app.engines.vendor_socket import Vendor
from app.models.audio import HEARING_RATE, bytes_of

_MODEL = "universal-streaming-multilingual"
_LONGEST_SILENCE_MS = 10_000
"""Of a turn, before it is ended for us; an utterance of ours is over long before."""
_BUSY = frozenset({3009})
_FAULTY = frozenset({1008, 3006, 3007})
"""Who we are, what we say, and how fast: none is mended by saying it again."""


class _Word(BaseModel):
    text: str
    end: float
    """Milliseconds."""


class _Turn(BaseModel):
    turn_order: int
    end_of_turn: bool
    transcript: str
    words: list[_Word] = []


def _read_close(code: int, reason: str) -> VendorError:
    # Too many sessions were 1008 once, as a wrong key is; only the words tell them apart.
    if code in _BUSY or "concurrent" in reason.lower():
        return VendorError(f"closed with {code}: too many sessions")
    return VendorError(f"closed with {code}", retryable=code not in _FAULTY)


class AssemblyAiWire:
    """See ``Wire``.

    Args:
        api_key: The key.
        address: Where the service is.
    """

    smallest = bytes_of(50, HEARING_RATE)
    largest = bytes_of(100, HEARING_RATE)  # a second is allowed, and would all count as sent ahead
    ahead_seconds: float | None = 1.0  # sound faster than real time is refused, however it is measured
    flush = json.dumps({"type": "ForceEndpoint"})
    flushes_at_pauses = False  # a turn is understood as a whole
    goodbye = json.dumps({"type": "Terminate"})
    keep_alive: str | None = None  # without ``inactivity_timeout`` silence is no reason to close
    keep_alive_seconds = 0.0

    def __init__(self, api_key: SecretStr, address: str) -> None:
        self.vendor = Vendor("assemblyai", {"Authorization": api_key}, _read_close)
        self._address = address

    def url(self, hints: SpeechHints) -> str:
        """See ``Wire``."""
        query = {
            "speech_model": _MODEL,
            "sample_rate": HEARING_RATE,
            "encoding": "pcm_s16le",
            "format_turns": "false",
            "end_of_turn_confidence_threshold": "1.0",
            "max_turn_silence": _LONGEST_SILENCE_MS,
        }
        # A hundred terms of fifty characters are what is documented; the request line has its own limit.
        terms = fitting(hints.terms, most=100, longest=50, budget=1500)
        if terms:
            query["keyterms_prompt"] = json.dumps(terms, ensure_ascii=False)
        return f"{self._address}?{urlencode(query)}"

    def read(self, message: dict[str, Any]) -> Iterable[Heard]:
        """See ``Wire``."""
        match message.get("type"):
            case "Turn":
                return _read_turn(message)
            case "Termination":
                return [Ended()]
            case "Error":
                code = message.get("error_code")
                raise _read_close(code if isinstance(code, int) else 0, str(message.get("error")))
            case _:
                return []


def _read_turn(message: dict[str, Any]) -> list[Heard]:
    try:
        turn = _Turn.model_validate(message)
    except ValidationError:
        raise VendorError("a turn cannot be read") from None
    # ``transcript`` holds only words that will not change, until the turn is over.
    text = turn.transcript if turn.end_of_turn else " ".join(word.text for word in turn.words)
    end = turn.words[-1].end / 1000 if turn.words else None
    heard: list[Heard] = [Segment(turn.turn_order, text, turn.end_of_turn, end)]
    return [*heard, Flushed()] if turn.end_of_turn else heard


def assemblyai_stt(api_key: SecretStr, address: str, *, timeout: float) -> StreamingStt:
    """Return the engine.

    Args:
        api_key: The key.
        address: ``wss://…/v3/ws``.
        timeout: Longest that a final transcript may take, in seconds.
    """
    return StreamingStt(AssemblyAiWire(api_key, address), timeout=timeout)
