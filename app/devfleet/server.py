"""The fleet's HTTP API, as docs/dispatch.md describes it, and knobs for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app.core.signatures import BadSignatureError
from app.devfleet.fleet import DevFleet, Happening, Knobs


class Telling(BaseModel):
    """An event that a test wants told."""

    booking_id: str
    happening: Happening
    after: float = 0
    event_id: str = ""


def create_fleet_app(fleet: DevFleet) -> FastAPI:
    """Return the application of a fleet."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with fleet:
            yield

    app = FastAPI(title="Voztaxi development fleet", lifespan=lifespan)

    async def read(request: Request) -> tuple[str, dict[str, Any]]:
        """Return the key and the message of a request that is genuine."""
        body = await request.body()
        try:
            fleet.signer.verify(request.headers, body, now=fleet.now_ms() // 1000)
        except BadSignatureError as error:
            raise HTTPException(401, str(error)) from error
        key = request.headers.get("idempotency-key")
        if not key:
            raise HTTPException(400, "no Idempotency-Key")
        message: dict[str, Any] = await request.json()
        return key, message

    @app.post("/dispatches")
    async def dispatch(request: Request) -> JSONResponse:
        key, message = await read(request)
        status, answer = await fleet.post(key, str(message["booking_id"]))
        return JSONResponse(answer, status)

    @app.post("/dispatches/{booking_id}/cancel", status_code=204)
    async def cancel(booking_id: str, request: Request) -> None:
        key, _ = await read(request)
        await fleet.cancel(key, booking_id)

    @app.post("/customers")
    async def customers(request: Request) -> dict[str, Any]:
        _, message = await read(request)
        return fleet.customer(str(message["client_id"]))

    @app.post("/geocode")
    async def geocode(request: Request) -> dict[str, Any]:
        _, message = await read(request)
        return fleet.coordinates(str(message["address"]))

    @app.get("/dispatches")
    async def dispatches() -> dict[str, Any]:
        """Say for each key how often it was posted and how many taxis were sent."""
        return {"dispatches": [asdict(each) for each in fleet.dispatches.values()]}

    @app.get("/knobs")
    async def knobs() -> Knobs:
        return fleet.knobs

    @app.put("/knobs")
    async def turn(knobs: Knobs) -> Knobs:
        fleet.knobs = knobs
        return knobs

    @app.post("/tell")
    async def tell(telling: Telling) -> dict[str, int]:
        """Send one event; return how it was answered."""
        status = await fleet.tell(telling.booking_id, telling.happening, after=telling.after, event_id=telling.event_id)
        return {"status": status}

    return app
