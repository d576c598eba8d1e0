"""The WebSocket of the taxi chat: two loops, frames to services and log to frames. No pipeline knowledge."""

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
from anyio.abc import TaskGroup, TaskStatus
from fastapi import APIRouter, WebSocket
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.api.callers import caller_at, given_token, offered_token
from app.api.close_codes import SERVICE_RESTART, TRY_AGAIN_LATER, UNAUTHENTICATED, Close
from app.api.deps import Services, ServicesDep, get_services
from app.api.dialects.native import NativeDialect
from app.api.errors import count_refusal
from app.api.rate_limit import address_of
from app.api.sockets import FLUSH_SECONDS, LOGIN_SECONDS, Closing, Wire, let_in, why_ended
from app.core import metrics
from app.core.bell import Bell, Latch
from app.core.errors import (
    AppError,
    DuplicateMessage,
    ForbiddenThread,
    InvalidToken,
    LogTruncated,
    Overloaded,
    TokenExpired,
    Unauthenticated,
)
from app.models.account import Caller, Claims
from app.models.audio import AudioFormat
from app.models.events import BaseEvent, Level, Pong, SystemMessage, TtsEnd, TurnEnd
from app.models.inputs import (
    AudioStart,
    AudioStop,
    Auth,
    Cancel,
    ClientInput,
    Pause,
    Ping,
    Playback,
    Replay,
    Resume,
    UserInput,
)
from app.services.recordings import Recording
from app.services.streaming_service import Subscription
from app.services.voice import Speaker, VoiceSession
from app.stores.base import LogReader
from app.turns.airwaves import Listener

router = APIRouter()


class ChatSocket:
    """The WebSocket, as plain ASGI: FastAPI's way to a function would hold 7 KiB more of each open connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it leaves or the server stops."""
        websocket = WebSocket(scope, receive, send)
        services = await get_services(websocket)
        if not await let_in(websocket, services):
            return
        with services.connections.open("websocket"):
            await Connection(websocket, services).serve()


route = WebSocketRoute("/api/v1/ws/chat", ChatSocket())


@router.get("/api/v1/ws/health")
async def websocket_health(services: ServicesDep) -> dict[str, str | int]:
    """Say how many WebSockets are open."""
    return {
        "status": "healthy",
        "active_connections": services.connections.active,
        "service": "websocket_streaming",
    }


@dataclass(slots=True)
class _Delivery:
    """One thread's events on their way to the client."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    stopped: Latch = field(default_factory=Latch)
    subscription: Subscription | None = None
    sent_seq: int = 0
    sound: anyio.CancelScope | None = None
    """Sends what is heard, once there is something."""
    _progress: Bell = field(default_factory=Bell)

    def advance(self, seq: int) -> None:
        """Note that all up to ``seq`` was sent."""
        self.sent_seq = seq
        self._progress.ring()

    async def reach(self, seq: int) -> None:
        """Wait until all up to ``seq`` was sent."""
        while self.sent_seq < seq:
            await self._progress.wait()


@dataclass(slots=True)
class _Recorder:
    """What records a thread for as long as the client is here."""

    recording: Recording | None
    thread_id: str
    stopped: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class _Microphone:
    """The client's microphone, open or closed by it."""

    session: VoiceSession
    thread_id: str
    speak: bool
    closed: anyio.Event = field(default_factory=anyio.Event)


class Connection:
    """A dialect and a reading position per thread, and nothing else."""

    def __init__(self, websocket: WebSocket, services: Services) -> None:
        self._websocket = websocket
        self._wire = Wire(websocket, services.settings)
        self._services = services
        self._settings = services.settings
        self._streaming = services.streaming
        self._dialect = NativeDialect()
        self._caller = caller_at(websocket)
        self._login: Claims | None = None
        self._logged_in = Bell()
        self._thread_id: str | None = None
        self._deliveries: dict[str, _Delivery] = {}
        self._microphone: _Microphone | None = None
        self._recorder: _Recorder | None = None

    async def serve(self) -> None:
        """Run both loops."""
        close: Close | None = None
        try:
            async with anyio.create_task_group() as tasks:
                with self._services.connections.leaving(partial(tasks.start_soon, self._leave_for_restart)):
                    close = await self._admit(tasks) or await self._receive_loop(tasks)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            close = why_ended(group)
        finally:
            self._microphone = None  # it knows this connection: what it holds of models would wait for a collection
        if close is not None:
            await self._wire.close(close)

    # Who it is.

    async def _admit(self, tasks: TaskGroup) -> Close | None:
        """Take the token that came with the connection; where none did, one may come by a message."""
        try:
            token = given_token(self._websocket) or offered_token(self._websocket.scope["subprotocols"])
            if token is not None:
                await self._log_in(token, tasks)
            elif self._settings.auth_required:
                tasks.start_soon(self._mind_login)
                await self._complain(Unauthenticated(), level="info")  # so that nobody has to find out
        except Unauthenticated as error:
            await self._complain(error)
            return UNAUTHENTICATED
        except AppError as error:
            await self._complain(error)
            return TRY_AGAIN_LATER
        return None

    async def _log_in(self, token: str, tasks: TaskGroup) -> None:
        claims = await self._services.accounts.authenticate(token)
        if self._login is not None and claims.account_id != self._login.account_id:
            raise InvalidToken("Esta conexión es de otro usuario.")
        is_first = self._login is None
        self._login = claims
        self._caller = replace(self._caller, account_id=claims.account_id)
        self._logged_in.ring()
        if is_first and not self._settings.auth_required:
            tasks.start_soon(self._mind_login)
        now = self._services.now_ms()
        await self._send(SystemMessage(ts=now, message="Sesión iniciada.", level="info", code="authenticated"))

    async def _mind_login(self) -> None:
        """Close where nobody logs in, or a login runs out and is not renewed."""
        while True:
            error: AppError = Unauthenticated()
            seconds = LOGIN_SECONDS
            if self._login is not None:
                error = TokenExpired()
                seconds = (self._login.expires_at - self._services.now_ms()) / 1000 + LOGIN_SECONDS
            with anyio.move_on_after(seconds) as scope:
                await self._logged_in.wait()
            if scope.cancelled_caught:
                await self._complain(error)
                raise Closing(UNAUTHENTICATED)

    # What the client sends.

    async def _receive_loop(self, tasks: TaskGroup) -> Close | None:
        while True:
            frame = await self._wire.receive()
            if frame is None:
                return None
            try:
                if isinstance(frame, bytes):
                    await self._take_audio(frame, tasks)
                else:
                    await self._take(self._dialect.decode(frame), tasks)
            except Unauthenticated as error:
                await self._complain(error)
                return UNAUTHENTICATED
            except AppError as error:
                await self._complain(error)

    async def _take(self, said: ClientInput, tasks: TaskGroup) -> None:
        if self._settings.auth_required and self._login is None and not isinstance(said, Auth):
            raise Unauthenticated
        match said:
            case Auth(token=token):
                await self._log_in(token, tasks)
            case UserInput():
                await self._submit(said, tasks)
            case Cancel(thread_id=thread_id):
                await self._steer(self._streaming.cancel, thread_id)
            case Pause(thread_id=thread_id):
                await self._steer(self._streaming.pause, thread_id)
            case Resume(thread_id=thread_id):
                await self._steer(self._streaming.resume, thread_id)
            case Replay():
                await self._services.rates.request(address_of(self._websocket))
                await self._listen(said.thread_id, tasks, replay=said)
                self._thread_id = said.thread_id
            case Ping():
                await self._send(Pong(ts=self._services.now_ms()))
            case AudioStart():
                await self._open_microphone(said, tasks)
            case AudioStop():
                self._close_microphone()
            case Playback(turn_id=turn_id, played_ms=played_ms):
                self._note_playback(turn_id, played_ms)

    async def _submit(self, said: UserInput, tasks: TaskGroup) -> None:
        caller = self._caller.saying(said.user_id)
        thread_id = said.thread_id or self._thread_id or self._streaming.new_thread_id()
        was_listening = thread_id in self._deliveries
        await self._listen(thread_id, tasks, caller=caller)
        delivery = self._deliveries.get(thread_id)
        try:
            await self._streaming.submit(
                said.text,
                thread_id=thread_id,
                caller=caller,
                client_id=said.client_id,
                language=said.language,
                strategy=said.multitask_strategy,
                message_id=said.message_id,
                subscription=None if delivery is None else delivery.subscription,
                speak=said.speak or self._is_spoken_to(thread_id),
            )
        except DuplicateMessage as known:
            await self._send(
                SystemMessage(
                    ts=self._services.now_ms(),
                    message=known.message,
                    level="info",
                    code=known.code,
                    thread_id=thread_id,
                    turn_id=known.turn_id,
                )
            )
        except Overloaded as error:
            count_refusal(error.error_code)
            raise Closing(TRY_AGAIN_LATER) from error
        except AppError:
            if not was_listening:
                await self._stop_listening(thread_id)
            raise
        self._caller, self._thread_id = caller, thread_id

    async def _steer(self, command: Callable[..., Awaitable[bool]], thread_id: str | None) -> None:
        """Cancel, pause or resume; where no turn runs there is nothing to do."""
        thread_id = thread_id or self._thread_id
        if thread_id is not None:
            await command(thread_id, caller=self._caller)

    # The microphone.

    async def _take_audio(self, data: bytes, tasks: TaskGroup) -> None:
        """Hear a binary frame. Where no microphone was ever opened, one is, as the protocol says."""
        if self._settings.auth_required and self._login is None:
            raise Unauthenticated
        if self._microphone is None:
            await self._open_microphone(AudioStart(type="audio_start"), tasks)
        assert self._microphone is not None
        self._microphone.session.hear(data)

    async def _open_microphone(self, said: AudioStart, tasks: TaskGroup) -> None:
        """Open the microphone; another one that was open is closed, and what it heard is still understood."""
        thread_id = said.thread_id or self._thread_id or self._streaming.new_thread_id()
        was_listening = thread_id in self._deliveries
        self._close_microphone()
        await self._listen(thread_id, tasks)
        if said.record:
            await self._record(thread_id, tasks)
        elif self._recorder is not None:
            self._recorder.stopped.set()
        recorder = self._recorder if said.record else None
        speaker = Speaker(
            thread_id,
            self._caller,
            language=said.language,
            speak=said.speak,
            recording=None if recorder is None else recorder.recording,
        )
        try:
            self._microphone = await tasks.start(
                self._hold_microphone, speaker, AudioFormat(said.encoding, said.sample_rate)
            )
        except AppError:
            if not was_listening:
                await self._stop_listening(thread_id)
            raise
        self._thread_id = thread_id

    async def _record(self, thread_id: str, tasks: TaskGroup) -> None:
        """Record a thread from now on, until the connection ends or another thread's turn comes."""
        if self._recorder is not None and not self._recorder.stopped.is_set():
            if self._recorder.thread_id == thread_id:
                return
            self._recorder.stopped.set()
        self._recorder = await tasks.start(self._hold_recording, thread_id, self._caller)

    async def _hold_recording(self, thread_id: str, caller: Caller, *, task_status: TaskStatus[_Recorder]) -> None:
        async with self._services.voice.record(thread_id, caller) as recording:
            recorder = _Recorder(recording, thread_id)
            task_status.started(recorder)
            await recorder.stopped.wait()

    async def _hold_microphone(
        self, speaker: Speaker, audio: AudioFormat, *, task_status: TaskStatus[_Microphone]
    ) -> None:
        async with self._services.voice.open(speaker, audio, self._complain) as session:
            microphone = _Microphone(session, speaker.thread_id, speaker.speak)
            task_status.started(microphone)
            await microphone.closed.wait()

    def _close_microphone(self) -> None:
        if self._microphone is not None:
            self._microphone.session.finish()
            self._microphone.closed.set()

    def _is_spoken_to(self, thread_id: str) -> bool:
        """Return whether answers on a thread are spoken: its microphone is open."""
        open_one = self._microphone
        return (
            open_one is not None and not open_one.closed.is_set() and open_one.speak and open_one.thread_id == thread_id
        )

    def _note_playback(self, turn_id: str, played_ms: int) -> None:
        for thread_id in self._deliveries:
            playback = self._streaming.playback(thread_id, turn_id)
            if playback is not None:
                playback.acknowledge(played_ms)

    # What the log holds.

    async def _listen(
        self, thread_id: str, tasks: TaskGroup, *, replay: Replay | None = None, caller: Caller | None = None
    ) -> None:
        """Deliver a thread's events from now on, or from where a replay asks."""
        if thread_id in self._deliveries:
            if replay is None:
                return
            await self._services.threads.authorise(thread_id, self._caller)
            await self._stop_listening(thread_id)
        elif len(self._deliveries) >= self._settings.max_threads_per_connection:
            await self._stop_listening(next(iter(self._deliveries)))
        await tasks.start(self._deliver, thread_id, replay, caller or self._caller, tasks)

    async def _stop_listening(self, thread_id: str) -> None:
        delivery = self._deliveries.pop(thread_id, None)
        if delivery is not None:
            delivery.scope.cancel()
            await delivery.stopped.wait()

    async def _deliver(
        self,
        thread_id: str,
        replay: Replay | None,
        caller: Caller,
        tasks: TaskGroup,
        *,
        task_status: TaskStatus[None],
    ) -> None:
        """Send a thread's events as long as the client wants them."""
        delivery = _Delivery()
        after_seq = replay.after_seq if replay else None
        epoch = replay.epoch if replay else None
        announces = replay is not None
        audio_from_ms = replay.audio_from_ms if replay else None
        context = copy_context()  # of the connection, not of the turn that sounds first

        def on_sound(listener: Listener) -> None:
            context.run(partial(tasks.start_soon, self._deliver_sound, delivery, listener))

        try:
            with delivery.scope, self._streaming.listen(thread_id, on_sound) as listener:
                while True:
                    async with self._streaming.subscribe(
                        thread_id, after_seq=after_seq, epoch=epoch, caller=caller, audio_from_ms=audio_from_ms
                    ) as reader:
                        delivery.subscription = reader
                        if announces:
                            metrics.REPLAYS.labels(str(reader.recovered).lower()).inc()
                            await self._send(await self._services.threads.replay_start(thread_id, reader))
                        delivery.sent_seq = (
                            after_seq if reader.recovered and after_seq is not None else reader.position.seq
                        )
                        if thread_id not in self._deliveries:
                            self._deliveries[thread_id] = delivery
                            task_status.started()
                        try:
                            await self._pump(reader, delivery, listener)
                        except LogTruncated:
                            # The log begins anew, or has left the client behind: it says what it still has.
                            after_seq, epoch, announces = delivery.sent_seq, reader.position.epoch, True
        except ForbiddenThread as error:
            if self._deliveries.get(thread_id) is not delivery:
                raise
            await self._complain(error)  # somebody else opened it first
        finally:
            delivery.stopped.set()
            if delivery.sound is not None:
                delivery.sound.cancel()
            if self._deliveries.get(thread_id) is delivery:
                del self._deliveries[thread_id]

    async def _pump(self, reader: LogReader, delivery: _Delivery, listener: Listener) -> None:
        while True:
            for record in await reader.read():
                if isinstance(record.event, TtsEnd | TurnEnd):
                    while (event := listener.take_of(record.event.turn_id)) is not None:
                        await self._send(event)
                await self._wire.send(self._dialect.encode_record(record))
                delivery.advance(record.seq)
                await self._send_sound(listener, delivery)

    async def _deliver_sound(self, delivery: _Delivery, listener: Listener) -> None:
        """Send what is heard and not logged, each after what the log has before it."""
        with anyio.CancelScope() as delivery.sound:
            while not delivery.stopped.is_set():
                await self._send_sound(listener, delivery)
                await listener.wait()

    async def _send_sound(self, listener: Listener, delivery: _Delivery) -> None:
        while (event := listener.take(delivery.sent_seq)) is not None:
            await self._send(event)

    # The socket.

    async def _complain(self, error: AppError, *, level: Level = "error") -> None:
        if level == "error":
            count_refusal(error.error_code)
        message = SystemMessage(ts=self._services.now_ms(), message=error.message, level=level, code=error.error_code)
        await self._send(message)

    async def _send(self, event: BaseEvent) -> None:
        await self._wire.send(self._dialect.encode(event))

    async def _leave_for_restart(self) -> None:
        """When the server stops: the last frames, then the close code that says come back."""
        with anyio.move_on_after(FLUSH_SECONDS):
            for thread_id, delivery in list(self._deliveries.items()):
                await delivery.reach(await self._streaming.position(thread_id))
        raise Closing(SERVICE_RESTART)
