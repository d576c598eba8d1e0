"""Health for operators and balancers."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.deps import ServicesDep

router = APIRouter(tags=["health"])


@router.get("/health", responses={503: {"description": "A store is unreachable or the server drains."}})
@router.get("/ready", responses={503: {"description": "A store is unreachable or the server drains."}})
async def health(services: ServicesDep) -> JSONResponse:
    """Say whether the server can do its work."""
    stores = await services.health.check()
    draining = services.streaming.draining
    healthy = all(stores.values()) and not draining
    body = {
        "status": "healthy" if healthy else "draining" if draining else "unhealthy",
        "stores": {name: "ok" if answered else "unreachable" for name, answered in stores.items()},
        "active_connections": services.connections.active,
        "active_turns": services.streaming.active_turns,
    }
    return JSONResponse(body, 200 if healthy else 503)
