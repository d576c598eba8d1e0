"""A rider who wants one taxi and follows the client's rules of the protocol, whatever happens to the connection."""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import TaskGroup

from app.chaos.faults import PlannedFault, RiderPlan
from app.chaos.links import EventStreamLink, HttpClients, Link, LinkLost, Place, WebSocketLink
from app.chaos.observation import Finding, Observation, Recovery, RiderLog
from app.evals.simulated_rider import SimulatedRider

_OPEN_SECONDS = 6.0
"""How long a connection may take to begin its replay before another server is asked."""
_QUIET_SECONDS = 3.0
"""After this long without a frame a rider makes sure that somebody is there."""
_RESEND_SECONDS = 6.0
"""After this long without a sign of the turn an input is sent again, under its own name."""
_BACKOFF_SECONDS = (0.05, 1.0)
_DOUBT_SECONDS = 10.0
"""How long a rider waits for a turn that may have ended where the log no longer tells."""
_TRIES_TO_RESUME = 5
_ALREADY_ORDERED = "ya está pedido"
"""What the clerk says where a yes is repeated, because nobody had told that it was heard."""
_THINKING_SECONDS = (1.0, 3.0)
_TURN_SECONDS = 90.0
"""Within this time an accepted turn must have had its end."""


@dataclass(slots=True)
class _Input:
    """Something that was said, until it is known what became of it."""

    text: str
    message_id: str
    turn_id: str | None = None
    sent_at: float = 0.0


class Rider:
    """One rider, from the first connection to the last look.

    Args:
        number: Which rider.
        thread_id: The rider's conversation.
        plan: The rider's faults.
        mind: Chooses what is said.
        ports: The servers.
        http: What Server-Sent Events and posts go by.
        seed: Chooses servers and waits.
    """

    def __init__(
        self,
        *,
        number: int,
        thread_id: str,
        plan: RiderPlan,
        mind: SimulatedRider,
        ports: Sequence[int],
        http: HttpClients,
        seed: str,
    ) -> None:
        self.log = RiderLog(number, thread_id, Observation(thread_id))
        self._plan = plan
        self._mind = mind
        self._ports = ports
        self._http = http
        self._chance = random.Random(seed)  # noqa: S311 - variety, not a secret
        self._link: Link | None = None
        self._port = 0
        self._tasks: TaskGroup
        self._inputs: list[_Input] = []
        self._frames_of_turn = 0
        self._end: dict[str, Any] | None = None
        self._said_dispatched = False
        self._messages = 0
        self._code = ""
        """Of a refusal that nothing was done about yet."""
        self._code_of_failure = ""
        self._in_doubt = False

    async def run(
        self, talking: anyio.CapacityLimiter, done: Callable[[], None], over: anyio.Event, deadline: float
    ) -> None:
        """Connect, talk when there is room, stay until it is over, and look once more at everything.

        Args:
            talking: How many talk at a time.
            done: Called when the conversation is over, however it went.
            over: Set when nothing breaks any more and nothing is being said.
            deadline: ``anyio.current_time`` by which the taxi must have been ordered.
        """
        async with anyio.create_task_group() as self._tasks:
            try:
                with anyio.fail_at(deadline):
                    await self._connect()
                    await self._idle_while(talking.acquire_on_behalf_of(self))
                    try:
                        await self._talk()
                    finally:
                        talking.release_on_behalf_of(self)
            except TimeoutError:
                self.log.gave_up = f"no taxi in time; the last turns: {self._last_turns()}"
            done()
            await self._idle_while(over.wait())
            await self._leave(abort=False)
            self._tasks.cancel_scope.cancel()

    async def catch_up(self) -> None:
        """Connect once more and read all that there is."""
        async with anyio.create_task_group() as self._tasks:
            await self._connect()
            while True:
                with anyio.move_on_after(1.0) as quiet:
                    try:
                        self._take(await self._link_or_raise().receive())
                    except LinkLost:
                        await self._connect()
                if quiet.cancelled_caught:
                    break
            await self._leave(abort=False)
            self._tasks.cancel_scope.cancel()

    # The conversation.

    async def _talk(self) -> None:
        heard, line, at_yes = "", 0, self._plan.at_yes
        said = self._mind.next(heard)
        while said is not None and not self.log.is_booked:
            fault = self._plan.lines.get(line)
            if said.consents and at_yes is not None:
                fault, at_yes = at_yes, None
            await self._idle_while(anyio.sleep(self._chance.uniform(*_THINKING_SECONDS)))
            end = await self._say(said.text, fault)
            line += 1
            if end.get("booking_id") or self._said_dispatched:
                self.log.is_booked = True
                self._mind.booked()
            elif end["status"] == "completed":
                heard = end["text"]
                self.log.is_booked = _ALREADY_ORDERED in heard
                said = self._mind.next(heard)
            # An answer that was cut off: the rider says it again.
        # The taxi came before everything had gone wrong that was to: the rest does now.
        while len(self.log.faults) < self._plan.count:
            self._note("drop_between")
            await self._leave(abort=True)
            await self._connect()

    async def _say(self, text: str, fault: PlannedFault | None) -> dict[str, Any]:
        """Say something and return the end of its turn, whatever it takes."""
        self._frames_of_turn = 0
        self._end = None
        self._in_doubt = False
        self._inputs = [self._new_input(text)]
        hold = fault
        await self._send_input()
        if hold is not None and hold.kind in ("send_twice", "drop_at_send"):
            self._note(hold.kind)
            if hold.kind == "send_twice":
                await self._send_input()
            else:
                await self._leave(abort=True)
                await self._connect()
                await self._send_input()
            hold = None
        started = anyio.current_time()
        quiet_since = started
        has_asked = False
        while self._end is None:
            if hold is not None and hold.kind != "drop_between" and self._frames_of_turn >= hold.after_frames:
                fault_now, hold = hold, None
                await self._suffer(fault_now)
                quiet_since = anyio.current_time()
                continue
            with anyio.move_on_after(_QUIET_SECONDS) as quiet:
                try:
                    frame = self._take(await self._link_or_raise().receive())
                    has_asked = False
                    if frame["type"] != "pong":
                        quiet_since = anyio.current_time()
                except LinkLost:
                    await self._connect()
                    has_asked = False
            if quiet.cancelled_caught:
                if has_asked or self._plan.transport == "sse":
                    await self._leave(abort=True)
                    await self._connect()
                    has_asked = False
                else:
                    has_asked = await self._try_send("ping")
            if self._end is None:
                await self._recover_input()
            now = anyio.current_time()
            if self._in_doubt and now - quiet_since > _DOUBT_SECONDS:
                return {"status": "failed", "text": ""}
            if self._inputs[-1].turn_id is not None and now - started > _TURN_SECONDS:
                self._find("turns_without_one_end", f"no end of «{text}» in {_TURN_SECONDS:g} s")
                return {"status": "failed", "text": ""}
        if hold is not None:
            # The turn was over before it could be hit.
            self._note("drop_between")
            await self._leave(abort=True)
            await self._connect()
        return self._end

    async def _suffer(self, fault: PlannedFault) -> None:
        """Let a fault happen in the middle of a turn."""
        self._note(fault.kind)
        match fault.kind:
            case "drop":
                await self._leave(abort=True)
                await self._connect()
            case "move":
                await self._leave(abort=False)
                await self._connect(elsewhere=True)
            case "barge_in":
                self._cut_short()
                self._inputs.append(self._new_input(self._inputs[-1].text))
                await self._send_input()
            case "cancel":
                self._cut_short()
                await self._try_send("cancel")
            case "slow":
                await anyio.sleep(fault.seconds)
            case "pause":
                await self._pause(fault.seconds)
            case _:
                raise AssertionError(fault.kind)

    async def _pause(self, seconds: float) -> None:
        """Hold the turn, and let it go on: asked for until something comes, for an order can be lost too."""
        if not await self._try_send("pause"):
            return
        await anyio.sleep(seconds)
        seen = self._frames_of_turn
        for _ in range(_TRIES_TO_RESUME):
            await self._try_send("resume")
            with anyio.move_on_after(_QUIET_SECONDS):
                while self._frames_of_turn == seen and self._end is None and not self._in_doubt:
                    try:
                        self._take(await self._link_or_raise().receive())
                    except LinkLost:
                        await self._connect()
                        await self._try_send("resume")
                return

    def _cut_short(self) -> None:
        """Remember that the running turn is cut off by the rider, and by nobody else."""
        for each in self._inputs:
            if each.turn_id is not None:
                self.log.own_interruptions.add(each.turn_id)

    # Inputs.

    def _new_input(self, text: str) -> _Input:
        self._messages += 1
        return _Input(text, f"m{self._messages}")

    async def _recover_input(self) -> None:
        """Do what the protocol says about an input of which nothing is known."""
        code, self._code = self._code, ""
        if code == "draining":
            await self._leave(abort=False)
            await self._connect(elsewhere=True)
        elif code:
            await anyio.sleep(self._chance.uniform(0.2, 0.6))
        waiting = self._inputs[-1]
        if waiting.turn_id is None and (code or anyio.current_time() - waiting.sent_at > _RESEND_SECONDS):
            await self._send_input()

    async def _send_input(self) -> None:
        """Send the newest input if it is not known to have arrived; a link that breaks is replaced."""
        while True:
            waiting = self._inputs[-1]
            waiting.sent_at = anyio.current_time()
            try:
                await self._link_or_raise().say(waiting.text, waiting.message_id)
                return
            except LinkLost:
                await self._connect()
                if waiting.turn_id is not None or self._end is not None:
                    return

    async def _try_send(self, kind: str) -> bool:
        try:
            await self._link_or_raise().send(kind)
        except LinkLost:
            await self._connect()
            return False
        return True

    # Frames.

    def _take(self, raw: str) -> dict[str, Any]:
        frame = self.log.observation.take(raw)
        match frame["type"]:
            case "system_message":
                self._take_notice(frame)
            case "tool_result" if frame["name"] == "DispatchToBackend" and isinstance(frame["result"], dict):
                self._said_dispatched |= bool(frame["result"].get("booking_id"))
            case "booking_update":  # the turn that ordered it may have died with its process
                self._said_dispatched |= frame["status"] != "cancelled"
            case "agent_error":
                self._code_of_failure = frame["code"]
            case "replay_start" if not frame["recovered"]:
                self._take_saved(frame["messages"])
        if "turn_id" in frame and "seq" in frame:
            self._take_turn_event(frame)
        return frame

    def _take_turn_event(self, frame: dict[str, Any]) -> None:
        turn_id = frame["turn_id"]
        if turn_id not in self.log.texts:
            self._match(turn_id)
        if frame["type"] == "stt_output" and frame["text"] != self.log.texts[turn_id]:
            self._find("inputs_changed", f"turn {turn_id} heard «{frame['text']}», not «{self.log.texts[turn_id]}»")
        current = self._inputs[-1] if self._inputs else None
        self._frames_of_turn += 1
        if frame["type"] == "turn_end":
            if frame["status"] == "failed":
                self.log.failures.append((self._code_of_failure, frame["ts"] / 1000))
            if current is not None and current.turn_id == turn_id:
                self._end = frame

    def _match(self, turn_id: str) -> None:
        """Find the input whose turn begins: the oldest that has none."""
        waiting = next((each for each in self._inputs if each.turn_id is None), None)
        self.log.texts[turn_id] = waiting.text if waiting else ""
        if waiting is None:
            self._find("inputs_run_twice", f"turn {turn_id} was not asked for")
            return
        waiting.turn_id = turn_id
        self.log.accepted[waiting.message_id] = turn_id

    def _take_notice(self, frame: dict[str, Any]) -> None:
        code = str(frame.get("code"))
        if frame["level"] == "error":
            self.log.refusals.append(code)
            self._code = code

    def _take_saved(self, messages: Sequence[dict[str, Any]]) -> None:
        """Learn from the saved messages what the log no longer tells: the turn that was waited for may be over."""
        waiting = self._inputs[-1] if self._inputs else None
        if waiting is None or self._end is not None:
            return
        for message in messages:
            if message["role"] == "user" and message["turn_id"] not in self.log.texts:
                self._match(message["turn_id"])
        self._in_doubt = waiting.turn_id is not None
        lines = [each for each in messages if each["turn_id"] == waiting.turn_id and each["role"] == "assistant"]
        if waiting.turn_id is not None and lines:
            text = "".join(each["content"] for each in lines)
            self._end = {"status": "interrupted" if lines[-1].get("partial") else "completed", "text": text}

    # The connection.

    def _link_or_raise(self) -> Link:
        if self._link is None:
            raise LinkLost
        return self._link

    async def _leave(self, *, abort: bool) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        if abort:
            link.abort()
        else:
            with anyio.move_on_after(2):
                await link.close()

    async def _connect(self, *, elsewhere: bool = False) -> None:
        """Connect to any server that answers, and go on where the rider had got to."""
        lost_at = time.perf_counter()
        await self._leave(abort=True)
        wait, most = _BACKOFF_SECONDS
        attempts = 0
        while True:
            attempts += 1
            others = [port for port in self._ports if port != self._port] or list(self._ports)
            port = self._chance.choice(others if elsewhere else list(self._ports))
            observation = self.log.observation
            place = Place(self.log.thread_id, observation.seq, observation.epoch)
            try:
                if self._plan.transport == "websocket":
                    self._link = await WebSocketLink.open(port, place, timeout=_OPEN_SECONDS)
                else:
                    self._link = await EventStreamLink.open(self._http, port, place, self._tasks, timeout=_OPEN_SECONDS)
            except LinkLost:
                await anyio.sleep(wait * self._chance.uniform(0.5, 1.5))
                wait = min(most, wait * 2)
                elsewhere = False
                continue
            self._port = port
            link = self._link
            for frame in link.opening:
                self._take(frame)
            self.log.recoveries.append(
                Recovery(
                    at=link.connected_at,
                    milliseconds=(link.opened_at - link.connected_at) * 1000,
                    outage_milliseconds=(link.opened_at - lost_at) * 1000,
                    attempts=attempts,
                    port=port,
                    transport=self._plan.transport,
                )
            )
            return

    async def _idle_while(self, waiting: Any) -> None:
        """Take what comes until something else has happened; come back where the connection is lost."""

        async def listen() -> None:
            while True:
                try:
                    self._take(await self._link_or_raise().receive())
                except LinkLost:
                    await self._connect()

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await waiting
            group.cancel_scope.cancel()

    def _last_turns(self) -> str:
        """Return the end of the conversation, for whoever must find out."""
        told = []
        for raw in list(self.log.observation.seen.values())[-400:]:
            frame = json.loads(raw)
            if frame["type"] == "turn_end":
                told.append(f"«{self.log.texts.get(frame['turn_id'])}» {frame['status']} «{frame['text']}»")
        return " | ".join(told[-4:]) + f" | waiting: {[(each.text, each.turn_id) for each in self._inputs]}"

    def _note(self, kind: str) -> None:
        self.log.faults.append(kind)

    def _find(self, count: str, what: str) -> None:
        self.log.observation.findings.append(Finding(count, self.log.thread_id, what))
