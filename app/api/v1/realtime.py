"""Chat sessions: kept, continued, corrected, exported and shared by who owns them."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.callers import AccountDep, caller_at
from app.api.deps import Services, ServicesDep
from app.api.dialects.realtime import Frame, Place, RealtimeDialect, read_place
from app.api.sse import PING_SECONDS, EventStream, Tap
from app.api.transcripts import PAGE_HEADERS, as_html, as_markdown, as_pdf, iso
from app.core.errors import (
    AgentError,
    AppError,
    AttachmentsUnsupported,
    Conflict,
    Draining,
    LogTruncated,
    NotFound,
    StoreError,
    TextTooLong,
    TurnTimeout,
)
from app.models.account import Caller
from app.models.conversation import Conversation, Line
from app.models.events import NOWHERE, Record
from app.models.inputs import MultitaskStrategy, ThreadId
from app.services.sessions import UNTITLED, Submitted
from app.stores.base import LogReader

router = APIRouter(prefix="/api/chat", tags=["sessions"])

_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_LINE_BREAKS = {ord(each): f"\\u{ord(each):04x}" for each in "\x85\u2028\u2029"}
"""No end of a line in a stream, but some clients take them for one; JSON has another spelling for them."""
_LONGEST_EXPORT = 200_000
"""Characters; a PDF of them takes seconds of a core."""
_PDFS = anyio.CapacityLimiter(1)
"""Made at the same time; whoever comes meanwhile waits."""

_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`data:` lines: one `start`, `content`…, then one `done` or `error`.",
        "content": {
            "text/event-stream": {
                "itemSchema": {
                    "type": "object",
                    "properties": {"id": {"type": "string"}, "data": {"type": "string"}},
                    "required": ["data"],
                }
            }
        },
    }
}
_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The conversation.",
        "content": {"text/markdown": {"schema": {"type": "string"}}, "application/pdf": {"schema": {"type": "string"}}},
    }
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The conversation.", "content": {"text/html": {"schema": {"type": "string"}}}}
}


def _named(text: str) -> str:
    return " ".join(text.split()) or UNTITLED


def _place(value: str | None) -> str | None:
    if value is not None and read_place(value) is None:
        raise ValueError("must be an id of this stream")
    return value


def _session_place(value: str | None) -> str | None:
    if value is not None:
        number, dot, name = value.partition(".")
        if not (number.isascii() and number.isdigit() and int(number) <= NOWHERE and dot and name):
            raise ValueError("must be a cursor of this list")
    return value


SessionPath = Annotated[ThreadId, Path()]
MessagePath = Annotated[str, Path(min_length=1, max_length=256)]
Title = Annotated[str, Field(max_length=200), AfterValidator(_named)]
Content = Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": 4000, "pattern": r"\S"})]
"""What is said; the service holds it to ``MAX_TEXT_CHARS`` and refuses it empty."""
LastEventId = Annotated[str | None, Header(max_length=96), AfterValidator(_place)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class NewSession(BaseModel):
    """A session to open."""

    model_config = ConfigDict(extra="ignore")

    title: Title | None = None
    initial_message: Annotated[str, Field(json_schema_extra={"maxLength": 4000})] | None = Field(
        default=None, description="Answered before this answers; the answer is among the messages."
    )


class Rename(BaseModel):
    """Another title."""

    model_config = ConfigDict(extra="ignore")

    title: Title


class Said(BaseModel):
    """What somebody says."""

    model_config = ConfigDict(extra="ignore")

    content: Content
    multitask_strategy: MultitaskStrategy = "interrupt"
    attachments: Any = Field(default=None, description="Files are refused.")


class ChatSaid(Said):
    """What somebody says, in a session or in a new one."""

    session_id: ThreadId | None = None


class Session(BaseModel):
    """A session."""

    id: str
    user_id: str
    title: str
    created_at: Time
    updated_at: Time


class Sessions(BaseModel):
    """Sessions, newest first."""

    sessions: list[Session]
    next_cursor: str | None = Field(description="Gets the following ones; null after the last.")


class SessionMessage(BaseModel):
    """A line of a conversation."""

    id: str
    role: Literal["user", "assistant"]
    content: str
    partial: bool = Field(description="The answer was cut off.")
    created_at: Time


class SessionMessages(BaseModel):
    """What was said, oldest first."""

    session_id: str
    messages: list[SessionMessage]


class Answer(BaseModel):
    """The whole answer."""

    session_id: str
    message_id: str
    user_message_id: str
    content: str


class Share(BaseModel):
    """A link that shows a session to whoever has it."""

    url: str
    token: str


class SharedMessage(BaseModel):
    """A line of a shared conversation."""

    role: Literal["user", "assistant"]
    content: str
    partial: bool
    created_at: Time


class Shared(BaseModel):
    """A shared conversation: nothing says whose it is."""

    title: str
    created_at: Time
    updated_at: Time
    messages: list[SharedMessage]


def _owner(request: Request, claims: AccountDep) -> Caller:
    return caller_at(request, claims)


OwnerDep = Annotated[Caller, Depends(_owner)]
"""Who is logged in, and calls."""


def _refuse_files(request: Request, _caller: OwnerDep) -> None:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise AttachmentsUnsupported


async def _resumed(
    session_id: SessionPath, services: ServicesDep, caller: OwnerDep, last_event_id: LastEventId = None
) -> Place | None:
    place = None if last_event_id is None else read_place(last_event_id)
    if place is not None:
        await services.sessions.require_turn(caller, session_id, place.turn_id)
    return place


_NO_FILES = [Depends(_refuse_files)]
PlaceDep = Annotated[Place | None, Depends(_resumed)]
"""Where a stream that broke off is to go on: then nothing is said or changed again."""


@router.post("", dependencies=_NO_FILES)
async def chat(said: ChatSaid, services: ServicesDep, caller: OwnerDep) -> Answer:
    """Say something and get the whole answer; without a session a new one is opened."""
    _refuse_attachments(said)
    if said.session_id is None:
        session, turn = await services.sessions.begin(caller, said.content)
        session_id = session.thread_id
    else:
        session_id = said.session_id
        turn = await services.sessions.say(caller, session_id, said.content, said.multitask_strategy)
    done = await _whole(services, caller, session_id, Place(turn.turn_id, turn.after_seq, 0))
    return Answer(
        session_id=session_id,
        message_id=done["message_id"],
        user_message_id=turn.message_id,
        content=done["full_content"],
    )


@router.post("/realtime/sessions", status_code=201, dependencies=_NO_FILES)
async def create(given: NewSession, services: ServicesDep, caller: OwnerDep) -> Session:
    """Open a session. Where the first message could not be answered, the session is there all the same."""
    initial = given.initial_message or ""
    if not initial.strip():
        return _session(await services.sessions.create(caller, given.title))
    session, turn = await services.sessions.begin(caller, initial, given.title)
    async for _ in _follow(services, caller, session.thread_id, Place(turn.turn_id, turn.after_seq, 0)):
        pass
    return _session(await services.sessions.get(caller, session.thread_id))


@router.get("/realtime/sessions")
async def list_sessions(
    services: ServicesDep,
    caller: OwnerDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=160), AfterValidator(_session_place)] = None,
) -> Sessions:
    """Return one's own sessions, those that were used last first; conversations of the WebSocket are among them."""
    before = None
    if cursor is not None:
        at, _, name = cursor.partition(".")
        before = (int(at), name)
    found = await services.sessions.list(caller, limit=limit + 1, before=before)
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    return Sessions(
        sessions=[_session(each) for each in shown],
        next_cursor=None if last is None else f"{last.updated_at}.{last.thread_id}",
    )


@router.get("/realtime/shared/{token}", response_model=Shared, responses=_SHOWN)
async def shared(token: Annotated[str, Path(max_length=128)], request: Request, services: ServicesDep) -> Response:
    """Return the conversation that a link leads to: a page for browsers, else JSON. The link is the key."""
    session, lines = await services.sessions.shared(token)
    title = session.title or UNTITLED
    headers = {**_PRIVATE, "Vary": "Accept"}
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(as_html(title, lines), headers={**headers, **PAGE_HEADERS})
    body = Shared(
        title=title,
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
        messages=[SharedMessage.model_validate(_message(each).model_dump()) for each in lines],
    )
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)


@router.get("/realtime/sessions/{session_id:path}/messages")
async def messages(session_id: SessionPath, services: ServicesDep, caller: OwnerDep) -> SessionMessages:
    """Return what was said."""
    lines = await services.sessions.lines(caller, session_id)
    return SessionMessages(session_id=session_id, messages=[_message(each) for each in lines])


@router.post(
    "/realtime/sessions/{session_id:path}/stream",
    response_class=EventStream,
    responses=_STREAMED,
    dependencies=_NO_FILES,
)
async def stream(
    session_id: SessionPath,
    said: Said,
    services: ServicesDep,
    caller: OwnerDep,
    place: PlaceDep,
) -> EventStream:
    """Say something and get the answer as it is made.

    With the ``Last-Event-ID`` of a stream that broke off nothing is said: that stream goes on.
    """
    _refuse_attachments(said)
    say = partial(services.sessions.say, caller, session_id, said.content, said.multitask_strategy)
    return _streamed(services, caller, session_id, place, say)


@router.post(
    "/realtime/sessions/{session_id:path}/messages/{message_id}/regenerate",
    response_class=EventStream,
    responses=_STREAMED,
)
async def regenerate(
    session_id: SessionPath, message_id: MessagePath, services: ServicesDep, caller: OwnerDep, place: PlaceDep
) -> EventStream:
    """Answer a message again, and stream that answer. What came after the message is cut."""
    again = partial(services.sessions.run_again, caller, session_id, message_id)
    return _streamed(services, caller, session_id, place, again)


@router.put(
    "/realtime/sessions/{session_id:path}/messages/{message_id}",
    response_class=EventStream,
    responses=_STREAMED,
    dependencies=_NO_FILES,
)
async def edit(
    session_id: SessionPath,
    message_id: MessagePath,
    said: Said,
    services: ServicesDep,
    caller: OwnerDep,
    place: PlaceDep,
) -> EventStream:
    """Put a message in other words, and stream the answer to them. What came after the message is cut."""
    _refuse_attachments(said)
    again = partial(services.sessions.run_again, caller, session_id, message_id, said.content)
    return _streamed(services, caller, session_id, place, again)


@router.get("/realtime/sessions/{session_id:path}/export", response_class=Response, responses=_EXPORTED)
async def export(
    session_id: SessionPath,
    services: ServicesDep,
    caller: OwnerDep,
    format: Annotated[Literal["md", "pdf"], Query()] = "md",  # noqa: A002 - the wire's name
) -> Response:
    """Return a conversation to keep."""
    session = await services.sessions.get(caller, session_id)
    lines = await services.sessions.lines(caller, session_id)
    if sum(len(each.content) for each in lines) > _LONGEST_EXPORT:
        raise TextTooLong("La conversación es demasiado larga para exportarla.", code="export_too_large")
    title = session.title or UNTITLED
    headers = {**_PRIVATE, "Content-Disposition": f'attachment; filename="conversacion.{format}"'}
    if format == "md":
        return Response(as_markdown(title, lines), media_type="text/markdown", headers=headers)
    made = partial(as_pdf, title, lines, at=session.updated_at)
    return Response(await anyio.to_thread.run_sync(made, limiter=_PDFS), media_type="application/pdf", headers=headers)


@router.post("/realtime/sessions/{session_id:path}/share", status_code=201)
async def share(
    session_id: SessionPath, request: Request, response: Response, services: ServicesDep, caller: OwnerDep
) -> Share:
    """Make a link that shows the conversation, as it goes on, to whoever has it. An older link ends."""
    token = await services.sessions.share(caller, session_id)
    response.headers.update(_PRIVATE)
    return Share(url=str(request.url_for("shared", token=token)), token=token)


@router.delete("/realtime/sessions/{session_id:path}/share", status_code=204)
async def unshare(session_id: SessionPath, services: ServicesDep, caller: OwnerDep) -> None:
    """End the link."""
    await services.sessions.unshare(caller, session_id)


@router.get("/realtime/sessions/{session_id}")
async def show(session_id: SessionPath, services: ServicesDep, caller: OwnerDep) -> Session:
    """Return a session."""
    return _session(await services.sessions.get(caller, session_id))


@router.patch("/realtime/sessions/{session_id}")
async def rename(session_id: SessionPath, given: Rename, services: ServicesDep, caller: OwnerDep) -> Session:
    """Give a session another title."""
    return _session(await services.sessions.rename(caller, session_id, given.title))


@router.delete("/realtime/sessions/{session_id}", status_code=204)
async def delete(session_id: SessionPath, services: ServicesDep, caller: OwnerDep) -> None:
    """End what runs in a session and forget it, with its link. Its bookings stay."""
    await services.sessions.delete(caller, session_id)


def _refuse_attachments(said: Said) -> None:
    if said.attachments:
        raise AttachmentsUnsupported


def _session(session: Conversation) -> Session:
    return Session(
        id=session.thread_id,
        user_id=session.owner or "",
        title=session.title or UNTITLED,
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
    )


def _message(line: Line) -> SessionMessage:
    return SessionMessage(
        id=line.id, role=line.role, content=line.content, partial=line.partial, created_at=iso(line.created_at)
    )


def _streamed(
    services: Services,
    caller: Caller,
    session_id: str,
    place: Place | None,
    submit: Callable[[], Awaitable[Submitted]],
) -> EventStream:
    """Stream a turn from a place on; without one it begins now, if there is room for its stream."""

    @asynccontextmanager
    async def open_stream(_tap: Tap) -> AsyncIterator[AsyncIterator[bytes]]:
        start = place
        if start is None:
            begun = await submit()
            start = Place(begun.turn_id, begun.after_seq, 0)
        frames = _follow(services, caller, session_id, start, is_new=place is None)
        async with aclosing(_encoded(frames)) as events:
            yield events

    return EventStream(services, open_stream)


async def _encoded(frames: AsyncGenerator[Frame | None]) -> AsyncGenerator[bytes]:
    async with aclosing(frames):
        async for frame in frames:
            if frame is None:
                yield KEEPALIVE_COMMENT
            else:
                data = json.dumps(frame.data, ensure_ascii=False).translate(_LINE_BREAKS)
                yield format_sse_event(data_str=data, id=frame.id)


async def _whole(services: Services, caller: Caller, session_id: str, place: Place) -> dict[str, Any]:
    """Return the ``done`` of a turn.

    Raises:
        AppError: The turn ended otherwise.
    """
    last: dict[str, Any] = {}
    async for frame in _follow(services, caller, session_id, place):
        last = last if frame is None else frame.data
    if last["type"] == "done":
        return last
    code, message = last["code"], last["error"]
    if code == "interrupted":
        raise Conflict(message, code=code)
    kinds: tuple[type[AppError], ...] = (StoreError, TurnTimeout, Draining, NotFound, LogTruncated)
    raise next((kind for kind in kinds if kind.code == code), AgentError)(message, code=code)


async def _follow(
    services: Services, caller: Caller, session_id: str, place: Place, *, is_new: bool = True
) -> AsyncGenerator[Frame | None]:
    """Read the log until the turn's last frame; None after each quiet while."""
    dialect = RealtimeDialect(session_id, place.turn_id, sent=place.sent, has_started=not is_new)
    after_seq = place.seq
    settings = services.settings
    quiet = 0
    try:
        while not dialect.is_over:
            async with services.streaming.subscribe(session_id, after_seq=after_seq, caller=caller) as reader:
                if not reader.recovered:
                    # Events are missing. What is saved by now is not told again.
                    dialect.lose()
                    after_seq = reader.position.seq
                    for frame in await _saved(services, dialect, session_id, place.turn_id):
                        yield frame
                while not dialect.is_over and after_seq != NOWHERE:
                    records = await _read(reader)
                    if records is None:
                        after_seq = NOWHERE
                        continue
                    for record in records:
                        after_seq = record.seq
                        for frame in dialect.encode(record):
                            yield frame
                    if records:
                        quiet = 0
                        continue
                    quiet += 1
                    for frame in await _saved(services, dialect, session_id, place.turn_id):
                        yield frame
                    if dialect.is_over:
                        break
                    if services.connections.restart.is_set():
                        raise Draining
                    if quiet * PING_SECONDS > settings.turn_timeout_seconds + settings.pause_limit_seconds:
                        raise TurnTimeout
                    yield None
    except AppError as error:
        for frame in dialect.fail(error):
            yield frame


async def _read(reader: LogReader) -> Sequence[Record] | None:
    """Return the next records; none of them after a quiet while, None where some are missing."""
    try:
        with anyio.move_on_after(PING_SECONDS):
            return await reader.read()
    except LogTruncated:
        return None
    return ()


async def _saved(services: Services, dialect: RealtimeDialect, session_id: str, turn_id: str) -> list[Frame]:
    """Return the last frames of a turn that has ended."""
    outcome = await services.sessions.outcome(session_id, turn_id)
    return [] if outcome is None else dialect.end(outcome.status, outcome.text)
