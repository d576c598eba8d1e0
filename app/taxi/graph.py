"""The graph: the active agent with its tools, then the next one, again and again until the floor is the rider's.

START -> (active agent) -> (active agent) -> ... -> END

Whoever is the first one in a turn listens to the rider.
"""

import json
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    InvalidToolCall,
    RemoveMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import ValidationError

from app.core.errors import AgentLoop, AppError, ModelError, ModelIncomplete
from app.core.tasks import uninterruptible
from app.models.conversation import TurnInput
from app.models.events import AgentName, EventSource
from app.taxi import prompts
from app.taxi.agents import AGENTS, Agent
from app.taxi.context import Context, Emit, TaxiDesk
from app.taxi.history import call_ids, forgettable, last_words, model_history, newest_lines
from app.taxi.listening import listen
from app.taxi.spoken import SpokenText
from app.taxi.state import RECEPTION, TaxiState, active_agent, read_draft
from app.taxi.summary import summarise, was_read
from app.taxi.tools import Result, Session, failed

log = structlog.stdlib.get_logger("voztaxi.taxi")

_MAX_STEPS = 16
"""Agent steps in one turn; a booking said in one sentence takes four."""
_UNFINISHED = frozenset({"length", "content_filter", "max_tokens"})
"""Ends of stream that say the answer was cut."""


class TaxiGraph:
    """The compiled graph, and how a turn enters it."""

    mending_node: str = RECEPTION

    def __init__(
        self, *, model: BaseChatModel, checkpointer: BaseCheckpointSaver[Any], desk: TaxiDesk, history_messages: int
    ) -> None:
        self.graph = build_graph(model, checkpointer, history_messages)
        self._desk = desk

    def context(self, said: TurnInput, source: EventSource, emit: Emit) -> Context:
        """Return the runtime context of a turn."""
        return Context(desk=self._desk, said=said, source=source, emit=emit)

    def state(self, said: TurnInput, transcript: str) -> dict[str, Any]:
        """Return the input of a turn: the rider's message, under the turn's id."""
        return {"messages": [HumanMessage(transcript, id=said.turn_id)]}

    async def describe(self, thread_id: str) -> dict[str, Any]:
        """Return what the agents know of a thread, for clients."""
        snapshot = await self.graph.aget_state({"configurable": {"thread_id": thread_id}})
        state: TaxiState = snapshot.values  # type: ignore[assignment]
        draft = read_draft(state)
        return {
            "active_agent": active_agent(state),
            "draft": draft.model_dump(mode="json", exclude_defaults=True),
            "missing": draft.missing,
            "booking": state.get("booking"),
        }


def build_graph(
    model: BaseChatModel, checkpointer: BaseCheckpointSaver[Any], history_messages: int
) -> CompiledStateGraph[TaxiState, Context, TaxiState, TaxiState]:
    """Return the compiled graph.

    Args:
        model: Any chat model that streams and calls tools; the graph does not know which.
        checkpointer: Where threads are kept between turns.
        history_messages: Newest messages that the model is given.
    """
    builder = StateGraph(TaxiState, context_schema=Context)
    for agent in AGENTS.values():
        voice = model.bind_tools(list(agent.tools))
        builder.add_node(agent.name, act(agent, voice, history_messages), destinations=(*AGENTS, END))
    builder.add_conditional_edges(START, _ActiveAgent(), list(AGENTS))
    return builder.compile(checkpointer=checkpointer).with_config(recursion_limit=2 * _MAX_STEPS)


class _ActiveAgent(Runnable[TaxiState, AgentName]):
    """Says whom the rider talks to. Of a plain function LangGraph would make a run of its own, for a trace."""

    name = "active_agent"

    def invoke(self, input: TaxiState, config: RunnableConfig | None = None, **_options: Any) -> AgentName:  # noqa: A002
        """Return the name of the agent."""
        return active_agent(input)

    async def ainvoke(self, input: TaxiState, config: RunnableConfig | None = None, **options: Any) -> AgentName:  # noqa: A002
        """Return the name of the agent, without a visit to a thread."""
        return self.invoke(input)


def act(agent: Agent, model: Runnable[Any, Any], history_messages: int) -> Callable[..., Any]:
    """Return the node of an agent: one message of the model, spoken as it comes, and the tools that it calls.

    Who is the first one in a turn takes the rider's words before it answers. To listen, to speak and to use tools is
    one node: a step of the graph costs more than most tools do.

    Args:
        agent: Who it is.
        model: The chat model, with the agent's tools.
        history_messages: Newest messages that the model is given; much older ones are let go with a turn's first step.
    """

    async def take_part(state: TaxiState, runtime: Runtime[Context]) -> Command[str]:
        context = runtime.context
        context.changes.clear()
        heard: TaxiState = {}
        forgotten: list[Any] = []
        if not context.has_listened:
            heard = await listen(state, context)
            if heard["active_agent"] != agent.name:
                return Command(update=heard, goto=heard["active_agent"])
            old = forgettable(state["messages"], history_messages)
            forgotten = [RemoveMessage(id=message.id) for message in old if message.id is not None]
            state = {**state, **heard}
        message = await _speak(agent, model, state, context, history_messages)
        update: TaxiState = {**heard, "messages": [*forgotten, message], "active_agent": agent.name}
        if not call_ids(message):
            await context.end(agent.name)
            if agent.name == "CONFIRMADOR" and was_read(read_draft(state), message.text):
                update["summarised"] = read_draft(state).fingerprint()
            return Command(update=update, goto=END)
        session = Session(state, context, agent.name, last_words(state["messages"]))
        answers = await _use_tools(agent, message, session)
        if session.handed_to is not None and not session.returns:
            await context.end(agent.name)
        yields_floor = session.handed_to is not None and "?" in message.text
        update = {**update, **session.changes, "messages": [*update["messages"], *answers]}  # type: ignore[typeddict-item]
        return Command(update=update, goto=END if yields_floor else session.handed_to or agent.name)

    return take_part


async def _speak(
    agent: Agent, model: Runnable[Any, Any], state: TaxiState, context: Context, history_messages: int
) -> AIMessage:
    """Return the agent's next message, which the rider has heard by then.

    Raises:
        AgentLoop: The agents went on and on.
        ModelError: See ``_stream``.
    """
    context.steps += 1
    if context.steps > _MAX_STEPS:
        raise AgentLoop
    log.debug("agent", stage=agent.name, step=context.steps)
    prompt = [
        SystemMessage(system_prompt(agent, state, context)),
        *model_history(newest_lines(state["messages"], context.said.history_lines), history_messages),
    ]
    return await _stream(model, prompt, agent, context, state["messages"])


async def _use_tools(agent: Agent, asked: AIMessage, session: Session) -> list[AnyMessage]:
    """Run the calls of a message in order. Every one gets its answer."""
    context = session.context
    answers: list[AnyMessage] = []
    readable = {call["id"]: call for call in asked.tool_calls}
    for call_id in call_ids(asked):
        call = readable.get(call_id)
        name = call["name"] if call else _unreadable_name(asked, call_id)
        await context.call(call_id, name, dict(call["args"]) if call else {}, agent.name)
        result = await _use(agent, name, call["args"] if call else None, call_id, session)
        content = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        answers.append(ToolMessage(content, tool_call_id=call_id, name=name, id=f"{context.said.turn_id}:{call_id}"))
    return answers


async def _use(agent: Agent, name: str, args: dict[str, Any] | None, call_id: str, session: Session) -> Result:
    """Run one call and tell its result. What commits is not cut in the middle, nor before it was told."""
    kind = agent.tool(name)
    if kind is None or args is None:
        result: Result = (
            failed("unknown_tool", f"{agent.name} no tiene esa herramienta.")
            if kind is None
            else failed("invalid_arguments", "Los argumentos no son JSON válido.")
        )
        await session.context.answer(call_id, name, result)
        return result
    try:
        tool = kind.model_validate(args)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
        result = failed("invalid_arguments", f"Argumentos no válidos: {where}.")
        await session.context.answer(call_id, name, result)
        return result

    async def run_and_tell() -> Result:
        try:
            outcome = await tool.run(session)
        except AppError as error:
            log.warning("tool failed", stage=agent.name, tool=name, code=error.error_code, exc_info=error)
            outcome = failed(error.error_code, error.message)
        await session.context.answer(call_id, name, outcome)
        return outcome

    log.debug("tool", stage=agent.name, tool=name)
    if not kind.commits:
        return await run_and_tell()
    return await uninterruptible(run_and_tell(), on_cancel=session.context.hurried.set)


async def _stream(
    model: Runnable[Any, Any], prompt: Sequence[AnyMessage], agent: Agent, context: Context, known: Sequence[AnyMessage]
) -> AIMessage:
    """Return the model's next message, having let the rider hear it as it came.

    Raises:
        ModelError: The model refused, broke off or could not be reached.
        ModelIncomplete: The stream ended without its own end, or its end says that it was cut.
    """
    unspoken: list[AIMessageChunk] = []
    """What holds more than text, which is joined as it is spoken."""
    ended: str | None = None
    tokens = (0, 0)
    named: dict[int, str] = {}
    spoken = SpokenText()
    separator = " " if context.has_spoken else ""
    try:
        async for chunk in model.astream(prompt):
            _name_once(chunk, named)
            if chunk.tool_call_chunks or chunk.tool_calls or chunk.additional_kwargs:
                unspoken.append(chunk)
            ended = chunk.response_metadata.get("finish_reason") or ended
            if usage := chunk.usage_metadata:
                # Servers tell it once, in two parts, or with every piece as it grows: the largest is the whole.
                tokens = max(tokens[0], usage["input_tokens"]), max(tokens[1], usage["output_tokens"])
            if text := spoken.feed(chunk.text):
                await context.say(separator + text, agent.name)
                separator = ""
    except AppError:
        raise
    except Exception as error:
        # Not its message: what a model server writes there may hold the key, or what was said.
        log.warning(
            "model failed",
            stage=agent.name,
            kind=type(error).__name__,
            status=getattr(error, "status_code", None),
            trace=traceback.format_tb(error.__traceback__, limit=-2),
        )
        raise ModelError from error
    if any(tokens):
        await context.used(*tokens, agent.name)
    if ended is None or ended in _UNFINISHED:
        raise ModelIncomplete
    if text := spoken.finish():
        await context.say(separator + text, agent.name)
    whole = add_ai_message_chunks(AIMessageChunk(content=""), *unspoken)
    tool_calls, invalid_tool_calls = read_calls(whole)
    message = AIMessage(
        spoken.said,
        tool_calls=tool_calls,
        invalid_tool_calls=invalid_tool_calls,
        additional_kwargs={key: value for key, value in whole.additional_kwargs.items() if key != "tool_calls"},
        response_metadata={"agent": agent.name},
        id=f"{context.said.turn_id}:{context.steps}",
    )
    _make_call_ids_unique(message, context, known)
    if not message.text and not call_ids(message):
        log.warning("model said nothing", stage=agent.name)
        fallback = prompts.FALLBACK[agent.name]
        await context.say(separator + fallback, agent.name)
        message.content = fallback
    return message


def _name_once(chunk: AIMessageChunk, named: dict[int, str]) -> None:
    """Drop the name of a call that has it already: some servers repeat it in every piece, and pieces are joined."""
    for call in chunk.tool_call_chunks:
        index, name = call["index"], call["name"]
        if index is not None and name:
            if named.get(index) == name:
                call["name"] = None
            named[index] = name


def read_calls(message: AIMessageChunk) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Return the calls of a streamed message, those whose arguments are a JSON object and those that are not.

    LangChain completes arguments that were cut («Calle 7» of «Calle 72»); a taxi must not be sent there.
    They are not kept: some servers refuse a history whose arguments are no JSON.
    """
    if not message.tool_call_chunks:
        return message.tool_calls, message.invalid_tool_calls
    readable: list[ToolCall] = []
    unreadable: list[InvalidToolCall] = []
    for chunk in message.tool_call_chunks:
        name = (chunk["name"] or "").encode(errors="replace").decode()
        given, call_id = chunk["args"] or "{}", chunk["id"]
        try:
            args = json.loads(given, parse_int=_int64)
            # No store takes NaN or half a surrogate pair.
            json.dumps(args, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            args = None
        if isinstance(args, dict):
            readable.append(ToolCall(name=name, args=args, id=call_id, type="tool_call"))
        else:
            unreadable.append(
                InvalidToolCall(name=name, args="{}", id=call_id, error="not a JSON object", type="invalid_tool_call")
            )
    return readable, unreadable


def _int64(digits: str) -> int:
    """Return an integer that a checkpoint can hold."""
    value = int(digits)
    if not -(2**63) <= value < 2**63:
        raise ValueError("an integer beyond 64 bits")
    return value


def system_prompt(agent: Agent, state: TaxiState, context: Context) -> str:
    """Return what the model is told: its part, and what is known so far."""
    draft = read_draft(state)
    fingerprint = draft.fingerprint()
    known = {
        "agent": agent.name,
        "draft": draft.model_dump(mode="json", exclude_defaults=True),
        "missing": draft.missing,
        "summary": summarise(draft) if not draft.missing else None,
        "summary_read": state.get("summarised") == fingerprint,
        "booking": state.get("booking"),
        "coverage": list(context.desk.coverage),
        "language": context.said.language,
    }
    facts = json.dumps({key: value for key, value in known.items() if value is not None}, ensure_ascii=False)
    return "\n\n".join((prompts.COMMON, agent.prompt, f"{prompts.STATE_OPEN}{facts}{prompts.STATE_CLOSE}"))


def _make_call_ids_unique(message: AIMessage, context: Context, known: Sequence[AnyMessage]) -> None:
    """Give calls ids that this thread has not seen: some servers count from zero in every answer."""
    if not context.call_ids:
        context.call_ids.update(call_id for each in known if isinstance(each, AIMessage) for call_id in call_ids(each))
    for call in (*message.tool_calls, *message.invalid_tool_calls):
        call_id = call["id"]
        if not call_id or call_id in context.call_ids:
            call["id"] = call_id = f"call_{context.desk.new_id()}"
        context.call_ids.add(call_id)


def _unreadable_name(message: AIMessage, call_id: str) -> str:
    return next((call["name"] or "" for call in message.invalid_tool_calls if call["id"] == call_id), "")
