"""A fleet behind HTTP: what is sent, and what each answer means."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from app.core.signatures import Signer
from app.engines.fleet.base import Coordinates, FleetAnswer, FleetRefused, FleetUnavailable
from app.engines.fleet.http import HttpDirectory, HttpFleet, SignedClient
from app.models.booking import Place
from tests.unit.models.test_delivery import BOOKING

pytestmark = pytest.mark.unit

SIGNER = Signer((b"k" * 32,))
NOW = 1_800_000_000
URL = "http://fleet/dispatches/"

Answer = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def signed(answer: Answer, timeout: float = 5) -> AsyncIterator[SignedClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        yield SignedClient(client, SIGNER, lambda: NOW * 1000, timeout)


async def dispatch(answer: Answer) -> FleetAnswer:
    async with signed(answer) as client:
        return await HttpFleet(client, URL).dispatch(BOOKING, key="b:dispatch")


async def test_a_booking_is_posted_with_its_key_and_a_signature_over_what_is_sent() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"eta_minutes": 4, "driver": "Luis", "plate": "ABC123", "more": "is ignored"})

    assert await dispatch(answer) == FleetAnswer(eta_minutes=4, driver="Luis", plate="ABC123")
    (request,) = asked
    assert (request.method, str(request.url)) == ("POST", "http://fleet/dispatches")
    assert request.headers["idempotency-key"] == "b:dispatch"
    assert SIGNER.verify(request.headers, request.content, now=NOW) == "b:dispatch"
    sent = json.loads(request.content)
    assert sent["pickup"]["address"] == "Calle 72 #43-25"
    assert not sent.keys() & {"thread_id", "user_id", "request_key", "status", "revision"}


async def test_a_cancel_is_posted_to_the_booking() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url} {request.headers['idempotency-key']}")
        return httpx.Response(204)

    async with signed(answer) as client:
        strange = BOOKING.model_copy(update={"booking_id": "a/../b?c"})
        await HttpFleet(client, URL).cancel(strange, key="b:cancel")
    assert asked == ["http://fleet/dispatches/a%2F..%2Fb%3Fc/cancel b:cancel"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_clients_error_is_a_refusal(status: int) -> None:
    with pytest.raises(FleetRefused):
        await dispatch(lambda _: httpx.Response(status))


@pytest.mark.parametrize("status", [301, 307, 408, 409, 425, 429, 500, 502, 503, 504])
async def test_what_may_be_mended_by_asking_again_is_not(status: int) -> None:
    with pytest.raises(FleetUnavailable) as failed:
        await dispatch(lambda _: httpx.Response(status, headers={"Location": "http://elsewhere/"}))
    assert failed.value.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("1.5", 1.5), ("-3", 0), ("1e9", 3600), ("nan", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
async def test_the_fleet_may_say_when_to_ask_again(header: str, seconds: float | None) -> None:
    with pytest.raises(FleetUnavailable) as failed:
        await dispatch(lambda _: httpx.Response(429, headers={"Retry-After": header}))
    assert failed.value.retry_after == seconds


@pytest.mark.parametrize(
    "body", [b"<html>", b"[1]", b'{"eta_minutes": -1}', b'{"plate": 3}', b"x" * 70_000, b'{"driver": "' + b"x" * 200]
)
async def test_an_answer_that_cannot_be_read_is_none(body: bytes) -> None:
    with pytest.raises(FleetUnavailable):
        await dispatch(lambda _: httpx.Response(200, content=body))


async def test_an_empty_answer_takes_the_booking_and_says_no_more() -> None:
    assert await dispatch(lambda _: httpx.Response(204)) == FleetAnswer()


async def test_a_fleet_that_cannot_be_reached_is_asked_again() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    with pytest.raises(FleetUnavailable, match="ConnectError"):
        await dispatch(answer)


async def test_no_answer_takes_longer_than_it_may() -> None:
    async def never(_request: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with signed(never, timeout=0.01) as client:  # type: ignore[arg-type]
        with pytest.raises(FleetUnavailable, match="in time"):
            await HttpFleet(client, URL).dispatch(BOOKING, key="k")


async def test_a_look_up_that_fails_knows_nothing() -> None:
    for status, body in ((404, b""), (500, b""), (200, b'{"lat": 400, "lon": 0}'), (200, b"")):
        async with signed(lambda _, status=status, body=body: httpx.Response(status, content=body)) as client:  # type: ignore[misc]
            directory = HttpDirectory(client, "http://fleet/", lambda: "id")
            assert await directory.geocode(Place(address="Calle 72")) is None


async def test_a_look_up_sends_the_subject_in_its_body_alone() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"lat": 10.9, "lon": -74.8, "name": "Ana"})

    async with signed(answer) as client:
        directory = HttpDirectory(client, "http://fleet/", lambda: "id")
        assert await directory.geocode(Place(address="Calle 72", city="Soledad")) == Coordinates(lat=10.9, lon=-74.8)
        customer = await directory.find_customer("57300")
    assert customer is not None
    assert customer.name == "Ana"
    assert [str(request.url) for request in asked] == ["http://fleet/geocode", "http://fleet/customers"]
    assert [json.loads(request.content) for request in asked] == [
        {"address": "Calle 72", "city": "Soledad"},
        {"client_id": "57300"},
    ]
