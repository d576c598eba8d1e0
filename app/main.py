"""The ASGI application. No business rule, no vendor name."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.api.body_limit import BodyLimit
from app.api.deps import Services
from app.api.errors import add_error_handlers
from app.api.exposure import Exposure
from app.api.middleware import RequestLog, RequestTraces
from app.api.origins import LOOPBACK
from app.api.rate_limit import RateLimit
from app.api.shutdown import drain_on_signal
from app.api.socketio.server import create_socketio
from app.api.sockets import PlainSockets
from app.api.v1 import websocket
from app.api.v1.router import router
from app.bootstrap import open_services
from app.core.config import Settings
from app.core.errors import Misconfigured
from app.core.logging import configure_logging
from app.core.memory import bound_allocator, settled_memory

log = structlog.stdlib.get_logger("voztaxi")

Opener = Callable[[Settings], AbstractAsyncContextManager[Services]]


def create_app(settings: Settings | None = None, *, open_services: Opener = open_services) -> FastAPI:
    """Return the application.

    Args:
        settings: The settings; read from the environment where none are given.
        open_services: Puts the services together when the server starts.
    """
    settings = settings or Settings()
    sockets = create_socketio(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging(
            level=settings.effective_log_level,
            style=settings.log_format,
            file=settings.log_file,
            personal=settings.log_personal,
        )
        if settings.exposure is not None:
            raise Misconfigured(settings.exposure)
        bound_allocator()
        async with open_services(settings) as services, sockets.running(services):
            app.state.services = services
            with drain_on_signal(services), settled_memory():
                log.info(
                    "ready",
                    model=settings.llm_model if settings.model_kind == "openai" else "offline",
                    stores=settings.database_kind,
                    checkpoints=settings.checkpointer_kind,
                )
                yield
            await services.streaming.drain(settings.shutdown_grace_seconds)
            services.connections.stop()

    app = FastAPI(
        title="Voztaxi",
        version=version("voztaxi"),
        summary="A streaming voice agent that books taxis, in Spanish.",
        description="The WebSocket is described by `/asyncapi.json`, the console is at `/`.",
        lifespan=lifespan,
    )
    add_error_handlers(app)
    app.include_router(router)
    app.router.routes.append(sockets.route)
    app.add_middleware(PlainSockets, routes=[websocket.route])
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RateLimit)
    local = "local" in settings.allowed_origins
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[
            each for each in (*settings.allowed_origins, "null") if each != "local" and (local or each != "null")
        ],
        allow_origin_regex=LOOPBACK if local else None,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
        expose_headers=["Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"],
    )
    if settings.is_private:
        app.add_middleware(Exposure)
    if settings.otel_exporter_otlp_endpoint is not None:
        app.add_middleware(RequestTraces)
    app.add_middleware(RequestLog)
    return app


def __getattr__(name: str) -> FastAPI:
    """Make ``app`` when a server asks for ``app.main:app``: importing this module reads no environment."""
    if name == "app":
        return create_app()
    raise AttributeError(name)
