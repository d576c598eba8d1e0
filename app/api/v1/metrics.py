"""Figures for Prometheus."""

from contextlib import suppress

import anyio
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.deps import ServicesDep
from app.core.errors import StoreError

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(services: ServicesDep) -> Response:
    """Return what is counted, in Prometheus' text format. What a store cannot tell keeps its last value."""
    with suppress(StoreError):
        await services.dispatch.measure()
    # Collecting reads /proc: not on the event loop.
    body = await anyio.to_thread.run_sync(generate_latest)
    return Response(body, media_type=CONTENT_TYPE_LATEST)
