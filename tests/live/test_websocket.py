"""The WebSocket under bad input, interruptions, drops and restarts."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.live.server import Server, rider, running_server

pytestmark = pytest.mark.live

SLOW = {"OFFLINE_WORD_DELAY_MS": "150"}
"""A word every 150 ms: an answer takes long enough to be interrupted."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), **SLOW) as running:
        yield running


def turn(frames: list[dict[str, Any]], turn_id: str) -> list[dict[str, Any]]:
    return [frame for frame in frames if frame.get("turn_id") == turn_id]


class TestBadInput:
    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ("not json", "invalid_json"),
            ("", "invalid_json"),
            ('{"type": "user_input", "text": "\\ud800"}', "invalid_json"),
            ("[" * 100_000, "invalid_json"),
            ("[]", "unknown_type"),
            ('"hola"', "unknown_type"),
            ("{}", "unknown_type"),
            ('{"type": "dance"}', "unknown_type"),
            ('{"type": 7}', "unknown_type"),
            ('{"type": "user_input"}', "invalid_message"),
            ('{"type": "user_input", "text": ""}', "invalid_message"),
            ('{"type": "user_input", "text": "  \\n "}', "invalid_message"),
            ('{"type": "user_input", "text": 5}', "invalid_message"),
            ('{"type": "user_input", "text": "a", "thread_id": "with space"}', "invalid_message"),
            ('{"type": "user_input", "text": "a", "thread_id": ""}', "invalid_message"),
            ('{"type": "user_input", "text": "a", "thread_id": "a\\u0007"}', "invalid_message"),
            (json.dumps({"type": "user_input", "text": "a", "thread_id": "x" * 129}), "invalid_message"),
            ('{"type": "user_input", "text": "a", "multitask_strategy": "maybe"}', "invalid_message"),
            ('{"type": "replay", "thread_id": "t", "after_seq": -1}', "invalid_message"),
            ('{"type": "replay", "thread_id": "t", "after_seq": "1"}', "invalid_message"),
            (json.dumps({"type": "user_input", "text": "a" * 4001}), "text_too_long"),
            ('{"type": "audio_start"}', "invalid_audio"),
            (b"\x00\x01\x02", "invalid_audio"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    async def test_is_answered_with_its_code_and_the_connection_stays_open(
        self, server: Server, frame: str | bytes, code: str
    ) -> None:
        async with rider(server.ws) as client:
            await client.socket.send(frame)
            answer = await client.receive()
            await client.send(type="ping")
            pong = await client.receive()

        assert (answer["type"], answer["level"], answer["code"]) == ("system_message", "error", code)
        assert "seq" not in answer
        assert pong["type"] == "pong"

    async def test_4000_characters_are_taken(self, server: Server) -> None:
        async with rider(server.ws) as client:
            frames = await client.say("1" * 4000, thread_id="long")

        assert frames[-1]["status"] == "completed"

    async def test_a_frame_over_the_limit_closes_with_1009(self, server: Server) -> None:
        async with rider(server.ws) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.socket.send("x" * (1_048_576 + 1))
                while True:
                    await client.receive()

        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009

    async def test_a_thread_of_somebody_else_is_forbidden(self, server: Server) -> None:
        async with rider(server.ws) as client:
            await client.say("Hola", thread_id="mine", user_id="ana")
        async with rider(server.ws) as client:
            await client.send(type="user_input", text="Hola", thread_id="mine", user_id="eva")
            refused = await client.receive()
            await client.say("Hola", thread_id="hers", user_id="eva")
            await client.send(type="replay", thread_id="mine", after_seq=0)
            hidden = await client.receive()

            await client.send(type="cancel", thread_id="mine")
            untouched = await client.receive()

        assert refused["code"] == hidden["code"] == untouched["code"] == "forbidden_thread"

    async def test_a_page_from_elsewhere_is_not_let_in(self, server: Server) -> None:
        with pytest.raises(InvalidStatus):
            async with rider(server.ws, origin="https://evil.example"):
                pass
        async with rider(server.ws, origin="null") as client:
            await client.send(type="ping")
            assert (await client.receive())["type"] == "pong"


class TestFloor:
    async def test_cancel_ends_the_turn_as_interrupted_and_the_next_one_works(self, server: Server) -> None:
        async with rider(server.ws) as client:
            await client.send(type="user_input", text="Hola", thread_id="stop")
            await client.until("agent_chunk")
            await client.send(type="cancel")
            end = (await client.until("turn_end"))[-1]
            after = await client.say("Necesito un taxi", thread_id="stop")

        assert end["status"] == "interrupted"
        assert end["text"] == "".join(
            f["text"] for f in turn(client.frames, end["turn_id"]) if f["type"] == "agent_chunk"
        )
        assert after[-1]["status"] == "completed"
        assert [frame["seq"] for frame in client.frames] == list(range(1, len(client.frames) + 1))
        messages = httpx.get(f"{server.url}/api/v1/threads/stop").json()["messages"]
        assert messages[1]["partial"] is True
        assert messages[1]["content"] == end["text"]

    async def test_new_input_interrupts_by_default(self, server: Server) -> None:
        async with rider(server.ws) as client:
            await client.send(type="user_input", text="Hola", thread_id="over")
            await client.until("agent_chunk")
            await client.send(type="user_input", text="Necesito un taxi", thread_id="over")
            first = (await client.until("turn_end"))[-1]
            second = (await client.until("turn_end"))[-1]

        assert (first["status"], second["status"]) == ("interrupted", "completed")
        starts = [frame["turn_id"] for frame in client.frames if frame["type"] == "turn_start"]
        assert starts == [first["turn_id"], second["turn_id"]]

    async def test_enqueue_waits_and_reject_refuses(self, server: Server) -> None:
        async with rider(server.ws) as client:
            await client.send(type="user_input", text="Hola", thread_id="queue")
            await client.until("agent_chunk")
            await client.send(type="user_input", text="Hola", thread_id="queue", multitask_strategy="reject")
            refused = (await client.until("system_message"))[-1]
            await client.send(type="user_input", text="Gracias", thread_id="queue", multitask_strategy="enqueue")
            first = (await client.until("turn_end"))[-1]
            second = (await client.until("turn_end"))[-1]

        assert refused["code"] == "turn_in_progress"
        assert (first["status"], second["status"]) == ("completed", "completed")

    async def test_pause_holds_delivery_and_resume_goes_on(self, server: Server) -> None:
        async with rider(server.ws) as client, rider(server.ws) as other:
            await client.send(type="user_input", text="Hola", thread_id="pause")
            await client.until("agent_chunk")
            await client.send(type="pause", thread_id="pause")
            await client.send(type="ping")
            await client.until("pong")
            held = len(client.frames)
            # Another whole conversation passes meanwhile.
            await other.say("Hola", thread_id="meanwhile")
            await client.send(type="ping")
            during = await client.until("pong")
            await client.send(type="resume", thread_id="pause")
            await client.until("turn_end")

        assert len([frame for frame in during if frame["type"] == "agent_chunk"]) <= 1
        assert len(client.frames) > held + 2
        logged = [frame["seq"] for frame in client.frames if "seq" in frame]
        assert logged == list(range(1, len(logged) + 1))


class TestReplay:
    async def test_a_drop_in_the_middle_loses_nothing_and_doubles_nothing(self, server: Server) -> None:
        async with rider(server.ws) as client:
            await client.send(type="user_input", text="Hola", thread_id="drop")
            before = await client.until("agent_chunk")
        epoch = next(frame["epoch"] for frame in before if frame["type"] == "turn_start")
        async with rider(server.ws) as client:
            await client.send(type="replay", thread_id="drop", after_seq=before[-1]["seq"], epoch=epoch)
            start, *after = await client.until("turn_end")

        assert start["type"] == "replay_start"
        assert (start["recovered"], start["epoch"]) == (True, epoch)
        seqs = [frame["seq"] for frame in (*before, *after)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert after[-1]["status"] == "completed"

    async def test_replays_from_every_position_say_the_same(self, server: Server) -> None:
        async with rider(server.ws) as client:
            whole = await client.say("Gracias", thread_id="positions")
        for after_seq in range(len(whole)):
            async with rider(server.ws) as client:
                await client.send(type="replay", thread_id="positions", after_seq=after_seq)
                start, *rest = await client.until("turn_end")

            assert start["recovered"] is True
            assert start["last_seq"] == len(whole)
            assert rest == whole[after_seq:]

    async def test_what_the_log_cannot_give_comes_as_messages(self, server: Server) -> None:
        async with rider(server.ws) as client:
            await client.say("Gracias", thread_id="lost")
        for position in ({"after_seq": 0, "epoch": "another"}, {"after_seq": 10_000}):
            async with rider(server.ws) as client:
                await client.send(type="replay", thread_id="lost", **position)
                start = await client.receive()

            assert start["recovered"] is False
            assert [message["role"] for message in start["messages"]] == ["user", "assistant"]
            assert start["messages"][0]["content"] == "Gracias"

    async def test_two_listeners_hear_the_same(self, server: Server) -> None:
        async with rider(server.ws) as one, rider(server.ws) as two:
            await two.send(type="replay", thread_id="both", after_seq=0)
            await two.until("replay_start")
            said = await one.say("Gracias", thread_id="both")
            heard = await two.until("turn_end")

        assert said == heard

    def test_the_event_stream_resumes_after_its_last_id(self, server: Server) -> None:
        httpx.post(f"{server.url}/api/v1/chat", json={"text": "Gracias", "thread_id": "sse"}, timeout=30)

        def read(**headers: str) -> list[tuple[str, dict[str, Any]]]:
            found: list[tuple[str, dict[str, Any]]] = []
            with httpx.stream("GET", f"{server.url}/api/v1/threads/sse/events", headers=headers) as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                fields: dict[str, str] = {}
                for line in stream.iter_lines():
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    if not line and "data" in fields:
                        found.append((fields["id"], json.loads(fields["data"])))
                        fields = {}
                        if found[-1][1]["type"] == "turn_end":
                            return found
            return found

        whole = read()
        rest = read(**{"Last-Event-ID": whole[2][0]})

        assert [int(number) for number, _ in whole] == [frame["seq"] for _, frame in whole]
        assert rest == whole[3:]


class TestRestart:
    async def test_a_conversation_goes_on_after_a_restart(self, tmp_path: Path) -> None:
        with running_server(tmp_path / "s", OFFLINE_WORD_DELAY_MS="0") as server:
            async with rider(server.ws) as client:
                first = await client.say("taxi en la Calle 72 #43-25 en El Prado", thread_id="days")
            server.stop()
            server.start()
            async with rider(server.ws) as client:
                await client.send(type="replay", thread_id="days", after_seq=0, epoch=first[2].get("epoch"))
                again = (await client.until("turn_end"))[1:]
                await client.say("en efectivo", thread_id="days")
                await client.say("no", thread_id="days")
                done = await client.say("sí", thread_id="days")

        epochs = [frame["epoch"] for frame in (*first, *done) if frame["type"] == "turn_start"]
        assert len(set(epochs)) == 1
        assert again == first
        assert done[-1]["booking_id"]

    async def test_a_killed_server_closes_its_turn_and_the_rider_goes_on(self, tmp_path: Path) -> None:
        with running_server(tmp_path / "s", OFFLINE_WORD_DELAY_MS="200") as server:
            async with rider(server.ws) as client:
                await client.say("Gracias", thread_id="crash")
                await client.send(type="user_input", text="Necesito un taxi", thread_id="crash")
                before = await client.until("agent_chunk")
                server.kill()
            server.start()
            async with rider(server.ws) as client:
                epoch = next(frame["epoch"] for frame in before if frame["type"] == "turn_start")
                await client.send(type="replay", thread_id="crash", after_seq=before[-1]["seq"], epoch=epoch)
                start = await client.receive()
                rest = await client.until("turn_end") if start["recovered"] else []
                after = await client.say("Calle 72 #43-25", thread_id="crash")
            stored = httpx.get(f"{server.url}/api/v1/threads/crash").json()

        # What the log had not written yet when the process died cannot be replayed, and the log says so.
        if start["recovered"]:
            assert [frame["seq"] for frame in rest] == list(range(before[-1]["seq"] + 1, rest[-1]["seq"] + 1))
            assert [frame.get("code") for frame in rest if frame["type"] == "agent_error"] == ["worker_lost"]
            assert rest[-1]["status"] == "failed"
        else:
            said = [message["content"] for message in start["messages"] if message["role"] == "user"]
            assert said == ["Gracias", "Necesito un taxi"]
        assert after[-1]["status"] == "completed"
        heard = [message["content"] for message in stored["messages"] if message["role"] == "user"]
        assert heard == ["Gracias", "Necesito un taxi", "Calle 72 #43-25"]

    async def test_sigterm_lets_turns_end_and_closes_with_1012(self, tmp_path: Path) -> None:
        with running_server(tmp_path / "s", **SLOW) as server:
            async with rider(server.ws) as client, rider(server.ws) as idle:
                await client.send(type="user_input", text="Hola", thread_id="drain")
                await client.until("agent_chunk")
                server.signal(signal.SIGTERM)
                end = (await client.until("turn_end"))[-1]
                closes = []
                for each in (client, idle):
                    with pytest.raises(ConnectionClosed) as closed:
                        await each.receive()
                    assert closed.value.rcvd is not None
                    closes.append(closed.value.rcvd.code)
            server.wait()

        assert end["status"] == "completed"
        assert closes == [1012, 1012]

    async def test_a_turn_longer_than_the_grace_period_is_interrupted_not_lost(self, tmp_path: Path) -> None:
        settings = {"OFFLINE_WORD_DELAY_MS": "1500", "SHUTDOWN_GRACE_SECONDS": "0.2"}
        with running_server(tmp_path / "s", **settings) as server:
            async with rider(server.ws) as client:
                await client.send(type="user_input", text="Hola", thread_id="drain")
                await client.until("agent_chunk")
                server.signal(signal.SIGINT)
                end = (await client.until("turn_end"))[-1]
            server.wait()

        assert end["status"] == "interrupted"


def test_the_health_answers_are_exact(server: Server) -> None:
    websocket = httpx.get(f"{server.url}/api/v1/ws/health")
    health = httpx.get(f"{server.url}/health")

    assert list(websocket.json()) == ["status", "active_connections", "service"]
    assert websocket.json() | {"active_connections": 0} == {
        "status": "healthy",
        "active_connections": 0,
        "service": "websocket_streaming",
    }
    assert health.status_code == 200
    assert health.json()["status"] == "healthy"


def test_every_http_error_is_a_problem(server: Server) -> None:
    answers = [
        httpx.get(f"{server.url}/nope"),
        httpx.put(f"{server.url}/api/v1/chat"),
        httpx.get(f"{server.url}/api/v1/bookings/nope"),
        httpx.get(f"{server.url}/api/v1/bookings"),
        httpx.get(f"{server.url}/api/v1/threads/nope"),
        httpx.post(f"{server.url}/api/v1/chat", content=b"{", headers={"content-type": "application/json"}),
        httpx.post(f"{server.url}/api/v1/chat", json={"text": ""}),
        httpx.post(f"{server.url}/api/v1/chat", json={"text": "a" * 4001}),
        httpx.post(f"{server.url}/api/v1/chat", json={"text": "a", "thread_id": "a b"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 405, 404, 422, 404, 422, 422, 413, 422]
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"title", "status", "detail", "code"} <= set(answer.json())


async def test_a_thread_that_is_forgotten_starts_over_on_the_same_socket(server: Server) -> None:
    async with rider(server.ws) as client:
        await client.say("Gracias", thread_id="forget")
        assert httpx.delete(f"{server.url}/api/v1/threads/forget").json()["forgotten"] is True
        start = (await client.until("replay_start"))[-1]
        again = await client.say("Gracias", thread_id="forget")

    assert (start["recovered"], start["messages"], start["last_seq"]) == (False, [], 0)
    assert again[-1]["status"] == "completed"
    assert again[0]["seq"] == 1
    assert httpx.delete(f"{server.url}/api/v1/threads/never").status_code == 404
