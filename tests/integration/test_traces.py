"""Traces of real turns, as a real collector receives them."""

import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from structlog.testing import capture_logs

from app.bootstrap import TOOLS, open_services
from app.core import telemetry
from app.core.config import Settings
from app.core.errors import Misconfigured
from app.main import create_app
from app.models.conversation import TurnInput
from app.models.events import EventSource, SttOutput, ToolCall, ToolResult, TurnEnd, TurnStart
from app.turns.traces import Traces
from tests.collector import Collector, attributes, running_collector
from tests.desk import make_settings, make_stores, open_desk
from tests.fakes import FaultyModel

pytestmark = pytest.mark.integration

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ADDRESS = "Calle 72 #43-25"
LINES = ("Hola, necesito un taxi", ADDRESS, "El Prado", "En efectivo", "No", "Sí, confirmo")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


async def test_a_conversation_is_a_tree_of_turns_stages_and_tools(collector: Collector) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=collector.url) as desk:
        said = await desk.talk(*LINES, thread_id="thread")
    assert said[-1].end.booking_id is not None

    assert set(collector.paths) == {"/v1/traces"}
    [conversation] = collector.named("conversation")
    turns = collector.children(conversation)
    assert conversation.parent_span_id == b""
    assert [turn.name for turn in turns] == ["invoke_workflow taxi"] * len(LINES)
    assert [attributes(turn)["voztaxi.turn.id"] for turn in turns] == [each.end.turn_id for each in said]
    for turn, each in zip(turns, said, strict=True):
        stages = collector.children(turn)
        agents = [attributes(stage)["gen_ai.agent.name"] for stage in stages if stage.name.startswith("invoke_agent")]
        tools = [tool for stage in stages for tool in collector.children(stage)]
        assert len(stages) - len(agents) == [stage.name for stage in stages].count("stt") == 1
        assert set(agents) == set(each.agents) | {call.agent for call in each.of(ToolCall)}
        assert sorted(attributes(tool)["gen_ai.tool.name"] for tool in tools) == sorted(each.tools)
        assert all(attributes(tool)["gen_ai.operation.name"] == "execute_tool" for tool in tools)
        assert attributes(turn)["voztaxi.turn.status"] == "completed"
        assert attributes(turn)["gen_ai.response.time_to_first_chunk"] >= 0
    assert len(collector.spans) == 1 + sum(1 + len(collector.children(turn)) for turn in turns) + sum(
        len(each.tools) for each in said
    )


async def test_each_span_lies_within_its_parent_and_names_the_thread(collector: Collector) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=collector.url) as desk:
        await desk.talk(*LINES, thread_id="thread")

    by_id = {span.span_id: span for span in collector.spans}
    for span in by_id.values():
        assert attributes(span)["gen_ai.conversation.id"] == "thread"
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        if span.parent_span_id:
            parent = by_id[span.parent_span_id]
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano


async def test_threads_have_traces_of_their_own(collector: Collector) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=collector.url) as desk:
        for thread_id in ("a", "b"):
            await desk.say("Hola", thread_id=thread_id)

    traces: dict[Any, set[bytes]] = {}
    for span in collector.spans:
        traces.setdefault(attributes(span)["gen_ai.conversation.id"], set()).add(span.trace_id)
    assert {len(ids) for ids in traces.values()} == {1}
    assert traces["a"] != traces["b"]


async def test_a_failed_turn_says_why(collector: Collector) -> None:
    model = FaultyModel(function=lambda *_: None, faults={0: "raise"})
    async with open_desk(model=model, otel_exporter_otlp_endpoint=collector.url) as desk:
        await desk.say("Hola")

    [turn] = collector.named("invoke_workflow taxi")
    assert turn.status.code == Status.STATUS_CODE_ERROR
    assert attributes(turn)["error.type"] == "model_error"


@pytest.mark.parametrize("personal", [False, True])
async def test_what_people_said_is_in_spans_only_where_the_log_may_have_it(
    collector: Collector, personal: bool
) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=collector.url, log_personal=personal) as desk:
        said = await desk.talk(*LINES)

    sent = b"".join(collector.bodies).decode("utf-8", "replace")
    words = [ADDRESS, "El Prado", "En efectivo", said[0].end.text]
    assert [word in sent for word in words] == [personal] * len(words)


async def test_names_are_those_of_the_conventions(collector: Collector) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=collector.url, log_personal=True) as desk:
        await desk.talk(*LINES)

    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    operations = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}
    used = {name for span in collector.spans for name in attributes(span) if name.startswith("gen_ai.")}
    assert used <= known
    assert {attributes(span).get("gen_ai.operation.name", "chat") for span in collector.spans} <= operations


async def test_the_service_is_named(collector: Collector) -> None:
    async with open_desk(otel_exporter_otlp_endpoint=f"{collector.url}/") as desk:
        await desk.say("Hola")

    resource = collector.requests[0].resource_spans[0].resource
    assert {each.key: each.value.string_value for each in resource.attributes}["service.name"] == "voztaxi"
    assert set(collector.paths) == {"/v1/traces"}


def client(collector: Collector) -> TestClient:
    @asynccontextmanager
    async def opener(settings: Settings) -> Any:
        async with open_services(settings, stores=make_stores()) as services:
            yield services

    return TestClient(create_app(make_settings(otel_exporter_otlp_endpoint=collector.url), open_services=opener))


def assert_linked(collector: Collector, turn: Span, request: Span) -> None:
    """Check that caller, request and turn are one in another, and the turn linked to its conversation."""
    [conversation] = collector.named("conversation")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert (turn.trace_id, turn.parent_span_id) == (request.trace_id, request.span_id)
    assert [link.span_id for link in turn.links] == [conversation.span_id]


def test_a_turn_is_in_the_trace_of_its_request(collector: Collector) -> None:
    with client(collector) as http:
        http.post("/api/v1/chat", json={"text": "Hola"}, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    [turn] = collector.named("invoke_workflow taxi")
    [request] = collector.named("POST /api/v1/chat")
    assert_linked(collector, turn, request)


def test_a_turn_is_in_the_trace_of_its_websocket(collector: Collector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with client(collector) as http, http.websocket_connect("/api/v1/ws/chat", headers=headers) as socket:
        socket.send_json({"type": "user_input", "text": "Hola", "thread_id": "t"})
        while socket.receive_json()["type"] != "turn_end":
            pass

    [turn] = collector.named("invoke_workflow taxi")
    [request] = collector.named("websocket /api/v1/ws/chat")
    assert_linked(collector, turn, request)


@pytest.mark.parametrize("header", ["", "00-0-0-01", f"00-{TRACE}-{PARENT}-01\u00e9", f"00-{'0' * 32}-{PARENT}-01"])
def test_a_traceparent_that_is_none_is_ignored(collector: Collector, header: str) -> None:
    with client(collector) as http:
        answer = http.post("/api/v1/chat", json={"text": "Hola"}, headers={"traceparent": header.encode("latin-1")})

    assert answer.status_code == 200
    [turn] = collector.named("invoke_workflow taxi")
    [conversation] = collector.named("conversation")
    assert (turn.trace_id, turn.parent_span_id) == (conversation.trace_id, conversation.span_id)


async def test_a_collector_that_hangs_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_CLOSE_SECONDS", 0.1)
    with running_collector(hangs=True) as collector, capture_logs() as lines:
        async with open_desk(otel_exporter_otlp_endpoint=collector.url) as desk:
            said = await desk.say("Hola")

    assert said.end.status == "completed"
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["spans were not all sent"]


async def test_without_the_package_the_operator_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "app.core.telemetry")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(Misconfigured, match=r"voztaxi\[otel\]"):
        async with open_desk(otel_exporter_otlp_endpoint="http://127.0.0.1:4318"):
            pass


async def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    loaded = sys.modules.pop("app.turns.traces", None)
    try:
        async with open_desk():
            assert "app.turns.traces" not in sys.modules
    finally:
        if loaded is not None:
            sys.modules["app.turns.traces"] = loaded


class TestQuietConversations:
    """A conversation's span ends when nothing has been said for a while."""

    async def test_the_one_that_is_quiet_ends_and_begins_anew(self, collector: Collector) -> None:
        async with telemetry.open_tracer(collector.url, version="0") as tracer:
            traces = Traces(tracer, tools=TOOLS, model={}, personal=False, now_ms=lambda: 0)
            async with traces.kept():
                self.turn(traces, "quiet", 1000)
                self.turn(traces, "lively", 1000)
                self.turn(traces, "lively", 5000)
                traces.end_quiet(3000)
                self.turn(traces, "quiet", 9000)
                self.turn(traces, "lively", 9000)

        spans = collector.named("conversation")
        times = [
            (attributes(span)["gen_ai.conversation.id"], span.start_time_unix_nano, span.end_time_unix_nano)
            for span in spans
        ]
        assert sorted((name, start // 10**6, end // 10**6) for name, start, end in times) == [
            ("lively", 1000, 9100),
            ("quiet", 1000, 1100),
            ("quiet", 9000, 9100),
        ]

    async def test_a_turn_that_was_cut_leaves_no_span_open(self, collector: Collector) -> None:
        async with telemetry.open_tracer(collector.url, version="0") as tracer:
            traces = Traces(tracer, tools=TOOLS, model={}, personal=False, now_ms=lambda: 0)
            async with traces.kept():
                self.turn(traces, "t", 1000, tool="Calle 72")

        [tool] = [span for span in collector.spans if span.name.startswith("execute_tool")]
        assert tool.name == "execute_tool other"
        assert tool.status.code == Status.STATUS_CODE_ERROR
        assert attributes(tool)["error.type"] == "interrupted"
        assert len(collector.named("invoke_agent NAVEGANTE")) == 1

    @staticmethod
    def turn(traces: Traces, thread_id: str, ms: int, *, tool: str | None = None) -> None:
        observer = traces.observer(TurnInput(thread_id=thread_id, turn_id="turn", text="Hola", received_at=ms))
        source = EventSource(thread_id, "turn", lambda: ms)
        observer.observe(source.make(SttOutput, text="Hola"))
        observer.observe(source.make(TurnStart, epoch="e"))
        if tool is not None:
            observer.observe(source.make(ToolCall, tool_call_id="c", name=tool, args={}, agent="NAVEGANTE"))
            failed = {"status": "failed", "code": "interrupted"}
            observer.observe(source.make(ToolResult, tool_call_id="c", name=tool, result=failed))
        later = EventSource(thread_id, "turn", lambda: ms + 100)
        observer.observe(later.make(TurnEnd, status="interrupted" if tool else "completed", text=""))
