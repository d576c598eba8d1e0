"""POST /stream/chat: one stream, whatever is cut, and one turn behind it."""

import gc
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import jwt
import pytest
import zstandard
from fastapi import FastAPI
from prometheus_client import REGISTRY

from app.api.dialects.stream_chat import StreamChatDialect
from app.api.sse import EventStream
from app.api.v1 import stream
from app.main import create_app
from app.models.account import Caller
from app.models.events import TurnEnd, TurnStart
from tests.asgi import Call, calling
from tests.desk import Desk, make_settings, offline_model, open_desk
from tests.fakes import FaultyModel

pytestmark = pytest.mark.integration

SECRET = "a secret that is long enough for HS256"
ANA = Caller(account_id="ana")
SLOW = {"offline_word_delay_ms": 5}


def token(account: str = "ana", **changes: Any) -> str:
    said = {"iss": "voztaxi", "aud": "voztaxi", "sub": account, "exp": 4_000_000_000} | changes
    return jwt.encode(said, SECRET, algorithm="HS256")


class Office:
    """The application over a desk."""

    def __init__(self, app: FastAPI, desk: Desk) -> None:
        self.app = app
        self.desk = desk

    def post(
        self, message: object = "Hola", *, account: str = "ana", headers: dict[str, str] | None = None, **fields: object
    ) -> AbstractAsyncContextManager[Call]:
        """Send a message."""
        given = {"authorization": f"Bearer {token(account)}", **(headers or {})}
        return calling(self.app, "POST", "/stream/chat", {"message": message, **fields}, given)

    def resume(self, last_event_id: str | None, **fields: object) -> AbstractAsyncContextManager[Call]:
        """Send it again, saying what was seen of its stream."""
        assert last_event_id is not None
        return self.post(headers={"last-event-id": last_event_id}, **fields)

    async def answered(self, message: object = "Hola", **fields: Any) -> Call:
        """Return the whole answer to a message."""
        async with self.post(message, **fields) as call:
            await call.ended.wait()
        return call

    async def resume_whole(self, last_event_id: str | None) -> list[bytes]:
        """Return all events after one."""
        async with self.resume(last_event_id) as call:
            await call.ended.wait()
        return [event.raw for event in call.events]

    async def cut_short(self, thread_id: str) -> None:
        """Send a message, and leave when the answer begins."""
        async with self.post("Hola", conversation_id=thread_id) as call:
            await call.until("chunk")

    async def turns(self, thread_id: str) -> int:
        """Return how many turns a thread has had."""
        return sum(isinstance(record.event, TurnStart) for record in await self.desk.log(thread_id))

    async def until_turn_ends(self, thread_id: str) -> TurnEnd:
        """Wait for the end of a thread's first turn."""
        async with self.desk.services.streaming.subscribe(thread_id, after_seq=0, caller=ANA) as reader:
            while True:
                for record in await reader.read():
                    if isinstance(record.event, TurnEnd):
                        return record.event


@asynccontextmanager
async def office(**settings: Any) -> AsyncIterator[Office]:
    """Open the application in this process."""
    model = settings.pop("model", None)
    chosen = {"jwt_secret": SECRET, **settings}
    async with open_desk(model=model, **chosen) as desk:
        app = create_app(make_settings(**chosen))
        app.state.services = desk.services
        yield Office(app, desk)


# The answer.


async def test_a_message_is_answered_by_its_stream() -> None:
    async with office() as here:
        call = await here.answered("Hola", conversation_id="t")
        end = await here.until_turn_ends("t")
        [question, answer] = await here.desk.stores.conversations.messages("t")

    assert (call.status, call.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert call.headers["cache-control"] == "no-cache"
    assert call.headers["x-accel-buffering"] == "no"
    assert call.pieces[0].startswith(b"retry: 1000\n\nevent: start\n")
    assert call.names == ["start", *["chunk"] * (len(call.events) - 2), "end"]
    assert call.text == end.text == answer.content
    assert question.content == "Hola"
    chunks = [event.data for event in call.events[1:-1]]
    assert [chunk["chunk_index"] for chunk in chunks] == list(range(len(chunks)))
    assert [chunk["is_final"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert call.events[0].data == {"conversation_id": "t", "status": "processing"}
    assert call.events[-1].data == {"conversation_id": "t", "status": "completed", "message_count": 1}
    assert call.is_whole


async def test_a_message_without_a_conversation_begins_one_that_goes_on() -> None:
    async with office() as here:
        first = await here.answered("Necesito un taxi")
        thread_id = first.events[0].data["conversation_id"]
        second = await here.answered("Calle 72 #43-25", conversation_id=thread_id)

        assert second.events[-1].data["status"] == "completed"
        assert await here.turns(thread_id) == 2


async def test_words_are_sent_as_they_are_said() -> None:
    async with office(**SLOW) as here, here.post("Hola", conversation_id="t") as call:
        await call.until("chunk")
        said = len(call.events)
        await call.until("end")

    assert said < len(call.events) - 2
    assert len(call.pieces) > 4


async def test_metadata_says_who_the_rider_is_and_may_hold_anything() -> None:
    async with office() as here:
        said = {"user_id": "u-1", "client_id": "c-1", "language": "es", "page": {"n": [1, None]}}
        call = await here.answered("Hola", conversation_id="t", metadata=said, something="else")
        odd = await here.answered("Hola", conversation_id="v", metadata={"user_id": 7, "client_id": "\ud800"})
        known = await here.desk.stores.conversations.get("t")
        unnamed = await here.desk.stores.conversations.get("v")

    assert (call.names[-1], odd.names[-1]) == ("end", "end")
    assert known is not None
    assert (known.owner, known.user_id, known.client_id) == ("ana", "u-1", "c-1")
    assert unnamed is not None
    assert (unnamed.user_id, unnamed.client_id) == (None, None)


# What is refused, before a stream begins.


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"message": ""}, 422, "invalid_message"),
        ({"message": " \n"}, 422, "invalid_message"),
        ({"message": "x" * 4001}, 413, "text_too_long"),
        ({"message": 7}, 422, "invalid_message"),
        ({}, 422, "invalid_message"),
        ([], 422, "invalid_message"),
        ({"message": "Hola", "conversation_id": ""}, 422, "invalid_message"),
        ({"message": "Hola", "conversation_id": "a b"}, 422, "invalid_message"),
        ({"message": "Hola", "conversation_id": "a\nid: 1"}, 422, "invalid_message"),
        ({"message": "Hola", "metadata": []}, 422, "invalid_message"),
        ({"message": "Hola", "metadata": {"x": "y" * 8192}}, 422, "invalid_message"),
        ({"message": "Hola", "message_id": ""}, 422, "invalid_message"),
        ({"message": "Hola", "message_id": "m" * 129}, 422, "invalid_message"),
        ({"message": "Hola", "message_id": "\ud800"}, 422, "invalid_message"),
        ({"message": "Hola", "conversation_id": "\ud800"}, 422, "invalid_message"),
        ({"message": "Hola \ud800"}, 422, "invalid_message"),
        (b"{", 422, "invalid_json"),
        (b"\xff", 422, "invalid_json"),
        (b"", 422, "invalid_message"),
    ],
)
async def test_what_is_no_message_is_a_problem_and_no_stream(body: object, status: int, code: str) -> None:
    async with office() as here:
        headers = {"authorization": f"Bearer {token()}"}
        async with calling(here.app, "POST", "/stream/chat", body, headers) as call:
            await call.ended.wait()

    assert (call.status, json.loads(call.body)["code"]) == (status, code)
    assert call.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "not_authenticated"),
        ("", "invalid_token"),
        ("Basic YTpi", "invalid_token"),
        ("Bearer ", "invalid_token"),
        ("Bearer x", "invalid_token"),
        (f"Bearer {token(exp=1)}", "token_expired"),
        (f"Bearer {token(aud='else')}", "invalid_token"),
        (f"Bearer {token()}x", "invalid_token"),
        (f"Bearer {jwt.encode({'sub': 'ana', 'exp': 4_000_000_000}, None, algorithm='none')}", "invalid_token"),
    ],
)
async def test_who_is_not_logged_in_is_refused_whatever_the_settings_say(given: str | None, code: str) -> None:
    async with office() as here:
        headers = {} if given is None else {"authorization": given}
        async with calling(here.app, "POST", "/stream/chat", {"message": "Hola"}, headers) as call:
            await call.ended.wait()

    assert (call.status, json.loads(call.body)["code"]) == (401, code)
    assert call.headers["www-authenticate"] == "Bearer"


async def test_a_body_that_is_not_declared_as_json_is_refused() -> None:
    async with office() as here:
        call = await here.answered("Hola", headers={"content-type": "text/plain"})

    assert (call.status, json.loads(call.body)["code"]) == (422, "invalid_message")


async def test_a_conversation_and_its_streams_are_its_owners() -> None:
    async with office() as here:
        call = await here.answered("Hola", conversation_id="t")
        for event in (None, call.events[0], call.events[1]):
            headers = {} if event is None else {"last-event-id": event.id or ""}
            refused = await here.answered("Hola", conversation_id="t", account="eva", headers=headers)
            assert (refused.status, json.loads(refused.body)["code"]) == (403, "forbidden_thread")
        assert await here.turns("t") == 1


@pytest.mark.parametrize("given", ["7", "t/m/10", "../../x/1", "t%0a/m/0/1", "x" * 5000])
async def test_a_last_event_id_that_is_none_is_refused(given: str) -> None:
    async with office() as here:
        call = await here.answered("Hola", headers={"last-event-id": given})

    assert (call.status, json.loads(call.body)["code"]) == (422, "invalid_message")


async def test_a_last_event_id_of_another_message_is_refused() -> None:
    async with office() as here:
        for fields in ({"conversation_id": "v"}, {"message_id": "n"}):
            async with here.resume("t/m/0/1", **fields) as call:
                await call.ended.wait()
            assert (call.status, json.loads(call.body)["code"]) == (422, "invalid_message")


async def test_more_streams_than_the_process_may_have_are_sent_elsewhere() -> None:
    async with office(max_streams=1, **SLOW) as here:
        async with here.post("Hola", conversation_id="t") as call:
            await call.until("start")
            refused = await here.answered("Hola", conversation_id="v")
            await call.until("end")
        again = await here.answered("Hola", conversation_id="v")

    assert (refused.status, json.loads(refused.body)["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "5"
    assert again.names[-1] == "end"


async def test_a_server_that_stops_takes_no_message() -> None:
    async with office() as here:
        await here.desk.services.streaming.drain(0)
        refused = await here.answered("Hola")

    assert (refused.status, json.loads(refused.body)["code"]) == (503, "draining")
    assert "retry-after" in refused.headers


# Resuming.


async def test_a_stream_goes_on_after_any_of_its_events_byte_for_byte_and_runs_once() -> None:
    async with office() as here:
        whole = await here.answered("Hola", conversation_id="a/b", message_id="m 1")
        for number, event in enumerate(whole.events):
            async with here.resume(event.id) as call:
                await call.ended.wait()
            expected = whole.events[number + 1 :] or whole.events[-1:]
            assert [each.raw for each in call.events] == [each.raw for each in expected]
            assert call.pieces[0].startswith(b"retry: 1000\n\n")
        assert await here.turns("a/b") == 1


async def test_a_client_that_leaves_in_the_middle_reads_on_while_the_turn_runs() -> None:
    async with office(**SLOW) as here:
        async with here.post("Hola", conversation_id="t") as call:
            await call.until("chunk")
        seen = [event.raw for event in call.events]
        async with here.resume(call.events[-1].id, conversation_id="t") as rest:
            await rest.until("end")
        again = await here.resume_whole(call.events[0].id)

        assert not call.is_whole
        assert seen[1:] + [event.raw for event in rest.events] == again
        assert await here.turns("t") == 1
        assert here.desk.services.connections.streams == 0


async def test_the_turn_of_a_client_that_left_is_saved() -> None:
    async with office(**SLOW) as here:
        async with here.post("Hola", conversation_id="t") as call:
            await call.until("chunk")
        assert (await here.until_turn_ends("t")).status == "completed"
        assert len(await here.desk.stores.conversations.messages("t")) == 2


async def test_a_message_that_is_sent_again_under_its_name_has_the_same_stream_and_runs_once() -> None:
    async with office() as here:
        first = await here.answered("Hola", message_id="m")
        second = await here.answered("Hola", message_id="m")
        third = await here.answered("Hola", headers={"idempotency-key": "m"})
        other = await here.answered("Hola", message_id="m", account="eva")
        thread_id = first.events[0].data["conversation_id"]

        for again in (second, third):
            assert [event.data for event in again.events] == [event.data for event in first.events]
        assert other.events[0].data["conversation_id"] != thread_id
        assert await here.turns(thread_id) == 1


async def test_a_message_of_which_only_the_start_was_told_runs_when_its_stream_is_resumed() -> None:
    async with office() as here:
        async with here.resume("t/m/0/0") as call:
            await call.ended.wait()
        async with here.resume("t/m/0/0") as again:
            await again.ended.wait()

        assert call.names[0] == "chunk"
        assert [event.data for event in again.events] == [event.data for event in call.events]
        assert await here.turns("t") == 1


async def test_a_stream_whose_turn_the_log_has_lost_says_so_and_runs_nothing() -> None:
    async with office() as here:
        call = await here.answered("Hola", conversation_id="t", message_id="m")
        await here.desk.stores.event_log.forget("t")
        for event in call.events:
            async with here.resume(event.id) as again:
                await again.ended.wait()
            assert [(each.name, each.data["code"], each.id) for each in again.events] == [
                ("error", "log_truncated", event.id)
            ]
        again = await here.answered("Hola", conversation_id="t", message_id="m")
        assert [event.data.get("code") for event in again.events] == [None, "log_truncated"]
        assert await here.turns("t") == 0


async def test_a_conversation_that_was_forgotten_is_not_begun_again_by_resuming() -> None:
    async with office() as here:
        call = await here.answered("Hola", conversation_id="t")
        await here.desk.services.streaming.forget("t", caller=ANA)
        async with here.resume(call.events[1].id) as again:
            await again.ended.wait()

        assert [event.data["code"] for event in again.events] == ["log_truncated"]
        assert await here.desk.stores.conversations.get("t") is None


# What ends a stream, but for its turn's end.


async def test_an_answer_that_another_message_cuts_short_ends_with_an_error_that_says_so() -> None:
    async with office(**SLOW) as here:
        async with here.post("Hola", conversation_id="t") as first:
            await first.until("chunk")
            second = await here.answered("Necesito un taxi", conversation_id="t")
            await first.ended.wait()
        [end] = [
            record.event
            for record in await here.desk.log("t")
            if isinstance(record.event, TurnEnd) and record.event.status == "interrupted"
        ]

    assert first.events[-1].name == "error"
    assert first.events[-1].data["code"] == "interrupted"
    assert first.text == end.text
    assert "end" not in first.names
    assert second.names[-1] == "end"


async def test_a_turn_that_fails_ends_its_stream_with_its_own_code() -> None:
    model = FaultyModel(function=offline_model().function, faults={3: "stop"})
    async with office(model=model) as here:
        call = await here.answered("Hola", conversation_id="t")
        [_, answer] = await here.desk.stores.conversations.messages("t")

    assert call.status == 200
    assert call.names.count("error") == 1
    assert call.events[-1].data == {
        "error": "La respuesta del modelo llegó incompleta.",
        "conversation_id": "t",
        "status": "error",
        "code": "model_incomplete",
    }
    assert call.text == answer.content
    assert not any(event.data.get("is_final") for event in call.events)


async def test_a_stream_that_is_open_for_too_long_is_closed_and_its_turn_goes_on() -> None:
    async with office(stream_timeout_seconds=0.3, **SLOW) as here:
        async with here.post("Hola", conversation_id="t") as call:
            await call.until("chunk")
            await here.desk.services.streaming.pause("t", caller=ANA)
            await call.ended.wait()
        assert (call.events[-1].name, call.events[-1].data["code"]) == ("error", "stream_timeout")
        assert call.is_whole
        await here.desk.services.streaming.resume("t", caller=ANA)
        assert (await here.until_turn_ends("t")).status == "completed"
        async with here.resume(call.events[-1].id) as rest:
            await rest.ended.wait()

        assert rest.names[-1] == "end"
        assert call.text + rest.text == (await here.until_turn_ends("t")).text


async def test_a_stream_that_is_open_when_the_server_stops_may_be_resumed_elsewhere() -> None:
    async with office(**SLOW) as here:
        connections = here.desk.services.connections
        async with here.post("Hola", conversation_id="t") as call:
            await call.until("chunk")
            await here.desk.services.streaming.pause("t", caller=ANA)
            connections.restart.set()
            await call.ended.wait()
        assert (call.events[-1].name, call.events[-1].data["code"]) == ("error", "draining")
        connections.restart = anyio.Event()
        await here.desk.services.streaming.resume("t", caller=ANA)
        async with here.resume(call.events[-1].id) as rest:
            await rest.ended.wait()
        assert call.text + rest.text == (await here.until_turn_ends("t")).text


async def test_the_end_of_a_turn_is_told_before_the_server_stops() -> None:
    async with office(**SLOW) as here, here.post("Hola", conversation_id="t") as call:
        await call.until("chunk")
        call.stop_taking()
        await here.desk.services.streaming.drain(10)
        here.desk.services.connections.restart.set()
        await anyio.wait_all_tasks_blocked()
        call.take_again()
        await call.ended.wait()

    assert call.names[-1] == "end"


async def test_a_client_that_takes_nothing_is_cut_off_and_may_read_on() -> None:
    async with office(send_timeout_seconds=0.2, **SLOW) as here:
        async with here.post("Hola", conversation_id="t") as call:
            await call.until("chunk")
            call.stop_taking()
            await call.ended.wait()
            assert here.desk.services.connections.streams == 0
        end = await here.until_turn_ends("t")
        async with here.resume(call.events[-1].id) as rest:
            await rest.ended.wait()

    assert not call.is_whole
    assert end.status == "completed"
    assert call.text + rest.text == end.text


async def test_a_quiet_stream_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PING_SECONDS", 0.05)
    async with office(**SLOW) as here, here.post("Hola", conversation_id="t") as call:
        await call.until("chunk")
        await here.desk.services.streaming.pause("t", caller=ANA)
        while b": ping\n\n" not in call.pieces:
            await anyio.lowlevel.checkpoint()
        await here.desk.services.streaming.resume("t", caller=ANA)
        await call.until("end")

    assert call.text == "".join(event.data["content"] for event in call.events[1:-1])


async def test_nothing_is_left_of_streams_whose_clients_went() -> None:
    async with office(**SLOW) as here:
        for number in range(10):
            async with anyio.create_task_group() as tasks:
                for place in range(5):
                    tasks.start_soon(here.cut_short, f"{number}-{place}")
        for number in range(10):
            for place in range(5):
                await here.until_turn_ends(f"{number}-{place}")
        await anyio.wait_all_tasks_blocked()
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, EventStream | StreamChatDialect | Call)]

        assert left == []
        assert here.desk.services.connections.streams == 0
        assert here.desk.services.streaming.active_turns == 0


# Compression.


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_each_event_can_be_unpacked_when_it_comes(coding: str) -> None:
    unpacker: Any = zlib.decompressobj(wbits=31) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    async with office(stream_compression=True, **SLOW) as here:
        call = await here.answered("Hola", headers={"accept-encoding": coding})

    assert call.headers["content-encoding"] == coding
    assert call.headers["vary"].startswith("Accept-Encoding")
    plain = [unpacker.decompress(piece) for piece in call.pieces]
    assert all(piece.endswith(b"\n\n") for piece in plain[:-1])
    assert plain[-1] == b""
    assert b"event: end" in plain[-2]
    assert len(call.body) < len(b"".join(plain))
    if coding == "gzip":
        assert gzip.decompress(call.body) == b"".join(plain)


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "zstd;q=0, gzip;q=x"])
async def test_nothing_is_packed_for_who_did_not_ask(accepted: str) -> None:
    async with office(stream_compression=True) as here:
        call = await here.answered("Hola", headers={"accept-encoding": accepted})

    assert "content-encoding" not in call.headers
    assert call.headers["vary"].startswith("Accept-Encoding")
    assert call.names[-1] == "end"


async def test_nothing_is_packed_unless_the_operator_wants_it() -> None:
    async with office() as here:
        call = await here.answered("Hola", headers={"accept-encoding": "gzip, zstd"})

    assert "content-encoding" not in call.headers
    assert call.names[-1] == "end"


# What is said of it.


def test_the_document_for_machines_has_the_stream_and_its_events() -> None:
    document = create_app(make_settings()).openapi()
    operation = document["paths"]["/stream/chat"]["post"]
    events = operation["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]["oneOf"]
    fields = {
        event["properties"]["event"]["const"]: list(event["properties"]["data"]["contentSchema"]["properties"])
        for event in events
    }

    assert fields == {
        "start": ["conversation_id", "status"],
        "chunk": ["type", "content", "chunk_index", "is_final"],
        "end": ["conversation_id", "status", "message_count"],
        "error": ["error", "conversation_id", "status", "code"],
    }
    assert operation["security"] == [{"access token": []}]
    assert {each["name"] for each in operation["parameters"]} == {"last-event-id", "idempotency-key"}
    assert "application/problem+json" in operation["responses"]["default"]["content"]


# Figures.


async def test_streams_are_counted_and_timed() -> None:
    names = [
        *(f"stream_chat_{name}_total" for name in ("started", "completed", "error")),
        *(f"stream_chat_{name}_seconds_count" for name in ("ttfb", "duration")),
    ]

    def figures() -> list[float]:
        return [REGISTRY.get_sample_value(name) or 0.0 for name in names]

    before = figures()
    async with office(stream_timeout_seconds=0.2, **SLOW) as here:
        await here.answered("Hola", conversation_id="t")
        await here.answered("", conversation_id="t")
        async with here.post("Hola", conversation_id="v") as call:
            await call.until("chunk")
        async with here.post("Hola", conversation_id="w") as call:
            await call.until("chunk")
            await here.desk.services.streaming.pause("w", caller=ANA)
            await call.ended.wait()

    assert [now - then for now, then in zip(figures(), before, strict=True)] == [3, 1, 1, 3, 3]
