"""A real server and a real fleet: one booking, one taxi, whatever goes wrong between them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from pydantic import SecretStr

from app.cli.fleet import DEVELOPMENT_SECRET
from app.core.signatures import read_signer
from tests.live.fleet import Fleet, running_fleet
from tests.live.server import START_SECONDS, Rider, Server, free_port, rider, running_server

pytestmark = pytest.mark.live

REQUEST = "Necesito un taxi a la Calle 72 #43-25 en El Prado, pago en efectivo"
WAIT = "2"


@dataclass(frozen=True)
class Both:
    """A server, and the fleet that it dispatches to."""

    server: Server
    fleet: Fleet


@contextmanager
def both(folder: Path, **env: str) -> Iterator[Both]:
    port = free_port()
    with ExitStack() as stack:
        fleet = stack.enter_context(running_fleet(port, folder / "fleet"))
        quick = {"DISPATCH_TIMEOUT_SECONDS": "1", "DISPATCH_WAIT_SECONDS": WAIT}
        settings = {**fleet.settings, **quick, **env}
        yield Both(stack.enter_context(running_server(folder / "server", port=port, **settings)), fleet)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """One pair for tests that leave nothing behind but their own thread."""
    with both(tmp_path_factory.mktemp("both")) as pair:
        yield pair


@pytest.fixture
def pair(shared: Both) -> Both:
    """The shared pair, and a fleet that does as it is told."""
    shared.fleet.turn(assign_after=None)
    return shared


async def to_the_summary(client: Rider, thread_id: str, **fields: Any) -> None:
    """Say everything up to the yes."""
    await client.say(REQUEST, thread_id=thread_id, **fields)
    frames = await client.say("No", thread_id=thread_id)
    assert "¿Confirmas" in said(frames)


def said(frames: list[dict[str, Any]]) -> str:
    return "".join(frame["text"] for frame in frames if frame["type"] == "agent_chunk")


def result(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the dispatch answered."""
    (found,) = [frame for frame in frames if frame["type"] == "tool_result" and frame["name"] == "DispatchToBackend"]
    answer: dict[str, Any] = found["result"]
    return answer


async def update(client: Rider, frames: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Return a booking_update that came with ``frames``, or comes after them."""
    for frame in frames:
        if frame["type"] == "booking_update" and all(frame.get(name) == value for name, value in fields.items()):
            return frame
    return (await client.until("booking_update", **fields))[-1]


def booking(server: Server, booking_id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/api/v1/bookings/{booking_id}").raise_for_status().json()
    return found


def updates(server: Server, thread_id: str) -> list[dict[str, Any]]:
    """Return every booking_update of a thread so far, from its log."""
    seen = httpx.get(f"{server.url}/api/v1/threads/{thread_id}").raise_for_status().json()["last_seq"]
    found: list[dict[str, Any]] = []
    url = f"{server.url}/api/v1/threads/{thread_id}/events?after=0"
    with httpx.stream("GET", url, timeout=START_SECONDS) as events:
        seq = 0
        for line in events.iter_lines():
            if line.startswith("id: "):
                seq = int(line.removeprefix("id: "))
            if line.startswith("data: ") and '"booking_update"' in line:
                found.append(httpx.Response(200, text=line.removeprefix("data: ")).json())
            if not line and seq >= seen:
                return found
    raise AssertionError("the log ended")


async def test_the_fleets_answer_is_in_the_riders_answer(pair: Both) -> None:
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "good")
        frames = await client.say("Sí, confirmo", thread_id="good")

    answer = result(frames)
    taxi = pair.fleet.dispatch(answer["booking_id"])
    assert answer == {"booking_id": answer["booking_id"], "status": "accepted", "eta_minutes": taxi["eta_minutes"]}
    assert f"{taxi['eta_minutes']} minutos" in said(frames)
    assert (taxi["posts"], taxi["taxis"]) == (1, 1)
    assert taxi["key"] == f"{answer['booking_id']}:dispatch"


async def test_what_the_fleet_knows_of_rider_and_place_is_in_the_booking(pair: Both) -> None:
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "known", client_id="573001234567")
        answer = result(await client.say("Sí, confirmo", thread_id="known"))

    found = booking(pair.server, answer["booking_id"])
    assert found["passenger_name"] in ("Ana", "Carlos", "Beatriz", "Diego")
    assert 10.9 < found["pickup"]["lat"] < 11.1
    assert -74.9 < found["pickup"]["lon"] < -74.7


async def test_one_taxi_comes_although_the_fleet_answered_500_timed_out_and_was_asked_again(pair: Both) -> None:
    pair.fleet.turn(script=["500", "timeout", "500-after", "429", "500"], assign_after=None)
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "faulty")
        frames = await client.say("Sí, confirmo", thread_id="faulty")
        answer = result(frames)
        told = await update(client, frames, booking_id=answer["booking_id"])

    assert (answer["status"], answer["eta_minutes"]) == ("accepted", None)
    assert "estoy consiguiendo tu taxi" in said(frames)
    taxi = pair.fleet.dispatch(answer["booking_id"])
    assert (taxi["posts"], taxi["taxis"]) == (6, 1)
    assert (told["status"], told["eta_minutes"], told["revision"]) == ("accepted", taxi["eta_minutes"], 2)
    assert booking(pair.server, answer["booking_id"])["eta_minutes"] == taxi["eta_minutes"]


async def test_a_refusal_is_said_and_the_rider_may_ask_again(pair: Both) -> None:
    pair.fleet.turn(script=["422"], assign_after=None)
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "refused")
        frames = await client.say("Sí, confirmo", thread_id="refused")
        assert result(frames)["code"] == "dispatch_refused"
        assert "no pudo tomar el servicio" in said(frames)
        assert "booking_id" not in frames[-1]
        pair.fleet.turn(assign_after=None)
        again = result(await client.say("Sí", thread_id="refused"))

    assert again["status"] == "accepted"
    listed = httpx.get(f"{pair.server.url}/api/v1/bookings?thread_id=refused").json()["bookings"]
    assert [(each["status"], each["code"]) for each in listed] == [
        ("cancelled", "dispatch_refused"),
        ("accepted", None),
    ]


async def test_a_barge_in_while_the_taxi_is_sent_neither_undoes_it_nor_sends_two(pair: Both) -> None:
    pair.fleet.turn(script=["timeout"], assign_after=None)
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "barge")
        await client.send(type="user_input", text="Sí, confirmo", thread_id="barge")
        await client.until("tool_call", name="DispatchToBackend")
        frames = await client.say("¿En qué va mi taxi?", thread_id="barge")
        answer = result(frames)
        assert frames[-1]["status"] == "interrupted"
        assert frames[-1]["booking_id"] == answer["booking_id"]
        await update(client, [*frames, *await client.until("turn_end")], booking_id=answer["booking_id"])

    taxi = pair.fleet.until(answer["booking_id"], posts=2)
    assert taxi["taxis"] == 1
    assert [each["eta_minutes"] for each in updates(pair.server, "barge")] == [taxi["eta_minutes"]]
    assert len(httpx.get(f"{pair.server.url}/api/v1/bookings?thread_id=barge").json()["bookings"]) == 1


async def test_a_rider_who_leaves_while_the_taxi_is_sent_finds_it_when_they_come_back(pair: Both) -> None:
    pair.fleet.turn(script=["timeout"], assign_after=None)
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "leaves")
        await client.send(type="user_input", text="Sí, confirmo", thread_id="leaves")
        called = (await client.until("tool_call", name="DispatchToBackend"))[-1]
    async with rider(pair.server.ws) as client:
        await client.send(type="replay", thread_id="leaves", after_seq=called["seq"])
        told = (await client.until("booking_update"))[-1]

    taxi = pair.fleet.dispatch(told["booking_id"])
    assert taxi["taxis"] == 1
    assert told["eta_minutes"] == taxi["eta_minutes"]


async def test_a_rides_events_reach_whoever_listens_and_each_once(pair: Both) -> None:
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "ride")
        booking_id = result(await client.say("Sí, confirmo", thread_id="ride"))["booking_id"]
        for after, happening in enumerate(("assigned", "arrived", "assigned", "completed", "cancelled"), 1):
            for _ in range(2):
                assert pair.fleet.tell(booking_id, happening, after=after, event_id=f"{booking_id}{after}") == 204
        await update(client, client.frames, status="completed")
        told = [frame for frame in client.frames if frame["type"] == "booking_update"]

    taxi = pair.fleet.dispatch(booking_id)
    moved = [frame for frame in told if frame["status"] != "accepted"]
    assert [frame["status"] for frame in moved] == ["assigned", "arrived", "completed"]
    assert (moved[0]["driver"], moved[0]["plate"]) == (taxi["driver"], taxi["plate"])
    found = booking(pair.server, booking_id)
    assert (found["status"], found["plate"]) == ("completed", taxi["plate"])
    logged = [each["status"] for each in updates(pair.server, "ride") if each["status"] != "accepted"]
    assert logged == ["assigned", "arrived", "completed"]


async def test_a_cancelled_taxi_is_called_off_and_does_not_come_back(pair: Both) -> None:
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "cancel")
        booking_id = result(await client.say("Sí, confirmo", thread_id="cancel"))["booking_id"]
        frames = await client.say("Cancela el taxi", thread_id="cancel")
        assert "CancelBooking" in [frame["name"] for frame in frames if frame["type"] == "tool_call"]
        await update(client, frames, status="cancelled")
    pair.fleet.until(booking_id, status="cancelled")

    assert pair.fleet.tell(booking_id, "assigned") == 204
    assert booking(pair.server, booking_id)["status"] == "cancelled"


async def test_a_taxi_that_is_cancelled_before_the_fleet_could_be_told_is_never_sent(pair: Both) -> None:
    pair.fleet.turn(script=["500"] * 50, assign_after=None)
    async with rider(pair.server.ws) as client:
        await to_the_summary(client, "never")
        booking_id = result(await client.say("Sí, confirmo", thread_id="never"))["booking_id"]
    httpx.post(f"{pair.server.url}/api/v1/bookings/{booking_id}/cancel").raise_for_status()
    pair.fleet.turn(assign_after=None)
    # The cancel waits in the outbox behind the dispatch, which is given up for it.
    deadline = time.monotonic() + START_SECONDS
    while booking_id in pair.server.run("dispatch", "list").stdout and time.monotonic() < deadline:
        time.sleep(0.2)

    assert booking_id not in pair.server.run("dispatch", "list").stdout
    assert pair.fleet.dispatch(booking_id)["taxis"] == 0


def test_an_event_that_proves_nothing_is_refused(pair: Both) -> None:
    url = f"{pair.server.url}/api/v1/dispatch/webhook"
    signer = read_signer(SecretStr(DEVELOPMENT_SECRET))
    body = b'{"type":"booking.assigned","timestamp":"2026-11-21T12:00:00Z","data":{"booking_id":"nobody"}}'
    now = int(time.time())
    good = signer.headers("event", now, body)
    cases: list[tuple[int, str, dict[str, str], bytes]] = [
        (401, "bad_signature", {}, body),
        (401, "bad_signature", good, body + b" "),
        (401, "bad_signature", {**good, "webhook-id": "other"}, body),
        (401, "bad_signature", signer.headers("event", now - 400, body), body),
        (404, "not_found", good, body),
        (422, "invalid_message", signer.headers("event", now, b"[]"), b"[]"),
        (413, "body_too_large", {}, b"x" * 70_000),
    ]
    for status, code, headers, content in cases:
        answer = httpx.post(url, headers=headers, content=content)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"


def test_operators_see_what_was_delivered(pair: Both) -> None:
    figures = httpx.get(f"{pair.server.url}/metrics").text

    assert 'voztaxi_dispatch_deliveries_total{kind="dispatch",outcome="delivered"}' in figures
    assert "voztaxi_dispatch_pending " in figures
    assert "voztaxi_dispatch_parked 0.0" in figures


async def test_a_server_that_is_killed_between_booking_and_dispatch_sends_the_taxi_after_its_restart(
    tmp_path: Path,
) -> None:
    with both(tmp_path, DISPATCH_WAIT_SECONDS="0") as pair:
        pair.fleet.turn(delay=30, assign_after=None)  # nothing is answered while the server lives
        async with rider(pair.server.ws) as client:
            await to_the_summary(client, "killed")
            booking_id = result(await client.say("Sí, confirmo", thread_id="killed"))["booking_id"]
        pair.server.kill()
        pair.fleet.turn(assign_after=None)
        pair.server.start()
        taxi = pair.fleet.until(booking_id, taxis=1)
        async with rider(pair.server.ws) as client:
            await client.send(type="replay", thread_id="killed", after_seq=0)
            told = (await client.until("booking_update"))[-1]

        assert told["eta_minutes"] == taxi["eta_minutes"]
        assert pair.fleet.dispatch(booking_id)["taxis"] == 1
        assert len(httpx.get(f"{pair.server.url}/api/v1/bookings?thread_id=killed").json()["bookings"]) == 1


async def test_what_was_given_up_raises_the_alarm_and_is_delivered_when_an_operator_says_so(tmp_path: Path) -> None:
    with both(tmp_path, DISPATCH_MAX_ATTEMPTS="2") as pair:
        # Beside the rider's socket, which is to answer pings meanwhile.
        operate = partial(anyio.to_thread.run_sync, pair.server.run, "dispatch")
        pair.fleet.turn(script=["500"] * 100, assign_after=None)
        async with rider(pair.server.ws) as client:
            await to_the_summary(client, "parked")
            frames = await client.say("Sí, confirmo", thread_id="parked")
            booking_id = result(frames)["booking_id"]
            assert "estoy consiguiendo tu taxi" in said(frames)
            warned = await update(client, frames)
            assert (warned["status"], warned["code"]) == ("accepted", "dispatch_delayed")
            listed = (await operate("list")).stdout
            assert f"parked   {booking_id}:dispatch" in listed
            assert "answered 500" in listed
            assert "voztaxi_dispatch_parked 1.0" in httpx.get(f"{pair.server.url}/metrics").text
            assert "delivery was parked" in pair.server.log.read_text()

            pair.fleet.turn(assign_after=None)
            assert (await operate("retry", "nothing-of-the-kind")).returncode == 1
            assert (await operate("retry", booking_id)).stdout == "1 due again\n"
            told = (await client.until("booking_update"))[-1]

        taxi = pair.fleet.dispatch(booking_id)
        assert (told["eta_minutes"], told.get("code")) == (taxi["eta_minutes"], None)
        assert taxi["taxis"] == 1
        assert "voztaxi_dispatch_parked 0.0" in httpx.get(f"{pair.server.url}/metrics").text


def test_without_a_secret_there_is_no_webhook(tmp_path: Path) -> None:
    with running_server(tmp_path, DATABASE_URL="memory://") as server:
        answer = httpx.post(f"{server.url}/api/v1/dispatch/webhook", content=b"{}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_address_without_a_secret_is_refused_at_the_start(tmp_path: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "app.cli", "config"],
        cwd=tmp_path,
        env={"DISPATCH_URL": "http://127.0.0.1:1/dispatches", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 2
    assert "DISPATCH_SECRET" in started.stderr
