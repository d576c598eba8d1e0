"""Deepgram's streaming recogniser, ``/v1/listen``.

https://developers.deepgram.com/docs/finalize
"""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field, SecretStr, ValidationError

from app.engines.stt.base import SpeechHints
from app.engines.stt.streaming import Ended, Flushed, Heard, Segment, StreamingStt, fitting
from app.engines.vendor import VendorError, read_code
from app.engines.vendor_socket import Vendor
from app.models.audio import HEARING_RATE, bytes_of


class _Alternative(BaseModel):
    transcript: str


class _Channel(BaseModel):
    alternatives: list[_Alternative] = Field(min_length=1)


class _Results(BaseModel):
    start: float = Field(ge=0, allow_inf_nan=False)
    """Seconds."""
    duration: float = Field(ge=0, allow_inf_nan=False)
    is_final: bool
    from_finalize: bool = False
    channel: _Channel


class DeepgramWire:
    """See ``Wire``.

    Args:
        api_key: The key.
        address: Where the service is.
        model: Who listens.
    """

    smallest = bytes_of(20, HEARING_RATE)
    largest = bytes_of(250, HEARING_RATE)
    ahead_seconds: float | None = None
    flush = json.dumps({"type": "Finalize"})
    flushes_at_pauses = True
    goodbye = json.dumps({"type": "CloseStream"})
    keep_alive: str | None = json.dumps({"type": "KeepAlive"})
    keep_alive_seconds = 4.0  # without it ten seconds of quiet close the socket

    def __init__(self, api_key: SecretStr, address: str, model: str) -> None:
        self.vendor = Vendor("deepgram", {"Authorization": SecretStr(f"Token {api_key.get_secret_value()}")})
        self._address = address
        self._model = model

    def url(self, hints: SpeechHints) -> str:
        """See ``Wire``."""
        query: list[tuple[str, str | int]] = [
            ("model", self._model),
            ("language", hints.language),
            ("encoding", "linear16"),
            ("sample_rate", HEARING_RATE),
            ("channels", 1),
            ("interim_results", "true"),
            ("punctuate", "true"),
            ("endpointing", "false"),  # where an utterance ends is for us to say
        ]
        # Five hundred tokens are taken, and of more the stream dies without a word: two characters count as one.
        terms = fitting(hints.terms, most=100, longest=50, budget=900) if self._model.startswith("nova-3") else []
        query += [("keyterm", term) for term in terms]
        return f"{self._address}?{urlencode(query)}"

    def read(self, message: dict[str, Any]) -> Iterable[Heard]:
        """See ``Wire``."""
        match message.get("type"):
            case "Results":
                return _read_results(message)
            case "Metadata":
                return [Ended()]
            case "Error":
                raise VendorError(f"answered {read_code(message.get('variant') or message.get('code'))}")
            case _:
                return []


def _read_results(message: dict[str, Any]) -> list[Heard]:
    try:
        results = _Results.model_validate(message)
    except ValidationError:
        raise VendorError("a result cannot be read") from None
    end = results.start + results.duration
    text = results.channel.alternatives[0].transcript
    heard: list[Heard] = [Segment(round(results.start * 1000), text, results.is_final, end)]
    return [*heard, Flushed()] if results.from_finalize else heard


def deepgram_stt(api_key: SecretStr, address: str, *, model: str, timeout: float) -> StreamingStt:
    """Return the engine.

    Args:
        api_key: The key.
        address: ``wss://…/v1/listen``.
        model: Deepgram's name of it.
        timeout: Longest that a final transcript may take, in seconds.
    """
    return StreamingStt(DeepgramWire(api_key, address, model), timeout=timeout)
