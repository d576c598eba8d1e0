"""Threads over HTTP: what was said, what goes on, forgetting it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import AfterValidator, BaseModel

from app.api.callers import CallerDep
from app.api.deps import Services, ServicesDep
from app.api.dialects.native import NativeDialect
from app.api.sse import RETRY_MS, EventStream, Tap
from app.core import metrics
from app.core.errors import ForbiddenThread, LogTruncated, NotFound
from app.models.account import Caller
from app.models.conversation import Message
from app.models.events import NOWHERE
from app.models.inputs import ThreadId

router = APIRouter(prefix="/api/v1/threads", tags=["threads"])

ThreadPath = Annotated[ThreadId, Path()]
_EVENT = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "data": {"type": "string", "contentMediaType": "application/json"}},
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events; `id` is their `seq`.",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    }
}


class Thread(BaseModel):
    """A thread as it stands."""

    thread_id: str
    user_id: str | None
    client_id: str | None
    created_at: int
    updated_at: int
    last_seq: int
    epoch: str
    messages: list[Message]
    state: dict[str, Any]


class Forgotten(BaseModel):
    """A thread that is no more."""

    thread_id: str
    forgotten: bool = True


def _seq(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isdigit() and int(value) <= NOWHERE):
        raise ValueError("must be a sequence number")
    return value


@router.get("/{thread_id:path}/events", response_class=EventStream, responses=_STREAM)
async def events(
    thread_id: ThreadPath,
    services: ServicesDep,
    caller: CallerDep,
    after: Annotated[int | None, Query(ge=0, le=NOWHERE)] = None,
    epoch: Annotated[str | None, Query(max_length=128)] = None,
    last_event_id: Annotated[str | None, Header(max_length=19), AfterValidator(_seq)] = None,
    accept_encoding: Annotated[str, Header(include_in_schema=False)] = "",
) -> EventStream:
    """Stream the thread's events after ``Last-Event-ID`` (else after ``after``), then live.

    Where the log no longer reaches back that far, the first event is a ``replay_start`` with
    ``recovered`` false and the saved messages. ``Last-Event-ID`` goes before ``after``: a browser that
    reconnects repeats the address it began with.
    """
    after_seq = int(last_event_id) if last_event_id is not None else after or 0
    await services.threads.authorise(thread_id, caller)

    def open_stream(tap: Tap) -> aclosing[AsyncGenerator[bytes]]:
        return aclosing(_stream(services, tap, caller, thread_id, after_seq, epoch))

    return EventStream(services, open_stream, accept_encoding=accept_encoding)


async def _stream(
    services: Services, tap: Tap, caller: Caller, thread_id: str, after_seq: int, epoch: str | None
) -> AsyncGenerator[bytes]:
    dialect = NativeDialect()
    while True:
        async with services.streaming.subscribe(thread_id, after_seq=after_seq, epoch=epoch, caller=caller) as reader:
            if after_seq > 0:
                metrics.REPLAYS.labels(str(reader.recovered).lower()).inc()
            yield format_sse_event(retry=RETRY_MS)
            if not reader.recovered:
                start = await services.threads.replay_start(thread_id, reader)
                after_seq = reader.position.seq
                yield format_sse_event(data_str=dialect.encode(start), id=str(reader.position.seq))
            try:
                while (records := await tap.read(reader)) is not None:
                    for record in records:
                        yield format_sse_event(data_str=dialect.encode_record(record), id=str(record.seq))
                        after_seq = record.seq
                    if not records:
                        yield KEEPALIVE_COMMENT
                return
            except LogTruncated:
                # The log begins anew, or has left the client behind: it says what it still has.
                epoch = reader.position.epoch
            except ForbiddenThread:
                return  # somebody else opened it first


@router.get("/{thread_id:path}", response_model=Thread, response_model_exclude_none=False)
async def show(thread_id: ThreadPath, services: ServicesDep, caller: CallerDep) -> Thread:
    """Return a thread's messages and state."""
    view = await services.threads.view(thread_id, caller)
    if view is None:
        raise NotFound("No existe esa conversación.")
    known = view.conversation
    return Thread(
        thread_id=thread_id,
        user_id=known.user_id,
        client_id=known.client_id,
        created_at=known.created_at,
        updated_at=known.updated_at,
        last_seq=view.seq,
        epoch=view.epoch,
        messages=list(view.messages),
        state=view.state,
    )


@router.delete("/{thread_id:path}")
async def forget(thread_id: ThreadPath, services: ServicesDep, caller: CallerDep) -> Forgotten:
    """End what runs on a thread and forget it. Its bookings stay."""
    if not await services.streaming.forget(thread_id, caller=caller):
        raise NotFound("No existe esa conversación.")
    return Forgotten(thread_id=thread_id)
