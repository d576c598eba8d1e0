"""How requests are counted: by what the server knows, and until the answer began."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from app.api import middleware
from app.api.middleware import RequestLog
from app.core.trace_context import TRACEPARENT

pytestmark = pytest.mark.unit


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


async def serve(
    app: Any, *, method: str = "GET", path: str = "/", headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        pass

    scope = {"type": "http", "method": method, "path": path, "headers": headers or []}
    await RequestLog(app)(scope, receive, send)


async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def series() -> int:
    return sum(len(family.samples) for family in REGISTRY.collect() if family.name.startswith("voztaxi_http_"))


async def test_made_up_methods_and_paths_make_no_series() -> None:
    await serve(answer, method="BREW", path="/coffee")
    before = series()
    for number in range(50):
        await serve(answer, method=f"BREW{number}", path=f"/coffee/{number}")

    assert series() == before


async def test_an_answer_is_timed_until_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(middleware, "time", clock)

    async def stream(scope: Scope, _receive: Receive, send: Send) -> None:
        scope["route"] = SimpleNamespace(path="/streamed")
        clock.now += 2
        await send({"type": "http.response.start", "status": 200, "headers": []})
        clock.now += 3600
        await send({"type": "http.response.body", "body": b""})

    await serve(stream)

    labels = {"route": "/streamed", "method": "GET"}
    assert REGISTRY.get_sample_value("voztaxi_http_request_seconds_sum", labels) == 2
    assert REGISTRY.get_sample_value("voztaxi_http_requests_total", {**labels, "status": "2xx"}) == 1


async def test_a_request_that_raises_is_counted_as_failed() -> None:
    async def broken(scope: Scope, _receive: Receive, _send: Send) -> None:
        scope["route"] = SimpleNamespace(path="/broken")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await serve(broken)

    labels = {"route": "/broken", "method": "GET", "status": "5xx"}
    assert REGISTRY.get_sample_value("voztaxi_http_requests_total", labels) == 1


@pytest.mark.parametrize(("values", "expected"), [([], None), ([b"a"], "a"), ([b"a", b"b"], None)])
async def test_the_trace_of_a_request_is_known_while_it_is_served(values: list[bytes], expected: str | None) -> None:
    seen = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(TRACEPARENT.get())
        await answer(scope, receive, send)

    await serve(look, headers=[(b"traceparent", value) for value in values])

    assert seen == [expected]
