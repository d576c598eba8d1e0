"""Spans made from events: conversation > turn > stage > tool, named as OpenTelemetry's GenAI conventions have it.

Nothing here knows where spans go. Times are those of the events, so that what clients were sent is what is seen.
"""

import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.core.clock import NowMs
from app.models.conversation import TurnInput
from app.models.delivery import FLEET_KINDS, Attempt
from app.models.events import (
    AgentChunk,
    AgentEnd,
    AgentError,
    AgentName,
    ModelUsage,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
    TtsEnd,
    TurnEnd,
    TurnStart,
)
from app.turns.observers import failure_of, known_tool

_QUIET_MS = 10 * 60 * 1000
"""After so long without a turn a conversation's span ends; one that goes on begins another."""
_SWEEP_SECONDS = 60.0
_MOST_CONVERSATIONS = 10_000
_WORKFLOW = "taxi"
_PROPAGATOR = TraceContextTextMapPropagator()

Attributes = Mapping[str, str]


@dataclass(slots=True)
class _Conversation:
    """A thread's span, as long as something is said."""

    span: Span
    last_ms: int
    turns: dict[str, SpanContext] = field(default_factory=dict)
    """Where its turns are traced, for what they leave to be delivered."""


class Traces:
    """The conversations of this process that are being traced.

    Args:
        tracer: Makes spans.
        tools: The tools that there are.
        model: What is known of the chat model: attributes of each agent's span.
        personal: Put what people said, and what tools were told, into spans.
        now_ms: The clock.
    """

    def __init__(
        self, tracer: Tracer, *, tools: Collection[str], model: Attributes, personal: bool, now_ms: NowMs
    ) -> None:
        self.tracer = tracer
        self.tools = tools
        self.model = model
        self.personal = personal
        self._now_ms = now_ms
        self._conversations: OrderedDict[str, _Conversation] = OrderedDict()  # the longest quiet first

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """End what is quiet now and then within the block, and everything with it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._sweep)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                self.end_quiet(None)

    def observer(self, said: TurnInput) -> "TraceObserver":
        """Return what watches one turn."""
        return TraceObserver(self, said)

    def conversation(self, thread_id: str, ts: int) -> Span:
        """Return the span of a conversation in which something happens at ``ts``."""
        return self._conversation(thread_id, ts).span

    def began(self, said: TurnInput, turn: Span) -> None:
        """Remember where a turn is traced."""
        conversation = self._conversation(said.thread_id, said.received_at)
        conversation.turns[said.turn_id] = turn.get_span_context()

    def delivered(self, attempt: Attempt) -> None:
        """Make the span of a try to tell the fleet.

        It is within the turn that caused it, where this process still knows that one: else it is a trace of its own
        that names the turn.
        """
        delivery, ids = attempt.delivery, attempt.delivery.trace
        if delivery.kind not in FLEET_KINDS:
            return
        conversation = self._conversations.get(ids.get("thread_id", ""))
        turn = None if conversation is None else conversation.turns.get(ids.get("turn_id", ""))
        attributes: dict[str, str | int] = {
            "voztaxi.booking.id": delivery.booking_id,
            "voztaxi.delivery.attempt": delivery.attempts,
            "voztaxi.delivery.outcome": attempt.outcome,
        }
        names = {"thread_id": "gen_ai.conversation.id", "turn_id": "voztaxi.turn.id"}
        attributes |= {names[key]: value for key, value in ids.items() if key in names}
        span = self.tracer.start_span(
            f"deliver {delivery.kind}",
            Context() if turn is None else set_span_in_context(NonRecordingSpan(turn), Context()),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_ns(attempt.started_at),
        )
        if attempt.outcome not in ("delivered", "withdrawn"):
            _fail(span, attempt.outcome)
        span.end(_ns(attempt.ended_at))

    def _conversation(self, thread_id: str, ts: int) -> _Conversation:
        known = self._conversations.get(thread_id)
        if known is None:
            attributes = {"gen_ai.conversation.id": thread_id}
            span = self.tracer.start_span("conversation", Context(), attributes=attributes, start_time=_ns(ts))
            known = self._conversations[thread_id] = _Conversation(span, ts)
        known.last_ms = max(known.last_ms, ts)
        self._conversations.move_to_end(thread_id)
        if len(self._conversations) > _MOST_CONVERSATIONS:
            self._end_oldest()
        return known

    def end_quiet(self, before: int | None) -> None:
        """End the conversations in which nothing happened since ``before`` (milliseconds); None is all of them."""
        while self._conversations:
            oldest = next(iter(self._conversations.values()))
            if before is not None and oldest.last_ms >= before:
                return
            self._end_oldest()

    def _end_oldest(self) -> None:
        _, oldest = self._conversations.popitem(last=False)
        oldest.span.end(_ns(oldest.last_ms))

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(_SWEEP_SECONDS)
            self.end_quiet(self._now_ms() - _QUIET_MS)


class TraceObserver:
    """Makes the spans of one turn."""

    def __init__(self, traces: Traces, said: TurnInput) -> None:
        self._traces = traces
        self._said = said
        self._turn: Span | None = None
        self._context = Context()
        self._agents: dict[AgentName, Span] = {}
        self._used: dict[AgentName, tuple[int, int]] = {}
        """Tokens of each agent that is at work."""
        self._tools: dict[str, Span] = {}
        self._tts: Span | None = None
        self._since = said.received_at
        """When the stage before ended: the next one has been at work since."""
        self._has_spoken = False
        self._code: str | None = None

    def observe(self, event: ThreadEvent) -> None:
        """See ``Observer``."""
        turn = self._turn or self._begin()
        match event:
            case AgentChunk():
                self._agent(event.agent)
                if not self._has_spoken:
                    self._has_spoken = True
                    seconds = max(0, event.ts - self._said.received_at) / 1000
                    turn.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
            case SttOutput():
                self._start("stt", self._said.received_at).end(_ns(event.ts))
            case TurnStart():
                self._since = event.ts
            case ToolCall():
                self._call(event)
            case ToolResult():
                self._answer(event)
            case ModelUsage():
                self._count(event)
            case AgentEnd():
                self._since = event.ts
                self._used.pop(event.agent, None)
                span = self._agents.pop(event.agent, None)
                if span is not None:
                    span.end(_ns(event.ts))
            case TtsChunk() if self._tts is None:
                self._tts = self._start("tts", event.ts)
            case TtsEnd() if self._tts is not None:
                self._tts.end(_ns(event.ts))
                self._tts = None
            case AgentError():
                self._code = event.code
            case TurnEnd():
                self._end(turn, event)
            case _:
                pass

    def _begin(self) -> Span:
        """Start the turn's span, in the trace of its request where that has one, else in its conversation's."""
        said = self._said
        conversation = self._traces.conversation(said.thread_id, said.received_at)
        parent, links = set_span_in_context(conversation, Context()), []
        if said.traceparent is not None:
            given = _PROPAGATOR.extract({"traceparent": said.traceparent}, Context())
            if get_current_span(given).get_span_context().is_valid:
                parent, links = given, [Link(conversation.get_span_context())]
        self._turn = self._traces.tracer.start_span(
            f"invoke_workflow {_WORKFLOW}",
            parent,
            attributes={
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.workflow.name": _WORKFLOW,
                "gen_ai.conversation.id": said.thread_id,
                "voztaxi.turn.id": said.turn_id,
            },
            links=links,
            start_time=_ns(said.received_at),
        )
        self._traces.began(said, self._turn)
        if self._traces.personal:
            self._turn.set_attribute("gen_ai.input.messages", _message("user", said.text))
        self._context = set_span_in_context(self._turn, Context())
        return self._turn

    def _start(self, name: str, ts: int, attributes: Attributes | None = None, *, within: Span | None = None) -> Span:
        context = self._context if within is None else set_span_in_context(within, Context())
        common = {"gen_ai.conversation.id": self._said.thread_id}
        return self._traces.tracer.start_span(
            name, context, attributes={**common, **(attributes or {})}, start_time=_ns(ts)
        )

    def _agent(self, name: AgentName) -> Span:
        """Return the span of an agent that speaks or acts."""
        span = self._agents.get(name)
        if span is None:
            attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **self._traces.model}
            span = self._agents[name] = self._start(f"invoke_agent {name}", self._since, attributes)
        return span

    def _count(self, event: ModelUsage) -> None:
        """Add the tokens of an answer to those that its agent has used."""
        given, answered = self._used.get(event.agent, (0, 0))
        used = self._used[event.agent] = given + event.input_tokens, answered + event.output_tokens
        span = self._agent(event.agent)
        span.set_attribute("gen_ai.usage.input_tokens", used[0])
        span.set_attribute("gen_ai.usage.output_tokens", used[1])

    def _call(self, event: ToolCall) -> None:
        name = known_tool(event.name, self._traces.tools)
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.tool_call_id,
        }
        if self._traces.personal:
            attributes["gen_ai.tool.call.arguments"] = json.dumps(event.args, ensure_ascii=False)
        within = self._agent(event.agent)
        self._tools[event.tool_call_id] = self._start(f"execute_tool {name}", event.ts, attributes, within=within)

    def _answer(self, event: ToolResult) -> None:
        span = self._tools.pop(event.tool_call_id, None)
        if span is None:
            return
        failure = failure_of(event)
        if failure is not None:
            _fail(span, failure)
        if self._traces.personal:
            span.set_attribute("gen_ai.tool.call.result", json.dumps(event.result, ensure_ascii=False))
        span.end(_ns(event.ts))

    def _end(self, turn: Span, event: TurnEnd) -> None:
        open_spans = [*self._tools.values(), *self._agents.values()]
        for span in (*open_spans, *([] if self._tts is None else [self._tts])):
            span.end(_ns(event.ts))
        turn.set_attribute("voztaxi.turn.status", event.status)
        if event.booking_id is not None:
            turn.set_attribute("voztaxi.booking.id", event.booking_id)
        if self._traces.personal:
            turn.set_attribute("gen_ai.output.messages", _message("assistant", event.text))
        if event.status == "failed":
            _fail(turn, self._code or "agent_error")
        turn.end(_ns(event.ts))
        self._traces.conversation(self._said.thread_id, event.ts)


def _fail(span: Span, code: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR))


def _message(role: str, text: str) -> str:
    """Return a message in the form of the conventions."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}], ensure_ascii=False)


def _ns(ts: int) -> int:
    """Return milliseconds since the epoch as nanoseconds."""
    return ts * 1_000_000
