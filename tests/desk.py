"""A running service without a network: the real graph and core over stores and models of the test's choice."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from app import bootstrap
from app.api.deps import Services
from app.bootstrap import Stores, open_services
from app.bootstrap.voice import Voice
from app.core.clock import NowMs, new_id, now_ms
from app.core.config import Settings
from app.engines.fleet.base import Fleet
from app.models.events import AgentChunk, Record, ThreadEvent, ToolCall, TurnEnd
from app.stores.base import ConversationStore, EventLog
from app.stores.memory import (
    MemoryAccountStore,
    MemoryBookingStore,
    MemoryConversationStore,
    MemoryEventLog,
    MemoryLanes,
)
from app.taxi.places import Gazetteer


def make_settings(**given: Any) -> Settings:
    """Return settings for a test: nothing kept, no pauses between words."""
    return Settings(**{"database_url": "memory://", "llm": "offline", "offline_word_delay_ms": 0, **given})


def offline_model(settings: Settings | None = None) -> BaseChatModel:
    """Return the offline clerk."""
    return bootstrap.offline_model(settings or make_settings(), Gazetteer.load())


def make_stores(
    *,
    bookings: MemoryBookingStore | None = None,
    conversations: ConversationStore | None = None,
    event_log: EventLog | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> Stores:
    """Return stores in memory, but for those given."""
    conversations = conversations or MemoryConversationStore()
    bookings = bookings or MemoryBookingStore()
    return Stores(
        accounts=MemoryAccountStore(),
        bookings=bookings,
        outbox=bookings.outbox,
        conversations=conversations,
        event_log=event_log or MemoryEventLog(new_id=new_id, now_ms=now_ms, max_events=10_000, max_age_ms=3_600_000),
        lanes=MemoryLanes(),
        checkpointer=checkpointer or InMemorySaver(),
        pings={"memory": conversations.ping},
    )


@dataclass
class Said:
    """What came of one input."""

    events: list[ThreadEvent]

    @property
    def end(self) -> TurnEnd:
        """The terminal event."""
        last = self.events[-1]
        assert isinstance(last, TurnEnd)
        return last

    @property
    def tools(self) -> list[str]:
        """The tools that were called, in order."""
        return [event.name for event in self.events if isinstance(event, ToolCall)]

    @property
    def agents(self) -> list[str]:
        """Who spoke, in order."""
        return list(dict.fromkeys(event.agent for event in self.events if isinstance(event, AgentChunk)))

    def of(self, kind: type[ThreadEvent]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


class Desk:
    """Talks to the services as a transport does."""

    def __init__(self, services: Services, stores: Stores) -> None:
        self.services = services
        self.stores = stores

    async def say(self, text: str, *, thread_id: str = "t", **options: Any) -> Said:
        """Run a turn to its end."""
        streaming = self.services.streaming
        async with streaming.subscribe(thread_id) as reader:
            turn_id = await streaming.submit(text, thread_id=thread_id, **options)
            events: list[ThreadEvent] = []
            while True:
                for record in await reader.read():
                    if getattr(record.event, "turn_id", turn_id) == turn_id:
                        assert isinstance(record.event, ThreadEvent)
                        events.append(record.event)
                        if isinstance(record.event, TurnEnd):
                            return Said(events)

    async def talk(self, *texts: str, thread_id: str = "t") -> list[Said]:
        """Run turns one after the other."""
        return [await self.say(text, thread_id=thread_id) for text in texts]

    async def log(self, thread_id: str = "t") -> Sequence[Record]:
        """Return everything that was logged of a thread."""
        async with self.stores.event_log.open(thread_id, after_seq=0) as reader:
            return await reader.read() if reader.position.seq else []


@asynccontextmanager
async def open_desk(
    *,
    model: BaseChatModel | None = None,
    stores: Stores | None = None,
    fleet: Fleet | None = None,
    voice: Voice | None = None,
    now_ms: NowMs = now_ms,
    **settings: Any,
) -> AsyncIterator[Desk]:
    """Open the services over stores, a model, a voice and a clock of the test's choice."""
    stores = stores or make_stores()
    chosen = make_settings(**settings)
    model = model or offline_model(chosen)
    opened = open_services(chosen, model=model, stores=stores, fleet=fleet, voice=voice, now_ms=now_ms)
    async with opened as services:
        yield Desk(services, stores)
