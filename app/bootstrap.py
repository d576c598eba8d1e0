"""The composition root: settings to services. The only file that names a vendor, a backend or the taxi domain."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from sqlalchemy import make_url

from app.api.deps import Services
from app.core.clock import NewId, NowMs, new_id, now_ms
from app.core.config import Settings
from app.core.signatures import read_signer
from app.engines.fleet.base import Directory, Fleet
from app.engines.fleet.http import HttpDirectory, HttpFleet, open_client
from app.engines.fleet.offline import OfflineDirectory, OfflineFleet
from app.engines.llm.function_model import FunctionChatModel, Reply
from app.engines.llm.openai import create_openai_model
from app.engines.stt.text import TextStt
from app.engines.tts.text import TextTts
from app.pipeline.chain import ChainPipeline
from app.services.bookings import BookingService
from app.services.dispatch import DispatchLimits, DispatchService
from app.services.health import HealthService, Ping
from app.services.streaming_service import ServiceLimits, StreamingService
from app.services.threads import ThreadMemory, ThreadService
from app.stores.base import BookingStore, ConversationStore, EventLog, Outbox
from app.stores.memory import MemoryBookingStore, MemoryConversationStore, MemoryEventLog, MemoryOutbox
from app.stores.sql.bookings import SqlBookingStore
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.event_log import SqlEventLog
from app.stores.sql.outbox import SqlOutbox
from app.taxi.context import TaxiDesk
from app.taxi.fares import load_tariff
from app.taxi.graph import TaxiGraph
from app.taxi.places import Gazetteer, parse_address
from app.taxi.policy import OfflinePolicy
from app.turns.observers import LogObserver
from app.turns.runner import TurnLimits, TurnRunner


@dataclass(frozen=True, slots=True)
class Stores:
    """Where things are kept."""

    bookings: BookingStore
    outbox: Outbox
    conversations: ConversationStore
    event_log: EventLog
    checkpointer: BaseCheckpointSaver[Any]
    pings: dict[str, Ping]


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    model: BaseChatModel | None = None,
    stores: Stores | None = None,
    fleet: Fleet | None = None,
    now_ms: NowMs = now_ms,
    new_id: NewId = new_id,
) -> AsyncIterator[Services]:
    """Open everything in order and close it in reverse.

    Args:
        settings: The settings.
        model: A chat model in place of the one that the settings name.
        stores: Stores in place of those that the settings name.
        fleet: A fleet in place of the one that the settings name.
        now_ms: The clock.
        new_id: Makes ids.
    """
    async with AsyncExitStack() as stack:
        if stores is None:
            stores = await stack.enter_async_context(open_stores(settings, now_ms=now_ms, new_id=new_id))
        named, directory = await stack.enter_async_context(open_fleet(settings, now_ms=now_ms, new_id=new_id))
        dispatch = await stack.enter_async_context(
            DispatchService(
                fleet=fleet or named,
                bookings=stores.bookings,
                outbox=stores.outbox,
                event_log=stores.event_log,
                now_ms=now_ms,
                new_id=new_id,
                limits=DispatchLimits(
                    timeout=settings.dispatch_timeout_seconds,
                    wait=settings.dispatch_wait_seconds,
                    max_attempts=settings.dispatch_max_attempts,
                ),
            )
        )
        gazetteer = Gazetteer.load()
        desk = TaxiDesk(
            bookings=stores.bookings,
            dispatcher=dispatch,
            directory=directory,
            gazetteer=gazetteer,
            tariff=load_tariff(),
            coverage=settings.coverage,
            support_phone=settings.support_phone,
            now_ms=now_ms,
            new_id=new_id,
            store_timeout_seconds=settings.store_timeout_seconds,
        )
        agent = TaxiGraph(
            model=model or create_model(settings, gazetteer),
            checkpointer=stores.checkpointer,
            desk=desk,
            history_messages=settings.history_messages,
        )
        threads = ThreadService(
            conversations=stores.conversations,
            event_log=stores.event_log,
            memory=ThreadMemory(describe=agent.describe, forget=stores.checkpointer.adelete_thread),
            now_ms=now_ms,
        )
        runner = TurnRunner(
            pipeline=ChainPipeline(stt=TextStt(), agent=agent, tts=TextTts()),
            event_log=stores.event_log,
            conversations=stores.conversations,
            now_ms=now_ms,
            limits=TurnLimits(
                turn=settings.turn_timeout_seconds,
                pause=settings.pause_limit_seconds,
                store=settings.store_timeout_seconds,
            ),
            observers=(LogObserver,),
        )
        streaming = await stack.enter_async_context(
            StreamingService(
                runner=runner,
                event_log=stores.event_log,
                threads=threads,
                now_ms=now_ms,
                new_id=new_id,
                limits=ServiceLimits(
                    max_text_chars=settings.max_text_chars,
                    max_queued_turns=settings.max_queued_turns,
                    grace_seconds=settings.turn_grace_seconds,
                ),
            )
        )
        yield Services(
            settings=settings,
            streaming=streaming,
            threads=threads,
            bookings=BookingService(bookings=stores.bookings, ring=dispatch.ring, now_ms=now_ms),
            dispatch=dispatch,
            webhooks=None if settings.dispatch_secret is None else read_signer(settings.dispatch_secret),
            health=HealthService(stores.pings, timeout_seconds=settings.store_timeout_seconds),
            now_ms=now_ms,
        )


@asynccontextmanager
async def open_stores(settings: Settings, *, now_ms: NowMs, new_id: NewId) -> AsyncIterator[Stores]:
    """Open the stores that the settings name."""
    max_age_ms = settings.event_log_max_age_seconds * 1000
    async with AsyncExitStack() as stack:
        checkpointer = await stack.enter_async_context(open_checkpointer(settings))
        if settings.in_memory:
            conversations = MemoryConversationStore()
            log = MemoryEventLog(
                new_id=new_id, now_ms=now_ms, max_events=settings.event_log_max_events, max_age_ms=max_age_ms
            )
            outbox = MemoryOutbox()
            bookings = MemoryBookingStore(outbox)
            yield Stores(bookings, outbox, conversations, log, checkpointer, {"memory": conversations.ping})
            return
        database = await stack.enter_async_context(Database(settings.database_url))
        event_log = await stack.enter_async_context(
            SqlEventLog(
                database,
                new_id=new_id,
                now_ms=now_ms,
                max_events=settings.event_log_max_events,
                max_age_ms=max_age_ms,
            )
        )
        yield Stores(
            SqlBookingStore(database),
            SqlOutbox(database),
            SqlConversationStore(database),
            event_log,
            checkpointer,
            {"database": database.ping},
        )


@asynccontextmanager
async def open_checkpointer(settings: Settings) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Open the LangGraph checkpointer that the settings name.

    SQLite has one writer per file: checkpoints have a file of their own beside the database, so that
    neither waits for the other.
    """
    if settings.checkpointer_kind == "memory":
        yield InMemorySaver()
        return
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with aiosqlite.connect(checkpoint_path(settings)) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield saver


def checkpoint_path(settings: Settings) -> str:
    """Return the file of the checkpoints: ``voztaxi.db`` has ``voztaxi.checkpoints.db``."""
    database = None if settings.in_memory else make_url(settings.database_url).database
    path = Path(database or "voztaxi.db")
    return str(path.with_name(f"{path.stem}.checkpoints{path.suffix}"))


@asynccontextmanager
async def open_fleet(settings: Settings, *, now_ms: NowMs, new_id: NewId) -> AsyncIterator[tuple[Fleet, Directory]]:
    """Open the fleet and the directory that the settings name."""
    if settings.dispatch_secret is None:
        yield OfflineFleet(), OfflineDirectory()
        return
    signer = read_signer(settings.dispatch_secret)
    async with open_client(signer, now_ms, timeout=settings.dispatch_timeout_seconds) as client:
        yield (
            OfflineFleet() if settings.dispatch_url is None else HttpFleet(client, settings.dispatch_url),
            OfflineDirectory() if settings.fleet_url is None else HttpDirectory(client, settings.fleet_url, new_id),
        )


@asynccontextmanager
async def open_outbox(settings: Settings) -> AsyncIterator[Outbox]:
    """Open the outbox alone, beside a server that runs or not: what an operator's command needs."""
    async with Database(settings.database_url) as database:
        yield SqlOutbox(database)


def create_model(settings: Settings, gazetteer: Gazetteer) -> BaseChatModel:
    """Return the chat model that the settings name."""
    if settings.model_kind == "openai":
        return create_openai_model(
            model=settings.llm_model,
            api_key=settings.openai_api_key,
            base_url=settings.openai_base_url,
            temperature=settings.llm_temperature,
            timeout_seconds=settings.llm_timeout_seconds,
        )
    policy = OfflinePolicy(gazetteer)

    def reply(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Reply:
        text, calls, notes = policy(messages, tools)
        return Reply(text, tuple(calls), notes)

    return FunctionChatModel(function=reply, word_delay_ms=settings.offline_word_delay_ms)


def read_addresses(texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read each text as an address, for batch work.

    Yields:
        One flat object a text: ``input``, ``status``, ``address``, ``neighborhood``, ``detail``, ``city``, ``ask``.
    """
    gazetteer = Gazetteer.load()
    for text in texts:
        reading = parse_address(text, gazetteer)
        yield {
            "input": text,
            "status": reading.status,
            "address": reading.address,
            "neighborhood": reading.neighborhood,
            "detail": reading.detail,
            "city": reading.city,
            "ask": reading.ask,
        }
