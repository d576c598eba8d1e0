"""A whole turn in one HTTP answer, for clients that cannot hold a connection."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.callers import CallerDep
from app.api.deps import Services, ServicesDep
from app.core.errors import AgentError, AppError, Conflict, DuplicateMessage, LogTruncated, StoreError, TurnTimeout
from app.models.account import Caller
from app.models.booking import Booking
from app.models.events import AgentChunk, Record, ToolCall, ToolResult, TurnEnd
from app.models.events import AgentError as AgentErrorEvent
from app.models.inputs import MessageId, Name, ThreadId
from app.stores.base import LogReader

router = APIRouter(tags=["chat"])

_QUIET_SECONDS = 1.0
"""How often it is asked whether a turn of which nothing comes is still to come."""


Text = Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": 4000, "pattern": r"\S"})]
"""What a rider says; the service holds it to ``MAX_TEXT_CHARS`` and refuses it empty."""


class ChatRequest(BaseModel):
    """What a rider says."""

    model_config = ConfigDict(extra="ignore")

    text: Text
    thread_id: ThreadId | None = None
    user_id: Name | None = None
    message_id: MessageId | None = Field(
        default=None, description="Sent again, the message runs no second turn: the answer is that of the first."
    )


class PhoneRequest(BaseModel):
    """What a rider says, as telephone front ends send it."""

    model_config = ConfigDict(extra="ignore")

    MESSAGE: Text
    USER_ID: Name
    THREAD_ID: ThreadId | Literal[""] | None = Field(default=None, description="Empty begins a new conversation.")
    CLIENT_ID: Annotated[str, Field(max_length=256)] | None = None


class ToolUse(BaseModel):
    """A tool that was called, with what came of it."""

    toolCallId: str  # noqa: N815 - the wire's spelling
    name: str
    args: dict[str, Any]
    result: str | dict[str, Any] | None = None


class ChatResponse(BaseModel):
    """The whole turn."""

    thread_id: str
    turn_id: str
    agent: str | None = Field(description="Who spoke last.")
    text: str
    tool_calls: list[ToolUse]
    booking: Booking | None
    finished: bool = Field(description="A taxi was dispatched: nothing more is asked of the rider.")


class PhoneResponse(BaseModel):
    """The whole turn, as telephone front ends read it."""

    THREAD_ID: str
    RESPONSE: str
    IS_INTERRUPTED: Literal["true", "false"]
    FIN: Literal["true", "false"]


class _Answer(BaseModel):
    turn_id: str
    thread_id: str
    end: TurnEnd
    agent: str | None
    tools: list[ToolUse]
    error: AgentErrorEvent | None


@router.post("/api/v1/chat", response_model=ChatResponse | PhoneResponse)
@router.post("/api/v1/chat/", response_model=ChatResponse | PhoneResponse, include_in_schema=False)
async def chat(
    request: ChatRequest | PhoneRequest, services: ServicesDep, caller: CallerDep
) -> ChatResponse | PhoneResponse:
    """Run a turn and answer with all of it. Upper case is answered in upper case."""
    if isinstance(request, PhoneRequest):
        answer = await _run(
            services,
            request.MESSAGE,
            request.THREAD_ID or None,
            caller=caller.saying(request.USER_ID),
            client_id=request.CLIENT_ID or None,
        )
        return PhoneResponse(
            THREAD_ID=answer.thread_id,
            RESPONSE=answer.end.text,
            IS_INTERRUPTED=_flag(answer.end.status == "interrupted"),
            FIN=_flag(answer.end.booking_id is not None),
        )
    answer = await _run(
        services,
        request.text,
        request.thread_id,
        caller=caller.saying(request.user_id),
        message_id=request.message_id,
    )
    if answer.end.status == "interrupted":
        raise Conflict("Otro mensaje interrumpió la respuesta.", code="interrupted")
    booking_id = answer.end.booking_id
    return ChatResponse(
        thread_id=answer.thread_id,
        turn_id=answer.turn_id,
        agent=answer.agent,
        text=answer.end.text,
        tool_calls=answer.tools,
        booking=await services.bookings.get(booking_id, caller) if booking_id else None,
        finished=booking_id is not None,
    )


async def _run(
    services: Services,
    text: str,
    thread_id: str | None,
    *,
    caller: Caller,
    client_id: str | None = None,
    message_id: str | None = None,
) -> _Answer:
    """Submit, and read the log until the turn's terminal event."""
    streaming = services.streaming
    is_new = thread_id is None
    thread_id = thread_id or streaming.new_thread_id()
    turn_id = None
    try:
        async with streaming.subscribe(thread_id, caller=caller, is_new=is_new) as reader:
            turn_id = await streaming.submit(
                text,
                thread_id=thread_id,
                caller=caller,
                client_id=client_id,
                message_id=message_id,
                subscription=reader,
            )
            answer = await _collect(reader, thread_id, turn_id, is_coming=partial(streaming.has, thread_id, turn_id))
    except (DuplicateMessage, LogTruncated) as reason:
        # Taken before, or the log began anew in the middle: the answer is read from the first event on.
        taken = reason.turn_id if isinstance(reason, DuplicateMessage) else turn_id
        async with streaming.subscribe(thread_id, after_seq=0, caller=caller) as reader:
            if taken is None or not reader.recovered:
                raise
            settings = services.settings
            latest = anyio.current_time() + settings.turn_timeout_seconds + settings.pause_limit_seconds
            try:
                answer = await _collect(
                    reader,
                    thread_id,
                    taken,
                    is_coming=lambda: anyio.current_time() < latest,  # in whichever process
                    has_ended=partial(streaming.has_ended, taken),
                )
            except LogTruncated:
                raise reason from None
    if answer.end.status == "failed":
        raise _failure(answer.error)
    return answer


async def _collect(
    reader: LogReader,
    thread_id: str,
    turn_id: str,
    *,
    is_coming: Callable[[], bool],
    has_ended: Callable[[], Awaitable[bool]] | None = None,
) -> _Answer:
    """Read a turn to its end.

    Raises:
        StoreError: Nothing comes, and the turn is not ``is_coming``: it was given up before it began.
        LogTruncated: The log has begun anew; or, where ``has_ended`` is given, has nothing of a turn that is over.
    """
    seq = 0
    tools: dict[str, ToolUse] = {}
    agent: str | None = None
    error: AgentErrorEvent | None = None
    while True:
        if has_ended is not None and seq >= reader.position.seq:
            if await has_ended():
                raise LogTruncated
            has_ended = None
        was_coming = is_coming()
        records: Sequence[Record] = ()
        with anyio.move_on_after(_QUIET_SECONDS):
            records = await reader.read()
        if not records and not was_coming:
            raise StoreError("No se pudo empezar a responder. Intenta de nuevo.")
        for record in records:
            seq, event = record.seq, record.event
            if getattr(event, "turn_id", None) != turn_id:
                continue
            has_ended = None
            match event:
                case AgentChunk():
                    agent = event.agent
                case ToolCall():
                    tools[event.tool_call_id] = ToolUse(toolCallId=event.tool_call_id, name=event.name, args=event.args)
                case ToolResult():
                    tools[event.tool_call_id].result = event.result
                case AgentErrorEvent():
                    error = event
                case TurnEnd():
                    return _Answer(
                        turn_id=turn_id,
                        thread_id=thread_id,
                        end=event,
                        agent=agent,
                        tools=list(tools.values()),
                        error=error,
                    )
                case _:
                    pass


def _failure(error: AgentErrorEvent | None) -> AppError:
    """Return the reason of a failed turn, as the error that it was."""
    if error is None:
        return AgentError()
    kinds: tuple[type[AppError], ...] = (StoreError, TurnTimeout)
    kind = next((kind for kind in kinds if kind.code == error.code), AgentError)
    return kind(error.error, code=error.code)


def _flag(value: bool) -> Literal["true", "false"]:
    return "true" if value else "false"
