"""A simulated rider on the real WebSocket, and what came of it."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from app.evals.grading import Verdict, grade
from app.evals.scenario import Scenario
from app.evals.simulated_rider import SimulatedRider, Utterance


@dataclass(slots=True)
class Turn:
    """What the rider said, and everything that was answered."""

    said: Utterance
    answer: str = ""
    steps: list[Mapping[str, Any]] = field(default_factory=list)
    """Tool calls and results in their order, as they came."""
    status: str = ""
    milliseconds: float = 0
    bookings: list[str] = field(default_factory=list)
    """Ids of the taxis that were sent in this turn."""


@dataclass(slots=True)
class Outcome:
    """A conversation with its verdict."""

    scenario: Scenario
    repetition: int
    thread_id: str
    turns: list[Turn] = field(default_factory=list)
    stored: list[Mapping[str, Any]] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def turns_needed(self) -> int:
        """Turns to the last taxi, or all of them where none was sent."""
        sent = [number for number, turn in enumerate(self.turns, start=1) if turn.bookings]
        return sent[-1] if sent else len(self.turns)


class ConversationBroken(Exception):
    """The server ended or refused the conversation."""


async def converse(
    url: str, http: httpx.AsyncClient, scenario: Scenario, *, repetition: int, seed: int, turn_timeout: float
) -> Outcome:
    """Hold the conversation of a scenario and grade what is stored of it.

    Args:
        url: The server's WebSocket.
        http: A client of the same server's HTTP routes.
        scenario: Who calls and what must come of it.
        repetition: Which time this scenario is played.
        seed: Chooses the riders' words.
        turn_timeout: Seconds that an answer may take.
    """
    outcome = Outcome(scenario, repetition, thread_id=f"eval-{uuid.uuid4()}")
    error: str | None = None
    try:
        async with connect(url, max_size=None) as socket:
            await _talk(socket, outcome, f"{seed}:{scenario.id}:{repetition}", turn_timeout)
    except (OSError, TimeoutError, WebSocketException, ConversationBroken) as problem:
        error = f"{type(problem).__name__}: {problem}"
    consented = [each for turn in outcome.turns if turn.said.consents for each in turn.bookings]
    try:
        answer = await http.get("/api/v1/bookings", params={"thread_id": outcome.thread_id})
        answer.raise_for_status()
        outcome.stored = answer.json()["bookings"]
        outcome.verdict = grade(scenario, outcome.stored, consented)
    except (httpx.HTTPError, ValueError) as problem:
        error = error or f"{type(problem).__name__}: {problem}"
    outcome.verdict.error = error
    return outcome


async def _talk(socket: ClientConnection, outcome: Outcome, seed: str, turn_timeout: float) -> None:
    scenario = outcome.scenario
    heard = ""
    riders = [scenario.rider] if scenario.next_rider is None else [scenario.rider, scenario.next_rider]
    for number, who in enumerate(riders):
        wanted = scenario.expect[number] if number < len(scenario.expect) else None
        rider = SimulatedRider(who, wanted, f"{seed}:{number}")
        while (said := rider.next(heard)) is not None:
            turn = Turn(said)
            outcome.turns.append(turn)
            with anyio.fail_after(turn_timeout):
                await _take_turn(socket, outcome.thread_id, turn)
            heard = turn.answer
            if turn.bookings:
                rider.booked()
            if said.leaves:
                return
        if not rider.is_booked:
            return


async def _take_turn(socket: ClientConnection, thread_id: str, turn: Turn) -> None:
    started = time.perf_counter()
    await socket.send(json.dumps({"type": "user_input", "text": turn.said.text, "thread_id": thread_id}))
    while True:
        event: dict[str, Any] = json.loads(await socket.recv())
        match event["type"]:
            case "agent_chunk":
                turn.answer += event["text"]
            case "tool_call":
                turn.steps.append({"call": event["name"], "args": event["args"]})
            case "tool_result":
                turn.steps.append({"result": event["name"], "value": event["result"]})
                _note_dispatch(event, turn)
            case "system_message" if event.get("level") == "error":
                raise ConversationBroken(str(event.get("message")))
            case "turn_end":
                turn.milliseconds = (time.perf_counter() - started) * 1000
                turn.status = event["status"]
                return


def _note_dispatch(event: Mapping[str, Any], turn: Turn) -> None:
    result = event["result"]
    if event["name"] == "DispatchToBackend" and isinstance(result, dict) and result.get("booking_id"):
        turn.bookings.append(str(result["booking_id"]))
