"""A fleet behind an HTTP API, as docs/dispatch.md describes it.

Every request is a signed POST: so are the look-ups, whose subjects (a rider, an address) then stand in
no access log, and in no part of a message that the signature leaves out.
"""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import httpx
import structlog
from pydantic import BaseModel, ValidationError

from app.core.clock import NewId, NowMs
from app.core.signatures import Signer
from app.engines.fleet.base import Coordinates, Customer, FleetAnswer, FleetError, FleetRefused, FleetUnavailable
from app.models.booking import Booking, Place

log = structlog.stdlib.get_logger("voztaxi.fleet")

Answer = TypeVar("Answer", bound=BaseModel)

_CONNECT_SECONDS = 2.0
_LOOK_UP_SECONDS = 1.0
_LARGEST_ANSWER = 64 * 1024
_LONGEST_RETRY_AFTER = 3600.0
_AGAIN = frozenset({408, 409, 425, 429})
"""Client errors that say «not now»: 409 is an earlier request with the same key that is still at work."""
_NOT_SENT = {"thread_id", "user_id", "status", "driver", "plate", "eta_minutes", "code", "revision"}
"""What is ours alone, or the fleet's own words."""


@dataclass(frozen=True, slots=True)
class SignedClient:
    """Sends signed JSON and reads small answers.

    Args:
        client: One for all requests; open for as long as this is used.
        signer: Signs what is sent.
        now_ms: The clock.
        timeout: Longest that a request may take in all, in seconds.
    """

    client: httpx.AsyncClient
    signer: Signer
    now_ms: NowMs
    timeout: float

    async def post(self, url: str, message: dict[str, Any], *, key: str) -> bytes:
        """Return the body of the answer to a message.

        Args:
            url: Where it goes.
            message: Anything that is JSON.
            key: Names the message: the ``Idempotency-Key``.

        Raises:
            FleetRefused: Answered with a client error that repeating does not mend.
            FleetUnavailable: Not answered in time, with a server's error, or with something else than an answer.
        """
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            **self.signer.headers(key, self.now_ms() // 1000, body),
            "Accept-Encoding": "identity",  # what is read is what was counted
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        try:
            with anyio.fail_after(self.timeout):
                async with self.client.stream("POST", url, content=body, headers=headers) as response:
                    return await _read(response)
        except TimeoutError as error:
            raise FleetUnavailable("no answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise FleetUnavailable(f"no answer: {type(error).__name__}") from error


@asynccontextmanager
async def open_client(signer: Signer, now_ms: NowMs, *, timeout: float) -> AsyncIterator[SignedClient]:
    """Open the client that all requests share; arguments as for ``SignedClient``."""
    limits = httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS))
    async with httpx.AsyncClient(timeout=limits, follow_redirects=False, trust_env=False) as client:
        yield SignedClient(client, signer, now_ms, timeout)


class HttpFleet:
    """A ``Fleet`` behind an HTTP API.

    Args:
        client: Sends the messages.
        url: Where dispatches are posted.
    """

    takes_everything = False

    def __init__(self, client: SignedClient, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")

    async def dispatch(self, booking: Booking, *, key: str) -> FleetAnswer:
        """See ``Fleet``."""
        message = booking.model_dump(mode="json", exclude=_NOT_SENT)
        return _parse(FleetAnswer, await self._client.post(self._url, message, key=key))

    async def cancel(self, booking: Booking, *, key: str) -> None:
        """See ``Fleet``."""
        url = f"{self._url}/{quote(booking.booking_id, safe='')}/cancel"
        await self._client.post(url, {"booking_id": booking.booking_id}, key=key)


class HttpDirectory:
    """A ``Directory`` behind an HTTP API. It is asked once, for a second at most.

    Args:
        client: Sends the messages.
        url: What ``/customers`` and ``/geocode`` are added to.
        new_id: Names the messages.
    """

    def __init__(self, client: SignedClient, url: str, new_id: NewId) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._new_id = new_id

    async def find_customer(self, client_id: str) -> Customer | None:
        """See ``Directory``."""
        return await self._look_up(Customer, "customers", {"client_id": client_id})

    async def geocode(self, place: Place) -> Coordinates | None:
        """See ``Directory``."""
        asked = place.model_dump(include={"address", "neighborhood", "city"}, exclude_none=True)
        return await self._look_up(Coordinates, "geocode", asked)

    async def _look_up(self, kind: type[Answer], path: str, message: dict[str, Any]) -> Answer | None:
        try:
            with anyio.fail_after(_LOOK_UP_SECONDS):
                body = await self._client.post(f"{self._url}/{path}", message, key=self._new_id())
            return _parse(kind, body)
        except TimeoutError:
            log.warning("look-up took too long", path=path)
        except FleetError as error:
            log.info("look-up found nothing", path=path, reason=str(error))
        return None


async def _read(response: httpx.Response) -> bytes:
    """Return the body of a good answer."""
    status = response.status_code
    if 400 <= status < 500 and status not in _AGAIN:
        raise FleetRefused(f"answered {status}")
    if not response.is_success:
        raise FleetUnavailable(f"answered {status}", retry_after=_retry_after(response.headers.get("retry-after")))
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _LARGEST_ANSWER:
            raise FleetUnavailable("the answer is too large")
    return bytes(body)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``; a date in it counts as none."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def _parse(kind: type[Answer], body: bytes) -> Answer:
    """Return what an answer says; an empty one says nothing more than that."""
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise FleetUnavailable("the answer cannot be read") from error
