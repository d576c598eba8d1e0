"""What a turn hands to the graph's nodes. No globals."""

from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from app.core.bell import Latch
from app.core.clock import NewId, NowMs
from app.engines.fleet.base import Directory
from app.models.booking import Booking
from app.models.conversation import TurnInput
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentName,
    EventSource,
    ModelUsage,
    ThreadEvent,
    ToolCall,
    ToolResult,
)
from app.stores.base import BookingStore
from app.taxi.fares import Tariff
from app.taxi.places import Gazetteer

Emit = Callable[[ThreadEvent], Awaitable[None]]


class Dispatcher(Protocol):
    """Who sees to it that the fleet hears of bookings; the books say what there is to tell."""

    def ring(self) -> None:
        """Say that a booking was changed."""
        ...

    async def answer(self, booking: Booking) -> Booking | None:
        """Wait a little for the fleet to answer a new booking; None where it has not yet."""
        ...


@dataclass(frozen=True, slots=True)
class TaxiDesk:
    """What all turns share: the books, the map, the tariff."""

    bookings: BookingStore
    dispatcher: Dispatcher
    directory: Directory
    gazetteer: Gazetteer
    tariff: Tariff
    holidays: Container[date]
    """The public holidays, on which a ride costs more."""
    coverage: tuple[str, ...]
    """Municipalities where the fleet picks up."""
    support_phone: str | None
    now_ms: NowMs
    new_id: NewId
    store_timeout_seconds: float


@dataclass(slots=True)
class Context:
    """One turn as the nodes see it."""

    desk: TaxiDesk
    said: TurnInput
    source: EventSource
    emit: Emit
    changes: dict[str, Any] = field(default_factory=dict)
    """State that this step has set, by what was heard or by tools: what must survive if the turn is cut off."""
    has_listened: bool = False
    steps: int = 0
    has_spoken: bool = False
    call_ids: set[str] = field(default_factory=set)
    hurried: Latch = field(default_factory=Latch)
    """Set when the turn is being cut off: what must be finished is, what can wait is not waited for."""

    def cut_off(self) -> dict[str, Any]:
        """Return the state that puts the memory right after a turn that was cut off.

        What tools did stays done. A summary that may not have been heard in full was not read.
        """
        return {**self.changes, "summarised": None}

    async def say(self, text: str, agent: AgentName) -> None:
        """Let the rider have words."""
        self.has_spoken = True
        await self.emit(self.source.make(AgentChunk, text=text, agent=agent))

    async def call(self, call_id: str, name: str, args: dict[str, Any], agent: AgentName) -> None:
        """Tell that a tool is called."""
        await self.emit(self.source.make(ToolCall, tool_call_id=call_id, name=name, args=args, agent=agent))

    async def answer(self, call_id: str, name: str, result: str | dict[str, Any]) -> None:
        """Tell what came of a call."""
        await self.emit(self.source.make(ToolResult, tool_call_id=call_id, name=name, result=result))

    async def used(self, input_tokens: int, output_tokens: int, agent: AgentName) -> None:
        """Tell what an answer of the model took."""
        source = self.source
        await self.emit(
            ModelUsage(
                ts=source.now_ms(),
                thread_id=source.thread_id,
                agent=agent,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
            )
        )

    async def end(self, agent: AgentName) -> None:
        """Tell that an agent has finished."""
        await self.emit(self.source.make(AgentEnd, agent=agent))
