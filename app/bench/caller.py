"""A caller on the wire: an open microphone, a loudspeaker with a jitter buffer, and a stopwatch."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.bench.microphone import Microphone
from app.bench.speaker import Speaker

_ACKNOWLEDGE_SECONDS = 0.2
_MOMENT_SECONDS = 0.02


@dataclass(slots=True)
class Turn:
    """A turn, as a caller sees it. Times are seconds, monotonic; None for what did not come."""

    turn_id: str
    understood: str = ""
    understood_at: float | None = None
    answer: str = ""
    first_word_at: float | None = None
    speaker: Speaker | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    """Tool calls and results in their order."""
    bookings: list[str] = field(default_factory=list)
    decision_lags_ms: list[float] = field(default_factory=list)
    """For each ``interrupted``, how long after the server's stamp on it it arrived; the clocks are of one machine."""
    errors: list[str] = field(default_factory=list)
    speech_ended_at: float | None = None
    ended_at: float | None = None
    status: str = ""
    kept: str = ""
    """What the turn's end says was heard."""

    @property
    def first_sound_at(self) -> float | None:
        """When its first sound came."""
        return None if self.speaker is None else self.speaker.first_at


async def _heard(bell: anyio.Event) -> None:
    """Wait until something comes, or a moment passes: what is played changes by itself."""
    with anyio.move_on_after(_MOMENT_SECONDS):
        await bell.wait()


class Caller:
    """One caller on one line.

    Args:
        socket: The line.
        thread_id: The conversation.
        pace: How many times as fast as real time the microphone is.
    """

    def __init__(self, socket: ClientConnection, thread_id: str, pace: float = 1.0) -> None:
        self._socket = socket
        self.thread_id = thread_id
        self.microphone = Microphone(socket.send, pace)
        self.turns: dict[str, Turn] = {}
        self.partials: dict[str, str] = {}
        """Newest partial transcript of what may become a turn."""
        self.complaints: list[str] = []
        """Errors that the server told of, by their codes."""
        self.is_closed = False
        self._bell = anyio.Event()

    async def until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; return False where it did not become so in time, or the line is gone."""
        with anyio.move_on_after(seconds):
            while not is_so():
                if self.is_closed:
                    return False
                await _heard(self._bell)
            return True
        return is_so()

    @property
    def open_turns(self) -> list[Turn]:
        """Turns that have begun and not ended."""
        return [turn for turn in self.turns.values() if turn.ended_at is None]

    @property
    def audible(self) -> Turn | None:
        """The turn whose sound is being played."""
        now = time.monotonic()
        for turn in reversed(self.turns.values()):
            if turn.ended_at is None and turn.speaker is not None and turn.speaker.left_ms(now) > 0:
                return turn
        return None

    async def type(self, text: str) -> None:
        """Say something in writing."""
        await self._send(type="user_input", text=text, thread_id=self.thread_id, speak=True)

    async def _send(self, **frame: Any) -> None:
        await self._socket.send(json.dumps(frame))

    async def read(self) -> None:
        """Take what comes, until the line is gone."""
        try:
            async for message in self._socket:
                self._take(json.loads(message), time.monotonic())
                bell, self._bell = self._bell, anyio.Event()
                bell.set()
        except ConnectionClosed as error:
            self.complaints.append(f"closed {error.rcvd.code if error.rcvd else ''}")
        finally:
            self.is_closed = True
            self._bell.set()

    async def acknowledge(self) -> None:
        """Say every 200 ms how much was played."""
        while True:
            await anyio.sleep(_ACKNOWLEDGE_SECONDS)
            now = time.monotonic()
            for turn in self.open_turns:
                if turn.speaker is not None:
                    await self._send(
                        type="playback", turn_id=turn.turn_id, played_ms=round(turn.speaker.played_ms(now))
                    )

    def _take(self, frame: dict[str, Any], now: float) -> None:
        kind, turn_id = frame["type"], frame.get("turn_id")
        if kind == "system_message" and frame.get("level") == "error":
            self.complaints.append(str(frame.get("code")))
        if kind == "stt_chunk":
            self.partials[str(turn_id)] = frame["text"]
        if turn_id is None or kind in ("stt_chunk", "system_message"):
            return
        turn = self.turns.setdefault(turn_id, Turn(turn_id))
        match kind:
            case "stt_output":
                turn.understood, turn.understood_at = frame["text"], now
            case "agent_chunk":
                turn.answer += frame["text"]
                turn.first_word_at = turn.first_word_at or now
            case "tool_call":
                turn.steps.append({"call": frame["name"], "args": frame["args"]})
            case "tool_result":
                turn.steps.append({"result": frame["name"], "value": frame["result"]})
                result = frame["result"]
                if frame["name"] == "DispatchToBackend" and isinstance(result, dict) and result.get("booking_id"):
                    turn.bookings.append(str(result["booking_id"]))
            case "tts_chunk":
                turn.speaker = turn.speaker or Speaker(frame["sample_rate"])
                turn.speaker.take(now, frame["offset_ms"], base64.b64decode(frame["audio"]))
            case "interrupted":
                turn.decision_lags_ms.append(time.time() * 1000 - frame["ts"])
                if turn.speaker is not None:
                    turn.speaker.interrupt(now, frame["offset_ms"])
            case "tts_end":
                turn.speech_ended_at = now
            case "agent_error":
                turn.errors.append(str(frame.get("code")))
            case "turn_end":
                turn.ended_at, turn.status, turn.kept = now, frame["status"], frame["text"]


@asynccontextmanager
async def calling(
    url: str, thread_id: str, *, pace: float = 1.0, speak: bool = True, language: str = "es"
) -> AsyncIterator[Caller]:
    """Call a server: the microphone is open inside the block.

    Args:
        url: The server's WebSocket.
        thread_id: The conversation.
        pace: How many times as fast as real time the microphone is.
        speak: Whether answers are wanted aloud.
        language: What is spoken.
    """
    async with connect(url, max_size=None, max_queue=None, compression=None) as socket:
        caller = Caller(socket, thread_id, pace)
        start = {"type": "audio_start", "thread_id": thread_id, "speak": speak, "language": language}
        await socket.send(json.dumps(start))
        async with anyio.create_task_group() as group:
            group.start_soon(_while_open, caller.microphone.run)
            group.start_soon(caller.read)
            group.start_soon(_while_open, caller.acknowledge)
            yield caller
            group.cancel_scope.cancel()


async def _while_open(task: Callable[[], Any]) -> None:
    """Run until the line is gone, which whoever reads notes."""
    try:
        await task()
    except ConnectionClosed:
        return


class PeerCaller:
    """A caller on a line to pipecat's agent: raw sound both ways.

    Args:
        socket: The line.
        sample_rate: Of what comes.
    """

    def __init__(self, socket: ClientConnection, sample_rate: int) -> None:
        self._socket = socket
        self._rate = sample_rate
        self.microphone = Microphone(socket.send)
        self.speaker = Speaker(sample_rate)
        self.understood = ""
        self._came = 0
        self._bell = anyio.Event()

    def forget(self) -> None:
        """Begin anew, before something is said."""
        self.speaker, self.understood, self._came = Speaker(self._rate), "", 0

    async def until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; return False where it did not become so in time."""
        with anyio.move_on_after(seconds):
            while not is_so():
                await _heard(self._bell)
            return True
        return is_so()

    async def read(self) -> None:
        """Take what comes."""
        async for message in self._socket:
            now = time.monotonic()
            if isinstance(message, str):
                if message.startswith("heard "):
                    self.understood += message.removeprefix("heard ")
            else:
                self.speaker.take(now, self._came * 500 / self._rate, message)
                self._came += len(message)
            bell, self._bell = self._bell, anyio.Event()
            bell.set()


@asynccontextmanager
async def calling_peer(url: str, sample_rate: int) -> AsyncIterator[PeerCaller]:
    """Call pipecat's agent: the microphone is open inside the block."""
    async with connect(url, max_size=None, max_queue=None, compression=None) as socket:
        caller = PeerCaller(socket, sample_rate)
        async with anyio.create_task_group() as group:
            group.start_soon(_while_open, caller.microphone.run)
            group.start_soon(_while_open, caller.read)
            yield caller
            group.cancel_scope.cancel()
