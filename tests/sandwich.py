"""A page that hears and shows what the web client of LangChain's voice-sandwich demo would.

Written after reading that client: it parses every frame as JSON, passes over types that it does not know, begins a
turn with an ``stt_chunk`` where none is active, shows an answer with the first sound of it, ends a turn 300 ms after
the last sound, and plays all sound one after the other at 24 kHz. It never drops sound, and never sends a word.
"""

import base64
import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

MICROPHONE_RATE = 16_000
FRAME_BYTES = 3200
"""100 ms of ``pcm_s16le``."""
SPEAKER_RATE = 24_000
QUIET_SECONDS = 0.3
"""So long after the last sound the page takes the turn for over."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the page knows of a turn. Times are the server's, in milliseconds."""

    is_active: bool = False
    stt_start: int | None = None
    stt_end: int | None = None
    agent_start: int | None = None
    agent_end: int | None = None
    tts_start: int | None = None
    tts_end: int | None = None
    transcript: str = ""
    response: str = ""


@dataclass
class Page:
    """The page."""

    now: Callable[[], float]
    """Seconds."""
    frames: list[dict[str, Any]] = field(default_factory=list)
    feed: list[tuple[Literal["stt", "agent", "tool"], str]] = field(default_factory=list)
    """What is shown, line by line."""
    turn: Turn = field(default_factory=Turn)
    latencies: list[tuple[int, int, int]] = field(default_factory=list)
    """Milliseconds that hearing, thinking and speaking took, for each turn that had all three."""
    sound: bytearray = field(default_factory=bytearray)
    """All sound that was played or is going to be."""
    plays_until: float = 0.0
    gaps: int = 0
    """How often the loudspeaker had nothing left and then something came."""
    _over_at: float | None = None

    def take(self, message: str | bytes) -> None:
        """Take what the socket brings."""
        self.tick()
        frame = json.loads(message)
        self.frames.append(frame)
        match frame["type"]:
            case "stt_chunk":
                if not self.turn.is_active:
                    self.turn = Turn(is_active=True)
                start = frame["ts"] if self.turn.stt_start is None else self.turn.stt_start
                self.turn = replace(self.turn, stt_start=start, transcript=frame["transcript"])
            case "stt_output":
                self.turn = replace(self.turn, stt_end=frame["ts"], transcript=frame["transcript"])
                self.feed.append(("stt", frame["transcript"]))
            case "agent_chunk":
                start = frame["ts"] if self.turn.agent_start is None else self.turn.agent_start
                response = self.turn.response + frame["text"]
                self.turn = replace(self.turn, agent_start=start, agent_end=frame["ts"], response=response)
            case "tool_call":
                assert isinstance(frame["args"], dict)
                self.feed.append(("tool", frame["name"]))
            case "tool_result":
                assert isinstance(frame["result"], str)
                self.feed.append(("tool", frame["result"]))
            case "tts_chunk":
                if self.turn.tts_start is None and self.turn.response:
                    self.feed.append(("agent", self.turn.response))
                start = frame["ts"] if self.turn.tts_start is None else self.turn.tts_start
                self.turn = replace(self.turn, tts_start=start, tts_end=frame["ts"])
                self._play(frame["audio"])
                self._over_at = self.now() + QUIET_SECONDS

    def tick(self) -> None:
        """Do what is due by the clock."""
        if self._over_at is None or self.now() < self._over_at:
            return
        self._over_at = None
        turn = self.turn
        if not turn.is_active or turn.stt_end is None or turn.tts_end is None:
            return
        self.turn = replace(turn, is_active=False)
        spans = ((turn.stt_start, turn.stt_end), (turn.agent_start, turn.agent_end), (turn.tts_start, turn.tts_end))
        hearing, thinking, speaking = (None if start is None or end is None else end - start for start, end in spans)
        if hearing is not None and thinking is not None and speaking is not None:
            self.latencies.append((hearing, thinking, speaking))

    def shown(self, kind: Literal["stt", "agent", "tool"]) -> list[str]:
        """Return the lines of a kind."""
        return [text for each, text in self.feed if each == kind]

    def types(self) -> list[str]:
        """Return the types of all frames."""
        return [frame["type"] for frame in self.frames]

    @property
    def ahead(self) -> float:
        """Seconds of sound that it has and has not yet played."""
        return max(0.0, self.plays_until - self.now())

    def _play(self, audio: str) -> None:
        if not audio:  # the page's queue stops at an empty piece
            return
        samples = array("h", base64.b64decode(audio, validate=True))
        if self.sound and self.plays_until < self.now():
            self.gaps += 1
        self.plays_until = max(self.plays_until, self.now()) + len(samples) / SPEAKER_RATE
        self.sound += samples.tobytes()
