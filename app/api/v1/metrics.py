"""Figures for Prometheus."""

import anyio
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.deps import ServicesDep
from app.core.exposition import exposition

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(services: ServicesDep) -> Response:
    """Return what is counted, in Prometheus' text format. What a store cannot tell keeps its last value."""
    await services.figures.measure()
    # Collecting reads /proc, and other workers' files: not on the event loop.
    body = await anyio.to_thread.run_sync(exposition)
    return Response(body, media_type=CONTENT_TYPE_LATEST)
