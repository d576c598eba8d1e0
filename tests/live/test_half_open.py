"""Clients that begin and do not go on, and the riders who come meanwhile."""

from collections import Counter
from collections.abc import Iterator

import anyio.lowlevel
import httpx
import psutil
import pytest

from tests.live.half_open import HALF_BODY, HALF_HEAD, half_open, process_of, stream_request
from tests.live.server import Server, add_users, running_server

pytestmark = pytest.mark.live

COUNT = 300
MOST = 50
STREAMS = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that bears little."""
    limits = {"MAX_HALF_OPEN": str(MOST), "MAX_STREAMS": str(STREAMS), "OFFLINE_WORD_DELAY_MS": "20"}
    with running_server(tmp_path_factory.mktemp("half"), AUTH_REQUIRED="true", **limits) as started:
        add_users(started, "ana")
        yield started


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    login = httpx.post(f"{server.url}/auth/login", json={"username": "ana", "password": "ana's password"})
    found: str = login.json()["access_token"]
    return found


async def ride(server: Server, token: str) -> httpx.Response:
    """Return the answer to a rider who speaks like anybody."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        headers = {"Authorization": f"Bearer {token}"}
        return await client.post("/api/v1/chat", json={"text": "Hola"}, headers=headers)


def sockets(process: psutil.Process) -> int:
    """Return how many connections a process has."""
    return sum(each.status != psutil.CONN_LISTEN for each in process.net_connections("tcp"))


async def until_idle(server: Server) -> None:
    """Wait until no turn runs."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        while (await client.get("/health")).json()["active_turns"]:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("begun", [HALF_HEAD, HALF_BODY], ids=["half a head", "half a body"])
async def test_half_requests_are_bounded_and_a_rider_is_served_among_them(
    server: Server, token: str, begun: bytes
) -> None:
    process = process_of(server)
    async with half_open(server, COUNT, begun) as clients:
        answer = await ride(server, token)
        while sockets(process) > MOST + 5:
            await anyio.lowlevel.checkpoint()
        again = await ride(server, token)
        answers = Counter(each.status for each in clients)

    assert (answer.status_code, again.status_code) == (200, 200)
    assert answers == {408: answers[408], None: answers[None]}
    assert answers[None] <= MOST


async def test_streams_that_nobody_reads_are_bounded_and_their_turns_come_to_an_end(server: Server, token: str) -> None:
    process = process_of(server)
    await until_idle(server)
    async with half_open(server, COUNT, stream_request(token, "Hola")) as clients:
        answer = await ride(server, token)
        while not all(each.status for each in clients):
            await anyio.lowlevel.checkpoint()
        answers = Counter(each.status for each in clients)
    await until_idle(server)
    while sockets(process) > 0:
        await anyio.lowlevel.checkpoint()

    assert answer.status_code == 200
    assert answers == {200: answers[200], 503: answers[503]}
    assert answers[503] > 0
    assert answers[200] >= STREAMS
    assert 'voztaxi_connections{transport="sse"} 0.0' in httpx.get(f"{server.url}/metrics").text
