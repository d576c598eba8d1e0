"""Spans to a collector, by OTLP. The SDK is an extra: only who wants traces imports this module."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

log = structlog.stdlib.get_logger("voztaxi.telemetry")

_CLOSE_SECONDS = 5.0
_SERVICE = "voztaxi"


@asynccontextmanager
async def open_tracer(endpoint: str, *, version: str) -> AsyncIterator[Tracer]:
    """Open what makes spans. They are sent in batches by a thread; where too many wait, some are dropped.

    Sampling, headers, limits and the service's name are the SDK's own variables (``OTEL_TRACES_SAMPLER``,
    ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``, …).

    Args:
        endpoint: The collector's base address; ``/v1/traces`` is added.
        version: The service's version.
    """
    # It asks what it runs on, in threads that it waits for, and reads certificates.
    provider = await anyio.to_thread.run_sync(_open, endpoint, version)
    try:
        yield provider.get_tracer(_SERVICE, version)
    finally:
        await _close(provider)


def _open(endpoint: str, version: str) -> TracerProvider:
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _resource(version: str) -> Resource:
    """Return what the variables say of the service, and the project's name where they give none."""
    resource = Resource.create({"service.version": version})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": _SERVICE}))
    return resource


async def _close(provider: TracerProvider) -> None:
    """Send what waits, for a while. A collector that hangs holds up no stop: its thread ends with the process."""
    loop, closed = asyncio.get_running_loop(), anyio.Event()

    def close() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # nobody waited so long: the loop is gone
            loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=close, daemon=True, name="telemetry-close").start()
    with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
        await closed.wait()
        return
    log.warning("spans were not all sent")
