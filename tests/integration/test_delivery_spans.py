"""Spans of what a booking leaves to be delivered: the tries to tell the fleet."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.models.delivery import Attempt, Delivery
from tests.collector import Collector, attributes, running_collector
from tests.desk import open_desk
from tests.fakes import FakeFleet

pytestmark = pytest.mark.integration

LINES = ("Hola, necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


def turn_of(collector: Collector, turn_id: str) -> Span:
    [turn] = [
        each for each in collector.named("invoke_workflow taxi") if attributes(each)["voztaxi.turn.id"] == turn_id
    ]
    return turn


async def test_a_dispatch_is_within_the_turn_that_caused_it(collector: Collector) -> None:
    async with open_desk(fleet=FakeFleet(), otel_exporter_otlp_endpoint=collector.url) as desk:
        end = (await desk.talk(*LINES, thread_id="thread"))[-1].end

    [dispatch] = collector.named("deliver dispatch")
    turn = turn_of(collector, end.turn_id)
    assert (dispatch.trace_id, dispatch.parent_span_id) == (turn.trace_id, turn.span_id)
    assert dispatch.start_time_unix_nano <= dispatch.end_time_unix_nano
    assert attributes(dispatch) == {
        "gen_ai.conversation.id": "thread",
        "voztaxi.turn.id": end.turn_id,
        "voztaxi.booking.id": end.booking_id,
        "voztaxi.delivery.attempt": 1,
        "voztaxi.delivery.outcome": "delivered",
    }


async def test_each_try_is_a_span_and_one_that_failed_says_so(collector: Collector) -> None:
    fleet = FakeFleet(*["unavailable"] * 3)
    async with open_desk(fleet=fleet, otel_exporter_otlp_endpoint=collector.url) as desk:
        await desk.talk(*LINES)

    tries = collector.named("deliver dispatch")
    assert [attributes(each)["voztaxi.delivery.outcome"] for each in tries] == ["failed", "delivered"]
    assert [each.status.code for each in tries] == [Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET]
    assert attributes(tries[0])["error.type"] == "failed"


async def test_a_cancellation_outside_a_turn_is_a_trace_of_its_own(collector: Collector) -> None:
    fleet = FakeFleet()
    async with open_desk(fleet=fleet, otel_exporter_otlp_endpoint=collector.url) as desk:
        end = (await desk.talk(*LINES))[-1].end
        assert end.booking_id is not None
        await desk.services.bookings.cancel(end.booking_id)
        await fleet.was_cancelled.wait()

    [cancel] = collector.named("deliver cancel")
    assert cancel.parent_span_id == b""
    assert attributes(cancel)["voztaxi.booking.id"] == end.booking_id


async def test_without_a_fleet_there_is_nothing_to_see(collector: Collector) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=collector.url) as desk:
        await desk.talk(*LINES)

    assert not [span for span in collector.spans if span.name.startswith("deliver")]


async def test_an_observer_that_fails_stops_no_delivery(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    seen: list[Delivery] = []

    def fail(_traces: Any, attempt: Attempt) -> None:
        seen.append(attempt.delivery)
        raise RuntimeError

    monkeypatch.setattr("app.turns.traces.Traces.delivered", fail)
    fleet = FakeFleet()
    async with open_desk(fleet=fleet, otel_exporter_otlp_endpoint=collector.url) as desk:
        await desk.talk(*LINES)

    assert seen
    assert len(fleet.taxis) == 1
