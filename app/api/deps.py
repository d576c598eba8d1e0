"""What a route may ask for, for HTTP and WebSocket alike."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Literal

import anyio
from fastapi import Depends
from fastapi.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core import metrics
from app.core.clock import NowMs
from app.core.config import Settings
from app.core.errors import AppError, Draining, Overloaded
from app.core.signatures import Signer
from app.services.accounts import AccountService
from app.services.bookings import BookingService
from app.services.dispatch import DispatchService
from app.services.explanations import ExplanationService
from app.services.figures import FigureService
from app.services.health import HealthService
from app.services.rate_limits import RateLimits
from app.services.recordings import RecordingService
from app.services.sessions import SessionService
from app.services.streaming_service import StreamingService
from app.services.threads import ThreadService
from app.services.voice import VoiceService


@dataclass(slots=True)
class Connections:
    """The WebSockets, the Socket.IO clients and the streams of this process."""

    active: int = 0
    """WebSockets and Socket.IO clients."""
    streams: int = 0
    """Server-Sent Events."""
    restart: anyio.Event = field(default_factory=anyio.Event)
    """Set when they are to close because the server stops."""
    _left: anyio.Event = field(default_factory=anyio.Event)
    _leaving: set[Callable[[], object]] = field(default_factory=set)

    def stop(self) -> None:
        """Have all of them close, because the server stops."""
        if self.restart.is_set():
            return
        self.restart.set()
        for leave in list(self._leaving):
            leave()

    @contextmanager
    def leaving(self, leave: Callable[[], object]) -> Iterator[None]:
        """Call ``leave`` when the server stops within the block. It costs a connection less than a task that waits."""
        self._leaving.add(leave)
        try:
            if self.restart.is_set():
                leave()
            yield
        finally:
            self._leaving.discard(leave)

    @contextmanager
    def open(self, transport: Literal["websocket", "socketio"]) -> Iterator[None]:
        """Count a WebSocket or a Socket.IO client while it lasts."""
        self.active += 1
        try:
            with metrics.CONNECTIONS.labels(transport).track_inprogress():
                yield
        finally:
            self.active -= 1
            self._left.set()

    @contextmanager
    def stream(self, at_most: int) -> Iterator[None]:
        """Count a stream while it lasts.

        Raises:
            Overloaded: There are ``at_most`` already.
        """
        if self.streams >= at_most:
            raise Overloaded
        self.streams += 1
        try:
            with metrics.CONNECTIONS.labels("sse").track_inprogress():
                yield
        finally:
            self.streams -= 1

    async def until_none(self) -> None:
        """Wait until the last one has left."""
        while self.active:
            self._left = anyio.Event()
            await self._left.wait()


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a transport may use, put together by ``bootstrap``."""

    settings: Settings
    accounts: AccountService
    rates: RateLimits
    streaming: StreamingService
    threads: ThreadService
    bookings: BookingService
    sessions: SessionService
    explanations: ExplanationService
    dispatch: DispatchService
    voice: VoiceService
    webhooks: Signer | None
    """Proves who an event of the fleet comes from; None where none are taken."""
    health: HealthService
    figures: FigureService
    now_ms: NowMs
    recordings: RecordingService | None = None
    """None where nothing is recorded."""
    trace_request: Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]] | None = None
    """Serves a request within a span of its own; None where nothing is traced."""
    connections: Connections = field(default_factory=Connections)


def why_refused(services: Services, *, waiting: int = 0) -> type[AppError] | None:
    """Return why no further client is let in; None where one is. ``waiting`` are on their way in."""
    if services.streaming.draining:
        return Draining
    if max(services.connections.active, waiting) >= services.settings.max_connections:
        return Overloaded
    return None


async def get_services(connection: HTTPConnection) -> Services:
    """Return the services that the lifespan opened. Async, or FastAPI would ask a thread for them."""
    services: Services = connection.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]
