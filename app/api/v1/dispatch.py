"""What the fleet tells about rides: signed webhooks, as docs/dispatch.md describes them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from app.api.deps import ServicesDep
from app.core import metrics
from app.core.errors import BadInput, BadSignature, BodyTooLarge, NotFound
from app.core.signatures import BadSignatureError
from app.models.booking import BookingStatus

router = APIRouter(prefix="/api/v1/dispatch", tags=["dispatch"])

_LARGEST_BODY = 64 * 1024


class Ride(BaseModel):
    """Which ride, and who comes."""

    model_config = ConfigDict(extra="ignore")

    booking_id: Annotated[str, Field(min_length=1, max_length=128)]
    driver: Annotated[str, Field(max_length=120)] | None = None
    plate: Annotated[str, Field(max_length=20)] | None = None
    eta_minutes: Annotated[int, Field(ge=0, le=1440)] | None = None


class RideEvent(BaseModel):
    """Something that happened to a ride. ``timestamp`` is when: of two the later one holds."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["booking.assigned", "booking.arrived", "booking.completed", "booking.cancelled"]
    timestamp: AwareDatetime
    data: Ride


_STATUS: dict[str, BookingStatus] = {
    "booking.assigned": "assigned",
    "booking.arrived": "arrived",
    "booking.completed": "completed",
    "booking.cancelled": "cancelled",
}


_EVENT = RideEvent.model_json_schema()
_EVENT["properties"]["data"] = _EVENT.pop("$defs")["Ride"]
"""For the OpenAPI document, where a reference is one into the whole document."""


@router.post(
    "/webhook",
    status_code=204,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _EVENT}},
        }
    },
)
async def webhook(request: Request, services: ServicesDep) -> Response:
    """Take an event of the fleet, signed as Standard Webhooks has it. Again, or too late, it changes nothing."""
    if services.webhooks is None:
        raise NotFound
    body = await _read(request)
    now = services.now_ms()
    try:
        event_id = services.webhooks.verify(request.headers, body, now=now // 1000)
    except BadSignatureError as error:
        metrics.DISPATCH_WEBHOOKS.labels("refused").inc()
        raise BadSignature from error
    try:
        event = RideEvent.model_validate_json(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadInput(f"El campo «{where}» no es válido.") from error
    ride = event.data
    await services.dispatch.take(
        ride.booking_id,
        _STATUS[event.type],
        event_id=event_id,
        at=int(event.timestamp.timestamp() * 1000),
        driver=ride.driver,
        plate=ride.plate,
        eta_minutes=ride.eta_minutes,
    )
    return Response(status_code=204)


async def _read(request: Request) -> bytes:
    """Return the body; one that is too large is not read to its end.

    Raises:
        BodyTooLarge: It is.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_BODY:
            raise BodyTooLarge(f"El cuerpo pasa de {_LARGEST_BODY} bytes.")
    return bytes(body)
