"""Which event may follow which. Pure: no clock, no I/O.

Everything that decides whether an event is legal stands in this file: the table of phases and the
two sets of things that were opened and must be closed (tool calls, agents).
"""

from collections.abc import Iterator
from enum import StrEnum

from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    AgentName,
    EventSource,
    Interrupted,
    SttChunk,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnEvent,
    TurnStart,
)

INTERRUPTED_RESULT = {"status": "failed", "code": "interrupted", "message": "La acción no se completó."}
"""The result of a tool call whose turn ended first."""


class Phase(StrEnum):
    """How far a turn has come."""

    NEW = "new"
    HEARD = "heard"
    RUNNING = "running"
    FAILING = "failing"
    SPOKEN = "spoken"
    ENDED = "ended"


_TABLE: dict[tuple[Phase, type[TurnEvent]], Phase] = {
    (Phase.NEW, SttChunk): Phase.NEW,
    (Phase.NEW, SttOutput): Phase.HEARD,
    (Phase.HEARD, TurnStart): Phase.RUNNING,
    (Phase.RUNNING, AgentChunk): Phase.RUNNING,
    (Phase.RUNNING, ToolCall): Phase.RUNNING,
    (Phase.RUNNING, ToolResult): Phase.RUNNING,
    (Phase.RUNNING, AgentEnd): Phase.RUNNING,
    (Phase.RUNNING, TtsChunk): Phase.RUNNING,
    (Phase.RUNNING, Interrupted): Phase.RUNNING,
    (Phase.RUNNING, AgentError): Phase.FAILING,
    (Phase.RUNNING, TtsEnd): Phase.SPOKEN,
    (Phase.FAILING, TtsEnd): Phase.SPOKEN,
    (Phase.RUNNING, TurnEnd): Phase.ENDED,
    (Phase.FAILING, TurnEnd): Phase.ENDED,
    (Phase.SPOKEN, TurnEnd): Phase.ENDED,
}


class IllegalEventError(Exception):
    """An event that may not come now. The lifecycle is unchanged."""


class Lifecycle:
    """Checks the events of one turn, and knows what is still open."""

    def __init__(self) -> None:
        self.phase = Phase.NEW
        self._open_calls: dict[str, str] = {}
        self._calls: set[str] = set()
        self._acting: dict[AgentName, None] = {}
        self._finished: set[AgentName] = set()

    def check(self, event: TurnEvent) -> Phase:
        """Return the phase that ``event`` leads to; nothing is changed.

        Raises:
            IllegalEventError: It may not come now.
        """
        following = _TABLE.get((self.phase, type(event)))
        if following is None:
            raise IllegalEventError(f"{type(event).__name__} while the turn is {self.phase}")
        match event:
            case ToolCall(tool_call_id=call_id) if call_id in self._calls:
                raise IllegalEventError("a tool call twice")
            case ToolResult(tool_call_id=call_id) if call_id not in self._open_calls:
                raise IllegalEventError("a result without its call")
            case AgentEnd(agent=agent) if agent in self._finished:
                raise IllegalEventError("an agent's end twice")
            case TurnEnd() if self._open_calls or self._unfinished():
                raise IllegalEventError("a turn's end before what it opened was closed")
            case _:
                return following

    def allows(self, event: ThreadEvent) -> bool:
        """Return whether ``event`` may come now."""
        if not isinstance(event, TurnEvent):
            return True
        try:
            self.check(event)
        except IllegalEventError:
            return False
        return True

    def accept(self, event: TurnEvent) -> None:
        """Take the next event.

        Raises:
            IllegalEventError: It may not come now. Nothing was changed.
        """
        self.phase = self.check(event)
        match event:
            case ToolCall(tool_call_id=call_id):
                self._calls.add(call_id)
                self._open_calls[call_id] = event.name
                self._acting[event.agent] = None
            case ToolResult(tool_call_id=call_id):
                del self._open_calls[call_id]
            case AgentChunk(agent=agent):
                self._acting[agent] = None
            case AgentEnd(agent=agent):
                self._finished.add(agent)
            case _:
                pass

    def has_finished(self, agent: AgentName) -> bool:
        """Return whether the agent's end was sent: an agent that comes back has no second one."""
        return agent in self._finished

    def closing(self, source: EventSource) -> Iterator[TurnEvent]:
        """Yield what must be sent before the turn may end, whatever it was doing."""
        for call_id, name in list(self._open_calls.items()):
            yield source.make(ToolResult, tool_call_id=call_id, name=name, result=dict(INTERRUPTED_RESULT))
        for agent in self._unfinished():
            yield source.make(AgentEnd, agent=agent)

    def _unfinished(self) -> list[AgentName]:
        return [agent for agent in self._acting if agent not in self._finished]
