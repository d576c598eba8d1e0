"""A turn as Server-Sent Events in the answer to the message that began it."""

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import anyio
import structlog
from fastapi import APIRouter, Header, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.callers import AccountDep, caller_at
from app.api.deps import Services, ServicesDep
from app.api.dialects.stream_chat import EVENTS, Place, StreamChatDialect, StreamEvent
from app.api.sse import PING_SECONDS, RETRY_MS, EventStream, Tap
from app.api.v1.chat import Text
from app.core import metrics
from app.core.clock import stable_id
from app.core.errors import (
    AppError,
    BadInput,
    Draining,
    DuplicateMessage,
    LogTruncated,
    StreamTimeout,
    as_app_error,
)
from app.models.account import Caller
from app.models.events import Record
from app.models.inputs import MessageId, ThreadId
from app.stores.base import LogReader

router = APIRouter(tags=["chat"])
log = structlog.stdlib.get_logger("voztaxi.stream")

_METADATA_CHARACTERS = 8192
_FLUSH_SECONDS = 2.0
"""How long what was logged may take to be sent before a restart."""
_EVENT_SCHEMAS = [
    {
        "type": "object",
        "properties": {
            "event": {"const": name},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": model.model_json_schema(),
            },
            "id": {"type": "string"},
        },
        "required": ["event", "data", "id"],
    }
    for name, model in EVENTS.items()
]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer: `start`, `chunk`…, then one of `end` and `error`.",
        "content": {"text/event-stream": {"itemSchema": {"oneOf": _EVENT_SCHEMAS}}},
    }
}


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(metadata)) > _METADATA_CHARACTERS:
        raise ValueError(f"must be no longer than {_METADATA_CHARACTERS} characters of JSON")
    return metadata


class StreamRequest(BaseModel):
    """What a rider says."""

    model_config = ConfigDict(extra="ignore")

    message: Text
    conversation_id: ThreadId | None = Field(default=None, description="Without one a new conversation begins.")
    metadata: Annotated[dict[str, Any], AfterValidator(_bounded)] | None = Field(
        default=None, description="Anything; `user_id`, `client_id` and `language` are used where they are text."
    )
    message_id: MessageId | None = Field(
        default=None, description="Sent again, the message runs no second turn: the stream is that of the first."
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, understood."""

    text: str
    place: Place
    """Where the client is; number -1 where it has nothing yet."""
    is_first: bool
    """The message got its name here and now."""
    is_new: bool
    """So did the conversation."""
    caller: Caller
    client_id: str | None
    language: str | None


@router.post("/stream/chat", response_class=EventStream, responses=_STREAM)
async def stream_chat(
    request: StreamRequest,
    connection: Request,
    services: ServicesDep,
    claims: AccountDep,
    last_event_id: Annotated[str | None, Header(max_length=4096)] = None,
    idempotency_key: Annotated[MessageId | None, Header(description="As `message_id`, which goes before it.")] = None,
    accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
) -> EventStream:
    """Run a turn and stream its answer, or go on with a stream after ``Last-Event-ID``."""
    metadata = request.metadata or {}
    message_id = request.message_id or idempotency_key
    if last_event_id:
        place = Place.read(last_event_id)
        if request.conversation_id not in (None, place.conversation_id) or message_id not in (None, place.message_id):
            raise BadInput("«Last-Event-ID» es de otro mensaje.")
    else:
        place = _new_place(services, request.conversation_id, message_id, claims.account_id)
    asked = _Asked(
        text=request.message,
        place=place,
        is_first=not last_event_id and message_id is None,
        is_new=not last_event_id and message_id is None and request.conversation_id is None,
        caller=caller_at(connection, claims).saying(_text(metadata, "user_id", 256)),
        client_id=_text(metadata, "client_id", 256),
        language=_text(metadata, "language", 35),
    )
    return EventStream(services, partial(_open, services, asked), accept_encoding=accept_encoding)


def _new_place(services: Services, conversation_id: str | None, message_id: str | None, account_id: str) -> Place:
    """Name a stream that has not begun. The name that a client gives its message names its conversation, too."""
    if conversation_id is None:
        new_id = services.streaming.new_thread_id
        conversation_id = new_id() if message_id is None else stable_id("stream", account_id, message_id)
    return Place(conversation_id, message_id or services.streaming.new_thread_id(), after_seq=0, number=-1)


def _text(metadata: dict[str, Any], name: str, longest: int) -> str | None:
    value = metadata.get(name)
    is_good = isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
    return value if is_good else None


@asynccontextmanager
async def _open(services: Services, asked: _Asked, tap: Tap) -> AsyncIterator[AsyncIterator[bytes]]:
    """Hand the message in, and open its stream.

    Raises:
        AppError: The message is not taken.
    """
    started = time.perf_counter()
    async with AsyncExitStack() as stack:
        answer = await _begin(services, asked, stack)
        metrics.STREAM_CHAT_STARTED.inc()
        try:
            async with aclosing(_events(answer, tap, started)) as events:
                yield events
        finally:
            metrics.STREAM_CHAT_DURATION.observe(time.perf_counter() - started)
            if answer.dialect.outcome == "completed":
                metrics.STREAM_CHAT_COMPLETED.inc()
            elif answer.dialect.outcome == "error":
                metrics.STREAM_CHAT_ERROR.inc()


async def _begin(services: Services, asked: _Asked, stack: AsyncExitStack) -> "_Answer":
    """Subscribe and submit. A message that was taken before is read from its first event on."""
    streaming, place = services.streaming, asked.place
    thread_id = place.conversation_id
    turn_id = streaming.turn_of(thread_id, place.message_id)
    if place.number <= 0:  # no word was seen: where the turn has not begun, it begins now
        async with AsyncExitStack() as live:
            reader = await live.enter_async_context(
                streaming.subscribe(thread_id, caller=asked.caller, is_new=asked.is_new)
            )
            try:
                await streaming.submit(
                    asked.text,
                    thread_id=thread_id,
                    caller=asked.caller,
                    client_id=asked.client_id,
                    language=asked.language,
                    message_id=place.message_id,
                    is_first=asked.is_first,
                    subscription=reader,
                )
            except DuplicateMessage:
                pass
            else:
                stack.push_async_exit(live.pop_all())
                place = replace(place, after_seq=reader.position.seq)
                return _Answer(services, reader, StreamChatDialect(turn_id, place), is_new=True)
    reader = await stack.enter_async_context(
        streaming.subscribe(thread_id, after_seq=place.after_seq, caller=asked.caller)
    )
    return _Answer(services, reader, StreamChatDialect(turn_id, place), is_new=False)


class _Answer:
    """A turn that is being read."""

    def __init__(self, services: Services, reader: LogReader, dialect: StreamChatDialect, *, is_new: bool) -> None:
        self.dialect = dialect
        self._services = services
        self._reader = reader
        self._seq = dialect.place.after_seq
        self._is_behind = not is_new
        """Not yet where the log was when it was opened."""
        self._closes_at = anyio.current_time() + services.settings.stream_timeout_seconds

    async def records(self, tap: Tap) -> AsyncGenerator[Sequence[Record]]:
        """Yield what is logged, and nothing now and then, until the stream is over.

        Raises:
            AppError: The stream is cut short.
        """
        if not self._reader.recovered:
            raise LogTruncated
        while self.dialect.outcome is None:
            await self._look_for_turn()
            seconds = self._closes_at - anyio.current_time()
            if seconds <= 0:
                raise StreamTimeout
            records = await tap.read(self._reader, min(seconds, PING_SECONDS))
            if records is None:
                yield await self._last_records()
                if self.dialect.outcome is None:
                    raise Draining
                return
            self._note(records)
            yield records

    def _note(self, records: Sequence[Record]) -> None:
        if records:
            self._seq = records[-1].seq

    async def _look_for_turn(self) -> None:
        """Where the log as it was found has nothing of the turn, see whether there is anything to wait for."""
        if self._is_behind and self._seq >= self._reader.position.seq:
            self._is_behind = False
            was_seen = self.dialect.place.number > 0
            if not self.dialect.has_begun and (
                was_seen or await self._services.streaming.has_ended(self.dialect.turn_id)
            ):
                raise LogTruncated

    async def _last_records(self) -> Sequence[Record]:
        """Return what the log still has when the server stops: the end of the turn, as a rule."""
        last: list[Record] = []
        with anyio.move_on_after(_FLUSH_SECONDS):
            newest = await self._services.streaming.position(self.dialect.place.conversation_id)
            while self._seq < newest:
                records = await self._reader.read()
                self._note(records)
                last += records
        return last


async def _events(answer: _Answer, tap: Tap, started: float) -> AsyncGenerator[bytes]:
    """Yield the stream, to its one ``end`` or ``error``."""
    dialect = answer.dialect
    yield format_sse_event(retry=RETRY_MS) + _encode(dialect.start())
    metrics.STREAM_CHAT_TTFB.observe(time.perf_counter() - started)
    sent_at = anyio.current_time()
    try:
        async with aclosing(answer.records(tap)) as batches:
            async for records in batches:
                events = [event for record in records for event in dialect.encode(record)]
                if events:
                    yield _encode(events)
                elif anyio.current_time() - sent_at >= PING_SECONDS:
                    yield KEEPALIVE_COMMENT
                else:
                    continue
                sent_at = anyio.current_time()
    except Exception as error:
        reason = as_app_error(error)
        if reason.code == AppError.code:
            log.exception("stream failed unexpectedly", thread_id=dialect.place.conversation_id)
        yield _encode(dialect.fail(reason))


def _encode(events: Sequence[StreamEvent]) -> bytes:
    return b"".join(format_sse_event(event=event.name, data_str=event.data, id=event.id) for event in events)
