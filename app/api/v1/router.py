"""Every route."""

from fastapi import APIRouter

from app.api.v1 import asyncapi, bookings, chat, console, health, threads, websocket

router = APIRouter()
for module in (console, health, chat, threads, bookings, websocket, asyncapi):
    router.include_router(module.router)
