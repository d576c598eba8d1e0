"""Every route."""

from fastapi import APIRouter

from app.api.errors import PROBLEMS
from app.api.v1 import (
    asyncapi,
    auth,
    bookings,
    chat,
    console,
    dispatch,
    health,
    metrics,
    realtime,
    stream,
    threads,
    websocket,
)

router = APIRouter(responses=PROBLEMS)
for module in (
    console,
    health,
    metrics,
    auth,
    chat,
    stream,
    realtime,
    threads,
    bookings,
    dispatch,
    websocket,
    asyncapi,
):
    router.include_router(module.router)
