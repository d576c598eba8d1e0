"""Settings to services: everything that a transport may use, opened in order and closed in reverse."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from app.api.deps import Services
from app.bootstrap.models import open_explainer, open_model
from app.bootstrap.stores import (
    Stores,
    extra,
    open_database,
    open_stores,
)
from app.bootstrap.voice import Voice, open_voice
from app.core.clock import NewId, NowMs, new_id, now_ms
from app.core.config import Settings
from app.core.errors import Misconfigured
from app.core.exposition import is_shared
from app.core.rates import read_networks, read_rate
from app.core.signatures import read_signer
from app.core.tokens import Key
from app.engines.explainer.base import Explainer
from app.engines.fleet.base import Directory, Fleet
from app.engines.fleet.http import HttpDirectory, HttpFleet, open_client
from app.engines.fleet.offline import OfflineDirectory, OfflineFleet
from app.engines.identity.base import Identity
from app.engines.identity.jwks import JwksIdentity
from app.engines.identity.local import LocalIdentity, private_key, secret_key
from app.models.conversation import TurnInput
from app.pipeline.chain import ChainPipeline
from app.services.accounts import AccountService
from app.services.answers import AnswerLimits, AnswerService
from app.services.bookings import BookingService
from app.services.dispatch import DispatchLimits, DispatchService
from app.services.explanations import ExplanationLimits, ExplanationService
from app.services.figures import FigureService
from app.services.health import HealthService
from app.services.rate_limits import RateLimits
from app.services.rate_rules import RateRules
from app.services.recordings import RecordingRules, RecordingService
from app.services.sessions import SessionService
from app.services.streaming_service import ServiceLimits, StreamingService
from app.services.threads import ThreadMemory, ThreadService
from app.services.voice import VoiceService
from app.stores.base import AccountStore
from app.stores.endings import StepwiseEndings
from app.stores.sql.accounts import SqlAccountStore
from app.taxi.agents import AGENTS
from app.taxi.context import TaxiDesk
from app.taxi.fares import load_tariff
from app.taxi.graph import TaxiGraph
from app.taxi.moments import load_holidays
from app.taxi.places import Gazetteer, parse_address
from app.turns.airwaves import Airwaves
from app.turns.observers import LogObserver, MetricsObserver
from app.turns.runner import Observer, TurnLimits, TurnRunner

if TYPE_CHECKING:  # an extra: it may not be there
    from app.api.request_spans import RequestSpans
    from app.turns.traces import Traces

TOOLS = frozenset(tool.__name__ for agent in AGENTS.values() for tool in agent.tools)
"""The names of all tools: what a figure or a span may be labelled with."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """What makes spans."""

    traces: "Traces"
    """Of conversations, turns and what they leave to be delivered."""
    requests: "RequestSpans"


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    model: BaseChatModel | None = None,
    stores: Stores | None = None,
    fleet: Fleet | None = None,
    explainer: Explainer | None = None,
    voice: Voice | None = None,
    now_ms: NowMs = now_ms,
    new_id: NewId = new_id,
) -> AsyncIterator[Services]:
    """Open everything in order and close it in reverse.

    Args:
        settings: The settings.
        model: A chat model in place of the one that the settings name.
        stores: Stores in place of those that the settings name.
        fleet: A fleet in place of the one that the settings name.
        explainer: An explainer in place of the one that the settings name.
        voice: What hears and speaks in place of what the settings name.
        now_ms: The clock.
        new_id: Makes ids.
    """
    async with AsyncExitStack() as stack:
        tracing: Tracing | None = None
        observers: list[Callable[[TurnInput], Observer]] = [LogObserver, partial(MetricsObserver, tools=TOOLS)]
        if settings.otel_exporter_otlp_endpoint is not None:
            tracing = await stack.enter_async_context(open_tracing(settings, now_ms=now_ms))
            observers.append(tracing.traces.observer)
        if stores is None:
            stores = await stack.enter_async_context(open_stores(settings, now_ms=now_ms, new_id=new_id))
        named, directory = await stack.enter_async_context(open_fleet(settings, now_ms=now_ms, new_id=new_id))
        fleet = fleet or named
        dispatch = await stack.enter_async_context(
            DispatchService(
                fleet=fleet,
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
                # A fleet that is not there is not asked: there is nothing to see.
                observers=[tracing.traces.delivered] if tracing is not None and not fleet.takes_everything else [],
            )
        )
        gazetteer = Gazetteer.load()
        desk = TaxiDesk(
            bookings=stores.bookings,
            dispatcher=dispatch,
            directory=directory,
            gazetteer=gazetteer,
            tariff=load_tariff(),
            holidays=load_holidays(),
            coverage=settings.coverage,
            support_phone=settings.support_phone,
            now_ms=now_ms,
            new_id=new_id,
            store_timeout_seconds=settings.store_timeout_seconds,
        )
        agent = TaxiGraph(
            model=await stack.enter_async_context(open_model(settings, gazetteer)) if model is None else model,
            checkpointer=stores.checkpointer,
            desk=desk,
            history_messages=settings.history_messages,
        )
        threads = ThreadService(
            conversations=stores.conversations,
            event_log=stores.event_log,
            memory=ThreadMemory(describe=agent.describe, forget=stores.checkpointer.adelete_thread),
            now_ms=now_ms,
            recordings=stores.recordings,
        )
        if voice is None:
            voice = await stack.enter_async_context(open_voice(settings, gazetteer))
        airwaves = Airwaves()
        recordings: RecordingService | None = None
        if stores.recordings is not None:
            recordings = await stack.enter_async_context(
                RecordingService(
                    recordings=stores.recordings,
                    authorise=threads.authorise,
                    rules=RecordingRules(consent=settings.recording_consent, days=settings.recording_days),
                    now_ms=now_ms,
                )
            )
        endings = stores.endings
        if endings is None:
            endings = await stack.enter_async_context(
                StepwiseEndings(stores.conversations, stores.event_log, step_seconds=settings.store_timeout_seconds)
            )
        runner = TurnRunner(
            pipeline=ChainPipeline(agent=agent, speech=voice.speech),
            publish=airwaves.publish,
            event_log=stores.event_log,
            conversations=stores.conversations,
            endings=endings,
            now_ms=now_ms,
            limits=TurnLimits(
                turn=settings.turn_timeout_seconds,
                pause=settings.pause_limit_seconds,
                store=settings.store_timeout_seconds,
            ),
            observers=observers,
        )
        rates = RateLimits(stores.rates, rate_rules(settings))
        streaming = await stack.enter_async_context(
            StreamingService(
                runner=runner,
                admit=rates.turn,
                event_log=stores.event_log,
                lanes=stores.lanes,
                threads=threads,
                airwaves=airwaves,
                now_ms=now_ms,
                new_id=new_id,
                limits=ServiceLimits(
                    max_text_chars=settings.max_text_chars,
                    max_queued_turns=settings.max_queued_turns,
                    max_active_turns=settings.max_active_turns,
                    grace_seconds=settings.turn_grace_seconds,
                    wait_seconds=settings.turn_timeout_seconds,
                    sweep_seconds=settings.lease_seconds / 4,
                ),
            )
        )
        health = HealthService(stores.pings, timeout_seconds=settings.store_timeout_seconds)
        figures = FigureService(
            streaming=streaming,
            dispatch=dispatch,
            health=health,
            event_log=stores.event_log,
            max_connections=settings.max_connections,
            timeout_seconds=settings.store_timeout_seconds,
        )
        if is_shared():
            await stack.enter_async_context(figures.kept_fresh())
        yield Services(
            settings=settings,
            accounts=await stack.enter_async_context(
                open_accounts(settings, stores.accounts, now_ms=now_ms, new_id=new_id)
            ),
            rates=rates,
            streaming=streaming,
            threads=threads,
            bookings=BookingService(
                bookings=stores.bookings, authorise=threads.authorise, ring=dispatch.ring, now_ms=now_ms
            ),
            sessions=SessionService(
                conversations=stores.conversations,
                bookings=stores.bookings,
                streaming=streaming,
                now_ms=now_ms,
                new_id=new_id,
            ),
            explanations=await stack.enter_async_context(
                open_explanations(
                    settings,
                    stores,
                    await stack.enter_async_context(open_explainer(settings, gazetteer))
                    if explainer is None
                    else explainer,
                    rates,
                    now_ms=now_ms,
                    new_id=new_id,
                )
            ),
            dispatch=dispatch,
            voice=await stack.enter_async_context(
                VoiceService(
                    hearing=voice.hearing,
                    speaks=voice.speech is not None,
                    default_language=settings.voice_language,
                    streaming=streaming,
                    recordings=recordings,
                    now_ms=now_ms,
                    new_id=new_id,
                    max_sessions=settings.voice_sessions,
                )
            ),
            webhooks=None if settings.dispatch_secret is None else read_signer(settings.dispatch_secret),
            health=health,
            figures=figures,
            recordings=recordings,
            now_ms=now_ms,
            trace_request=None if tracing is None else tracing.requests,
        )


@asynccontextmanager
async def open_explanations(
    settings: Settings, stores: Stores, explainer: Explainer, rates: RateLimits, *, now_ms: NowMs, new_id: NewId
) -> AsyncIterator[ExplanationService]:
    """Open what answers questions."""
    answer_limits = AnswerLimits(
        at_once=settings.explanations_at_once,
        max_waiting=settings.max_waiting_questions,
        timeout=settings.explanation_timeout_seconds,
        kept=settings.explanation_answers_kept,
        store=settings.store_timeout_seconds,
    )
    limits = ExplanationLimits(
        max_characters=settings.max_text_chars,
        chunk_characters=settings.explanation_chunk_characters,
        chunk_seconds=settings.explanation_chunk_delay_ms / 1000,
        session_seconds=settings.explanation_session_seconds,
        store_seconds=settings.store_timeout_seconds,
    )
    async with (
        AnswerService(
            explainer=explainer,
            answers=stores.answers,
            lanes=stores.lanes,
            rates=rates,
            now_ms=now_ms,
            limits=answer_limits,
        ) as answers,
        ExplanationService(
            answers=answers,
            sessions=stores.explanation_sessions,
            lanes=stores.lanes,
            rates=rates,
            now_ms=now_ms,
            new_id=new_id,
            limits=limits,
        ) as explanations,
    ):
        yield explanations


def rate_rules(settings: Settings) -> RateRules:
    """Return whom the settings limit in what."""
    return RateRules(
        requests=read_rate(settings.rate_limit_requests),
        turns=read_rate(settings.rate_limit_turns),
        logins=read_rate(settings.rate_limit_logins),
        questions=read_rate(settings.rate_limit_questions),
        credits=read_rate(settings.explanation_credits),
        exempt=read_networks(settings.rate_limit_exempt),
    )


@asynccontextmanager
async def open_tracing(settings: Settings, *, now_ms: NowMs) -> AsyncIterator["Tracing"]:
    """Open what makes spans and sends them to the collector that the settings name.

    Raises:
        Misconfigured: Its package is not installed.
    """
    assert settings.otel_exporter_otlp_endpoint is not None, "settings see to it"
    with extra("otel"):
        from app.api.request_spans import RequestSpans
        from app.core.telemetry import open_tracer
        from app.turns.traces import Traces

    is_offline = settings.model_kind == "offline"
    model = {
        "gen_ai.provider.name": "voztaxi" if is_offline else "openai",
        "gen_ai.request.model": "offline" if is_offline else settings.llm_model,
    }
    async with open_tracer(settings.otel_exporter_otlp_endpoint, version=version("voztaxi")) as tracer:
        traces = Traces(tracer, tools=TOOLS, model=model, personal=settings.log_personal, now_ms=now_ms)
        async with traces.kept():
            yield Tracing(traces, RequestSpans(tracer))


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
async def open_accounts(
    settings: Settings, accounts: AccountStore, *, now_ms: NowMs, new_id: NewId
) -> AsyncIterator[AccountService]:
    """Open who may log in, and what checks that somebody is.

    Raises:
        Misconfigured: The key cannot be used.
    """
    async with AsyncExitStack() as stack:
        names = {"issuer": settings.jwt_issuer, "audience": settings.jwt_audience}
        maker: LocalIdentity | None = None
        if settings.jwt_jwks_url is not None:
            limits = httpx.Timeout(settings.store_timeout_seconds)
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=limits, trust_env=False))
            identity: Identity = JwksIdentity(client, settings.jwt_jwks_url, **names)
        else:
            identity = maker = LocalIdentity(await _signing_key(settings, accounts), **names)
        yield AccountService(
            accounts=accounts,
            reader=identity,
            maker=maker,
            now_ms=now_ms,
            new_id=new_id,
            access_seconds=settings.access_token_seconds,
            refresh_seconds=settings.refresh_token_seconds,
        )


async def _signing_key(settings: Settings, accounts: AccountStore) -> Key:
    if settings.jwt_private_key_file is not None:
        return await anyio.to_thread.run_sync(private_key, settings.jwt_private_key_file, settings.jwt_algorithm)
    # Nobody needs to think of a secret, and none is known to all: the first process makes it, the others find it.
    secret = settings.jwt_secret or SecretStr(await accounts.secret("jwt", secrets.token_urlsafe(48)))
    try:
        return secret_key(secret)
    except ValueError as error:
        raise Misconfigured(f"JWT_SECRET {error}") from error


@asynccontextmanager
async def open_users(settings: Settings) -> AsyncIterator[tuple[AccountService, AccountStore]]:
    """Open the accounts alone, beside a server that runs or not: what an operator's command needs."""
    async with open_database(settings) as database:
        store = SqlAccountStore(database)
        async with open_accounts(settings, store, now_ms=now_ms, new_id=new_id) as accounts:
            yield accounts, store


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
