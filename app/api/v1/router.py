"""Every route."""

from fastapi import APIRouter

from app.api.errors import PROBLEMS
from app.api.v1 import (
    asyncapi,
    auth,
    bookings,
    chat,
    chats,
    dispatch,
    health,
    metrics,
    pages,
    realtime,
    recordings,
    stream,
    threads,
    voice,
    voice_sandwich,
    websocket,
)

router = APIRouter(responses=PROBLEMS)
for module in (
    pages,
    health,
    metrics,
    auth,
    chat,
    chats,
    stream,
    realtime,
    threads,
    bookings,
    recordings,
    dispatch,
    voice,
    voice_sandwich,
    websocket,
    asyncapi,
):
    router.include_router(module.router)
