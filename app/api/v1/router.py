"""Every route."""

from fastapi import APIRouter

from app.api.v1 import (
    asyncapi,
    auth,
    bookings,
    chat,
    chats,
    console,
    dispatch,
    health,
    metrics,
    realtime,
    stream,
    threads,
    websocket,
)

router = APIRouter()
for module in (
    console,
    health,
    metrics,
    auth,
    chat,
    chats,
    stream,
    realtime,
    threads,
    bookings,
    dispatch,
    websocket,
    asyncapi,
):
    router.include_router(module.router)
