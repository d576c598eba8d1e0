"""The WebSocket of LangChain's voice-sandwich demo: sound up, events and sound down, a conversation each.

The page that opens it is served by somebody else, from this host or through a proxy. It cannot log in: where riders
must, a proxy adds the ``Authorization`` header, or the socket is closed with 4401. It acknowledges no playback, drops
no sound, and starts anew with each connection: so the server's clock says what was heard, sound goes out hardly
sooner than it is heard, and every connection is a thread of its own.
"""

import anyio
from fastapi import APIRouter, WebSocket

from app.api.callers import caller_at, given_token, identify, offered_token
from app.api.close_codes import SERVICE_RESTART, TRY_AGAIN_LATER, UNAUTHENTICATED, Close
from app.api.deps import Services, ServicesDep
from app.api.dialects.pacing import Pacer
from app.api.dialects.voice_sandwich import VoiceSandwichDialect
from app.api.errors import count_refusal
from app.api.sockets import FLUSH_SECONDS, LOGIN_SECONDS, Closing, Wire, let_in, why_ended
from app.core.errors import AppError, BadInput, LogTruncated, Unauthenticated
from app.models.account import Claims
from app.models.audio import AudioFormat
from app.models.events import Interrupted, TtsChunk, TtsEnd, TurnEnd
from app.services.voice import Speaker, VoiceSession
from app.stores.base import LogReader
from app.turns.airwaves import Listener

router = APIRouter()

_MICROPHONE = AudioFormat("pcm_s16le", 16_000)
"""What the page sends, 100 ms at a time. Nothing on the wire says so."""


@router.websocket("/ws")
async def voice_sandwich(websocket: WebSocket, services: ServicesDep) -> None:
    """Serve one client until it leaves or the server stops."""
    if not await let_in(websocket, services):
        return
    with services.connections.open("websocket"):
        await _Call(websocket, services).serve()


class _Call:
    """One microphone, one thread, and what is on its way to the client."""

    def __init__(self, websocket: WebSocket, services: Services) -> None:
        self._websocket = websocket
        self._wire = Wire(websocket, services.settings)
        self._services = services
        self._streaming = services.streaming
        self._dialect = VoiceSandwichDialect()
        self._pacer = Pacer(anyio.current_time)
        self._notices: list[str] = []
        self._changed = anyio.Event()
        self._silence = anyio.Event()
        self._sent_seq = 0
        self._progress = anyio.Event()

    async def serve(self) -> None:
        """Talk until one side ends it."""
        close: Close | None = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._play)
                try:
                    claims = await self._log_in()
                    if claims is not None:
                        tasks.start_soon(self._leave_when_expired, claims)
                    close = await self._talk(claims)
                except Unauthenticated as error:
                    close = await self._refuse(error, UNAUTHENTICATED)
                except AppError as error:
                    close = await self._refuse(error, TRY_AGAIN_LATER)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            close = why_ended(group)
        if close is not None:
            await self._wire.close(close)

    async def _log_in(self) -> Claims | None:
        token = given_token(self._websocket) or offered_token(self._websocket.scope["subprotocols"])
        return await identify(self._services, token)

    async def _leave_when_expired(self, claims: Claims) -> None:
        await anyio.sleep((claims.expires_at - self._services.now_ms()) / 1000 + LOGIN_SECONDS)
        raise Closing(UNAUTHENTICATED)

    async def _refuse(self, error: AppError, close: Close) -> Close:
        count_refusal(error.error_code)
        await self._wire.send(self._dialect.complain(error, self._services.now_ms()))
        return close

    # What the client sends.

    async def _talk(self, claims: Claims | None) -> Close | None:
        thread_id, caller = self._streaming.new_thread_id(), caller_at(self._websocket, claims)
        async with (
            self._streaming.subscribe(thread_id, caller=caller, is_new=True) as reader,
            self._services.voice.open(Speaker(thread_id, caller), _MICROPHONE, self._complain) as session,
            anyio.create_task_group() as tasks,
        ):
            with self._streaming.listen(thread_id) as listener:
                tasks.start_soon(self._read, reader, listener)
                tasks.start_soon(self._listen, listener)
                tasks.start_soon(self._close_on_restart, thread_id)
                close = await self._receive(session)
                tasks.cancel_scope.cancel()
        return close

    async def _receive(self, session: VoiceSession) -> Close | None:
        while (frame := await self._wire.receive()) is not None:
            if not session.is_open:
                return TRY_AGAIN_LATER  # the microphone failed, and has said so
            try:
                if isinstance(frame, str):
                    raise BadInput("Por aquí se envía audio, en tramas binarias.")
                session.hear(frame)
            except AppError as error:
                await self._complain(error)
        return None

    async def _complain(self, error: AppError) -> None:
        """Say what went wrong. Where the client has left nobody hears it."""
        count_refusal(error.error_code)
        self._notices.append(self._dialect.complain(error, self._services.now_ms()))
        self._changed.set()

    # What it is sent.

    async def _read(self, reader: LogReader, listener: Listener) -> None:
        """Send what is logged. A turn's end waits for the turn's sound."""
        self._sent_seq = reader.position.seq
        while True:
            try:
                records = await reader.read()
            except LogTruncated as error:
                raise Closing(TRY_AGAIN_LATER) from error  # this client cannot be told what it missed
            for record in records:
                event = record.event
                if isinstance(event, TtsEnd | TurnEnd):
                    self._take_sound(listener, of_turn=event.turn_id)
                if isinstance(event, TurnEnd):
                    await self._until_quiet(dropping=event.status == "interrupted")
                for frame in self._dialect.encode(event):
                    await self._wire.send(frame)
                self._sent_seq = record.seq
                progress, self._progress = self._progress, anyio.Event()
                progress.set()
                self._take_sound(listener)

    async def _listen(self, listener: Listener) -> None:
        while True:
            self._take_sound(listener)
            await listener.wait()

    def _take_sound(self, listener: Listener, *, of_turn: str | None = None) -> None:
        """Hand the pacer what may be sent by now: what follows on the log as it was sent, or all of a turn."""
        while (event := listener.take(self._sent_seq) if of_turn is None else listener.take_of(of_turn)) is not None:
            match event:
                case TtsChunk():
                    self._pacer.put(event)
                case Interrupted():
                    self._pacer.drop()
        self._changed.set()

    async def _until_quiet(self, *, dropping: bool) -> None:
        if dropping:
            self._pacer.drop()
        while self._pacer.due_in() is not None:
            self._silence = anyio.Event()
            await self._silence.wait()

    async def _play(self) -> None:
        """Send sound when it is due, and notices at once."""
        while True:
            while self._notices:
                await self._wire.send(self._notices.pop(0))
            piece = self._pacer.take()
            if piece is not None:
                for frame in self._dialect.encode(piece):
                    await self._wire.send(frame)
                continue
            due_in = self._pacer.due_in()
            if due_in is None:
                self._silence.set()
            self._changed = anyio.Event()
            with anyio.move_on_after(due_in):
                await self._changed.wait()

    async def _close_on_restart(self, thread_id: str) -> None:
        """When the server stops: what is logged, then the close code that says so."""
        await self._services.connections.restart.wait()
        with anyio.move_on_after(FLUSH_SECONDS):
            newest = await self._streaming.position(thread_id)
            while self._sent_seq < newest:
                await self._progress.wait()
        raise Closing(SERVICE_RESTART)
