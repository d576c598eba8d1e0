"""A turn: its ids, its input, and what it has said so far. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

from app.models.conversation import Conversation, Message, Role, TurnInput, TurnRecord
from app.models.events import AgentChunk, ThreadEvent, ToolCall, ToolResult, TurnStatus
from app.models.sharing import sharing_given

DISPATCH = "DispatchToBackend"
"""The tool whose result names the booking that a turn made (a name of the wire protocol)."""


@dataclass(slots=True)
class _Line:
    """A line of the conversation while it is being written."""

    role: Role
    ts: int
    agent: str | None = None
    pieces: list[str] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    tool_call_id: str | None = None


@dataclass(slots=True)
class Turn:
    """The story of a turn, told by its events."""

    input: TurnInput
    booking_id: str | None = None
    _lines: list[_Line] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the rider was told: the concatenation of the ``agent_chunk`` texts."""
        return "".join(self._said)

    def observe(self, event: ThreadEvent) -> None:
        """Take note of an event that was sent."""
        match event:
            case AgentChunk():
                line = self._assistant_line(event.agent, event.ts, speaking=True)
                line.pieces.append(event.text)
                self._said.append(event.text)
            case ToolCall():
                call = {"toolCallId": event.tool_call_id, "name": event.name, "args": event.args}
                self._assistant_line(event.agent, event.ts).tool_calls.append(call)
            case ToolResult(result=result):
                if event.name == DISPATCH and isinstance(result, dict) and isinstance(result.get("booking_id"), str):
                    self.booking_id = result["booking_id"]
                content = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
                self._lines.append(_Line("tool", event.ts, pieces=[content], tool_call_id=event.tool_call_id))
            case _:
                pass

    def keep(self, heard: str) -> None:
        """Forget the words after ``heard``, a prefix of the text. What tools did stays."""
        left = len(heard)
        for line in self._lines:
            if line.role == "assistant":
                words = "".join(line.pieces)[:left]
                left -= len(words)
                line.pieces = [words] if words else []
        self._lines = [line for line in self._lines if line.role == "tool" or line.pieces or line.tool_calls]
        self._said = [heard]

    def record(self) -> TurnRecord:
        """Return what is stored of the turn while it runs."""
        said = self.input
        return sharing_given(
            TurnRecord(
                turn_id=said.turn_id,
                thread_id=said.thread_id,
                text=said.text,
                status="running",
                started_at=said.received_at,
                replaced_message=said.replaces and said.replaces.message_id,
                replaced_turn=said.replaces and said.replaces.turn_id,
            )
        )

    def conversation(self) -> Conversation:
        """Return the conversation as this turn knows it."""
        said = self.input
        return Conversation(
            thread_id=said.thread_id,
            owner=said.owner,
            user_id=said.user_id,
            client_id=said.client_id,
            created_at=said.received_at,
            updated_at=said.received_at,
        )

    def user_message(self) -> Message:
        """Return the rider's line."""
        said = self.input
        return sharing_given(
            Message(
                id=said.turn_id if said.replaces is None else said.replaces.message_id,
                thread_id=said.thread_id,
                turn_id=said.turn_id,
                role="user",
                content=said.text,
                created_at=said.received_at,
            )
        )

    def messages(self, status: TurnStatus) -> list[Message]:
        """Return the agents' lines; unless the turn completed, the last spoken one is partial."""
        spoken = [index for index, line in enumerate(self._lines) if line.role == "assistant" and line.pieces]
        cut = spoken[-1] if spoken and status != "completed" else None
        said = self.input
        return [
            sharing_given(
                Message(
                    id=f"{said.turn_id}:{index + 1}",
                    thread_id=said.thread_id,
                    turn_id=said.turn_id,
                    role=line.role,
                    content="".join(line.pieces),
                    agent=line.agent,
                    partial=index == cut,
                    tool_calls=line.tool_calls or None,
                    tool_call_id=line.tool_call_id,
                    created_at=line.ts,
                )
            )
            for index, line in enumerate(self._lines)
        ]

    def _assistant_line(self, agent: str, ts: int, *, speaking: bool = False) -> _Line:
        """Return the line that ``agent`` is at. Words after a tool call begin a new one."""
        last = self._lines[-1] if self._lines else None
        if last is None or last.role != "assistant" or last.agent != agent or (speaking and last.tool_calls):
            last = _Line("assistant", ts, agent=agent)
            self._lines.append(last)
        return last
