"""The fleet itself: who was sent where, and what is told about it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal, Self

import anyio
import httpx
from anyio.abc import TaskGroup
from pydantic import BaseModel, ConfigDict, Field

from app.core.clock import NowMs, now_ms
from app.core.signatures import Signer

Fault = Literal["ok", "500", "500-after", "timeout", "429", "422"]
"""What becomes of a post: taken; an error without or with a taxi sent; a taxi but no answer; not now; never."""

Happening = Literal["assigned", "arrived", "completed", "cancelled"]

_DRIVERS = ("Luis Pérez", "Marta Ruiz", "Jairo Gómez", "Nelly Ortiz", "Óscar Díaz")
_NAMES = ("Ana", "Carlos", "Beatriz", "Diego")
_TRIES = 8
_HELD_SECONDS = 30.0
"""How long a post is held that is to time out."""


class Knobs(BaseModel):
    """How the fleet behaves. All of it may be changed while it runs."""

    model_config = ConfigDict(extra="forbid")

    script: list[Fault] = []
    """What becomes of the first posts of each key; those after it are taken."""
    fail_rate: float = Field(default=0, ge=0, le=1)
    """Share of the other posts that are answered with 500, half of them after the taxi was sent."""
    delay: float = Field(default=0, ge=0)
    """Pause before each answer, in seconds."""
    assign_after: float | None = Field(default=2, ge=0)
    """When a driver is found, in seconds; None is never."""
    ride: list[Happening] = ["assigned"]
    """What is told of each ride, a pause of ``assign_after`` before each."""
    twice: bool = False
    """Tell everything twice."""
    shuffle: bool = False
    """Tell it in any order."""


@dataclass(slots=True)
class Dispatch:
    """What came of one ``Idempotency-Key``."""

    key: str
    booking_id: str
    driver: str
    plate: str
    eta_minutes: int
    posts: int = 0
    taxis: int = 0
    status: str = "unknown"
    told: list[str] = field(default_factory=list)
    """Events that the other side has taken, in order."""


class DevFleet:
    """A fleet on paper, open inside ``async with``.

    Args:
        signer: Signs what it tells.
        webhook_url: Where it tells it; None is nowhere.
        knobs: How it behaves.
        seed: Chooses drivers, and what fails.
        now_ms: The clock.
    """

    def __init__(
        self, *, signer: Signer, webhook_url: str | None, knobs: Knobs, seed: int, now_ms: NowMs = now_ms
    ) -> None:
        self.signer = signer
        self.webhook_url = webhook_url
        self.knobs = knobs
        self.now_ms = now_ms
        self.dispatches: dict[str, Dispatch] = {}
        self._cancelled: set[str] = set()
        self._random = Random(seed)  # noqa: S311 - chooses drivers on paper
        self._client: httpx.AsyncClient
        self._tasks: TaskGroup

    async def __aenter__(self) -> Self:
        """Begin to tell."""
        self._client = httpx.AsyncClient(timeout=5, trust_env=False)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        """Stop."""
        self._tasks.cancel_scope.cancel()
        await self._client.aclose()
        return await self._tasks.__aexit__(*error)

    async def post(self, key: str, booking_id: str) -> tuple[int, dict[str, Any]]:
        """Take a booking; return the status and the body of the answer. One key sends one taxi."""
        dispatch = self.dispatches.get(key) or self._new(key, booking_id)
        dispatch.posts += 1
        fault = self._fault(dispatch.posts)
        await anyio.sleep(self.knobs.delay)
        if booking_id in self._cancelled:
            return 410, {"code": "cancelled"}
        if fault == "500":
            return 500, {}
        if fault == "429":
            return 429, {"code": "busy"}
        if fault == "422":
            return 422, {"code": "no_taxi"}
        self._send_taxi(dispatch)
        if fault == "timeout":
            await anyio.sleep(_HELD_SECONDS)
        if fault != "ok":
            return 500, {}
        return 200, {"eta_minutes": dispatch.eta_minutes}

    async def cancel(self, key: str, booking_id: str) -> None:
        """Call a taxi off, also one that was not asked for yet: a dispatch that comes late is then refused."""
        self._cancelled.add(booking_id)
        for dispatch in self.dispatches.values():
            if dispatch.booking_id == booking_id and dispatch.taxis:
                dispatch.status = "cancelled"

    def customer(self, client_id: str) -> dict[str, Any]:
        """Return a rider's name, the same for the same id."""
        return {"name": _NAMES[sum(client_id.encode()) % len(_NAMES)]}

    def coordinates(self, address: str) -> dict[str, Any]:
        """Return a point in Barranquilla, the same for the same address."""
        number = sum(address.encode())
        return {"lat": 10.95 + number % 100 / 1000, "lon": -74.85 + number % 77 / 1000}

    async def tell(self, booking_id: str, happening: Happening, *, after: float = 0, event_id: str = "") -> int:
        """Tell of a ride, again until it is taken; return the last status of an answer, 0 for none.

        Args:
            booking_id: Which ride.
            happening: What happened.
            after: How much later than now it happened, in seconds; negative is earlier.
            event_id: Names the event; the same again is the same event.
        """
        dispatch = next((each for each in self.dispatches.values() if each.booking_id == booking_id), None)
        who = {} if dispatch is None else {"driver": dispatch.driver, "plate": dispatch.plate}
        eta = {"eta_minutes": dispatch.eta_minutes} if dispatch is not None and happening == "assigned" else {}
        at = datetime.fromtimestamp(self.now_ms() / 1000, UTC) + timedelta(seconds=after)
        message = {
            "type": f"booking.{happening}",
            "timestamp": at.isoformat(),
            "data": {"booking_id": booking_id, **who, **eta},
        }
        status = await self._post(event_id or f"{booking_id}:{happening}", json.dumps(message).encode())
        if status == 204 and dispatch is not None:
            dispatch.told.append(happening)
        return status

    def _new(self, key: str, booking_id: str) -> Dispatch:
        chance = self._random
        plate = "".join(chance.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3)) + f"{chance.randrange(1000):03}"
        dispatch = Dispatch(key, booking_id, chance.choice(_DRIVERS), plate, chance.randint(2, 12))
        self.dispatches[key] = dispatch
        return dispatch

    def _fault(self, post: int) -> Fault:
        if post <= len(self.knobs.script):
            return self.knobs.script[post - 1]
        if self._random.random() < self.knobs.fail_rate:
            return self._random.choice(("500", "500-after"))
        return "ok"

    def _send_taxi(self, dispatch: Dispatch) -> None:
        if dispatch.taxis:
            return
        dispatch.taxis += 1
        dispatch.status = "sent"
        if self.webhook_url is not None and self.knobs.assign_after is not None:
            self._tasks.start_soon(self._ride, dispatch, self.knobs.assign_after)

    async def _ride(self, dispatch: Dispatch, pause: float) -> None:
        for number, happening in self._order():
            await anyio.sleep(pause)
            if dispatch.status == "cancelled":
                return
            dispatch.status = happening
            for _ in range(1 + self.knobs.twice):
                await self.tell(dispatch.booking_id, happening, after=float(number))

    def _order(self) -> Iterator[tuple[int, Happening]]:
        ride = list(enumerate(self.knobs.ride))
        if self.knobs.shuffle:
            self._random.shuffle(ride)
        return iter(ride)

    async def _post(self, event_id: str, body: bytes) -> int:
        status = 0
        for attempt in range(_TRIES):
            headers = self.signer.headers(event_id, self.now_ms() // 1000, body)
            try:
                answer = await self._client.post(
                    self.webhook_url or "", content=body, headers={**headers, "Content-Type": "application/json"}
                )
                status = answer.status_code
            except httpx.HTTPError:
                status = 0
            if 0 < status < 500 and status != 429:
                break
            await anyio.sleep(min(5.0, 0.2 * 2**attempt))
        return status
