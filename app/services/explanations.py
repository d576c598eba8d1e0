"""Explanations as they are told: one at a time for each user, whatever the connection and whichever process.

Nothing of an explanation that stands still is kept in memory. Whoever pauses it, or loses the connection, leaves
where it was in the session store; whoever resumes it reads that, takes the user's lane and goes on from there.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Literal, Self

import anyio
from anyio.abc import TaskGroup

from app.core import metrics
from app.core.alarm import Alarm
from app.core.clock import NewId, NowMs
from app.core.deadlines import store_deadline
from app.core.errors import (
    AlreadyPaused,
    ForeignAnswer,
    NothingToResume,
    NotPaused,
    NotStreaming,
    SessionExpired,
    TakenOver,
    Unauthenticated,
)
from app.models.account import Caller
from app.models.explanations import (
    ExplanationSession,
    ResumePlace,
    SavedAnswer,
    SentEvent,
    StreamingPaused,
    WaitingPhrase,
)
from app.services.answers import AnswerService
from app.services.explanation_place import Place
from app.services.explanation_player import Player
from app.services.explanation_texts import language_of, paused_text, waiting_text
from app.services.pace import Pace
from app.services.questions import Question, read_question
from app.services.rate_limits import RateLimits
from app.stores.base import Command, ExplanationSessionStore, Lanes, Lease, lane_name

Emit = Callable[[SentEvent], Awaitable[None]]
"""Sends an event on the connection; waits where the client is slow, raises where it is gone."""
Work = Callable[[], Awaitable[None]]
"""Tells an explanation. What it raises is told on the connection; it is cancelled when that is lost."""

_KIND = "explanation"
_STOP_SECONDS = 1.0
"""How long a client may take for what it is being sent while another connection waits to go on."""


@dataclass(frozen=True, slots=True)
class ExplanationLimits:
    """How explanations are told."""

    max_characters: int
    """Longest question."""
    chunk_characters: int
    chunk_seconds: float
    session_seconds: float
    """How long one may be resumed after the last activity."""
    store_seconds: float
    """Longest that a store may take."""


@dataclass(slots=True, eq=False)
class _Live:
    """What goes on for a user in this process."""

    live_id: str
    connection_id: str
    tells: bool
    """Something is told, or will be; else an answer is waited for."""
    is_sending: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    halt: Alarm = field(default_factory=Alarm)
    """Rings when nothing more is to be sent."""
    reason: Literal["paused", "replaced"] = "paused"
    is_taken_over: bool = False
    """Another connection goes on."""
    is_done: bool = False
    """All was said that there is to say."""

    def pause(self) -> None:
        """Let it stand still after the present chunk."""
        self.halt.ring()

    def give_way(self, connection_id: str | None) -> None:
        """Let something else take its place, on a connection of this process, or of another one.

        What is being sent is sent to its end, so that it is known what was sent.
        """
        if self.is_sending or self.halt.rang:
            self.scope.deadline = anyio.current_time() + _STOP_SECONDS
        else:
            self.scope.cancel()
        if not self.halt.rang:
            self.reason = "replaced"
            self.is_taken_over = connection_id != self.connection_id
            self.halt.ring()


class ExplanationService:
    """Tells explanations, open inside ``async with``.

    Args:
        answers: Finds what is told.
        sessions: Where users are.
        lanes: Says which process tells a user something.
        rates: How often somebody may ask.
        now_ms: The clock.
        new_id: Makes ids.
        limits: How they are told.
    """

    def __init__(
        self,
        *,
        answers: AnswerService,
        sessions: ExplanationSessionStore,
        lanes: Lanes,
        rates: RateLimits,
        now_ms: NowMs,
        new_id: NewId,
        limits: ExplanationLimits,
    ) -> None:
        self._answers = answers
        self._sessions = sessions
        self._lanes = lanes
        self._rates = rates
        self._now_ms = now_ms
        self._new_id = new_id
        self._limits = limits
        self._lives: dict[str, _Live] = {}
        """By the lane of the user, the newest of each."""
        self._tasks: TaskGroup = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        """Begin to take commands of other processes."""
        await self._tasks.__aenter__()
        self._lanes.on_command(self._obey, kind=_KIND)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Stop. Whoever tells something has been cancelled before."""
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    async def ask(self, caller: Caller, connection_id: str, text: object, context: object, emit: Emit) -> Work:
        """Take a question in place of whatever is told to the user; what is returned tells its answer.

        Raises:
            BadInput: It is no question.
            RateLimited: The user asks too often.
            Unauthenticated: Nobody is logged in.
        """
        user_id = _user(caller)
        question = read_question(text, context, max_characters=self._limits.max_characters)
        await self._rates.question(caller)
        lane = _lane(user_id)
        live = self._take_place(lane, connection_id, tells=False)
        return partial(self._run, lane, live, partial(self._tell_answer, live, caller, question, emit))

    async def pause(self, caller: Caller, connection_id: str, emit: Emit) -> None:
        """Let what is told to the user stand still. It says so itself on the connection where it is told.

        Raises:
            NotStreaming: Nothing is told.
            AlreadyPaused: It stands still.
        """
        user_id = _user(caller)
        live = self._lives.get(_lane(user_id))
        if live is not None:
            if not live.tells:
                raise NotStreaming
            if live.halt.rang:
                raise AlreadyPaused
            live.pause()
            if live.connection_id == connection_id:
                return
        else:
            session = await self._session(user_id)
            if session is None or not session.is_streaming:
                raise NotStreaming
            if session.is_paused:
                raise AlreadyPaused
            with store_deadline(self._limits.store_seconds):
                await self._lanes.command(_lane(user_id), "pause")
        await emit(await self._paused_elsewhere(user_id))

    async def resume(self, caller: Caller, connection_id: str, place: ResumePlace | None, emit: Emit) -> Work:
        """Go on with what the user was told, wherever that was; what is returned tells the rest.

        Args:
            caller: Who asks.
            connection_id: Where the rest is told.
            place: What the client knows of where it is; it goes before what the session says.
            emit: Sends.

        Raises:
            NotPaused: It is told already on this connection.
            SessionExpired: Nothing is known of the user.
            NothingToResume: Nothing was begun, or it was told to its end.
            ForeignAnswer: ``place`` is of another answer.
            BadInput: ``place`` is not in the answer.
            StoreError: It cannot be known now.
        """
        user_id = _user(caller)
        lane = _lane(user_id)
        live = self._lives.get(lane)
        if live is not None and live.connection_id == connection_id and not live.halt.rang:
            raise NotPaused
        # Before anything that runs is disturbed; where it is shows when it has stopped.
        await self._find_place(user_id, connection_id, place)
        live = self._take_place(lane, connection_id, tells=True)
        return partial(self._run, lane, live, partial(self._tell_rest, live, user_id, place, emit))

    # One for each user.

    def _take_place(self, lane: str, connection_id: str, *, tells: bool) -> _Live:
        previous = self._lives.get(lane)
        if previous is not None:
            previous.give_way(connection_id)
        live = self._lives[lane] = _Live(self._new_id(), connection_id, tells)
        return live

    async def _run(self, lane: str, live: _Live, tell: Callable[[Lease], Awaitable[None]]) -> None:
        """Do something for a user when nothing else is done any more."""
        try:
            with live.scope:
                async with self._lanes.take(lane, urge="cancel", on_behalf_of=live.live_id) as lease:
                    await tell(lease)
        finally:
            if self._lives.get(lane) is live:
                del self._lives[lane]
        if live.is_taken_over and not live.is_done:
            raise TakenOver

    def _obey(self, lane: str, command: Command, on_behalf_of: str) -> None:
        """Do what another process asks."""
        live = self._lives.get(lane)
        if live is None or live.live_id == on_behalf_of:
            return
        if command == "cancel":
            live.give_way(None)
        elif command == "pause" and live.tells:
            live.pause()

    # What is done.

    async def _tell_answer(self, live: _Live, caller: Caller, question: Question, emit: Emit, lease: Lease) -> None:
        language = language_of(question.context)
        now = self._now_ms()
        session = ExplanationSession(
            user_id=_user(caller),
            connection_id=live.connection_id,
            current_question=question.question_hash,
            created_at=now,
            last_activity=now,
            language=language,
        )
        await self._put(session)

        async def tell_place(place: int) -> None:
            await emit(WaitingPhrase(message=waiting_text(place, language)))

        answer = await self._answers.answer(question, caller, tell_place)
        player = self._player(answer, session, step=1, position=0)
        await self._play(live, session, lease, player, player.start(), emit)

    async def _tell_rest(self, live: _Live, user_id: str, place: ResumePlace | None, emit: Emit, lease: Lease) -> None:
        session, player = await self._find_place(user_id, live.connection_id, place)
        session = session.model_copy(update={"connection_id": live.connection_id})
        resumed = player.resume()
        assert resumed is not None, "it is new"
        await self._play(live, session, lease, player, [resumed], emit)

    async def _play(
        self,
        live: _Live,
        session: ExplanationSession,
        lease: Lease,
        player: Player,
        opening: Sequence[SentEvent],
        emit: Emit,
    ) -> None:
        """Send an explanation from where its player stands until it is over or halted."""
        place = Place(session, self._put, lease)
        place.move(player)
        live.tells = live.is_sending = True
        outcome = "left"
        began = anyio.current_time()
        try:
            with metrics.EXPLANATIONS_ACTIVE.track_inprogress():
                await place.write(is_streaming=True, is_paused=False)
                self._tasks.start_soon(place.keep_written)
                for event in opening:
                    await emit(event)
                await self._send(live, player, place, emit)
                outcome = "completed" if player.is_over else live.reason
        finally:
            place.stop()
            metrics.EXPLANATION_STREAMING_SECONDS.labels(outcome).observe(anyio.current_time() - began)
            if outcome != "completed":
                await place.write(is_streaming=True, is_paused=True)
        live.is_done = outcome != "replaced"
        paused = player.pause()
        if paused is not None and live.is_done:
            await emit(paused)

    async def _send(self, live: _Live, player: Player, place: Place, emit: Emit) -> None:
        pace = Pace(
            characters=self._limits.chunk_characters, seconds=self._limits.chunk_seconds, now=anyio.current_time()
        )
        while not player.is_over:
            await live.halt.wait_until(pace.due)
            if live.halt.rang:
                return
            began = anyio.current_time()
            metrics.EXPLANATION_LATENESS_SECONDS.observe(max(0.0, began - pace.due))
            events = player.next(pace.size)
            if player.is_over:
                # Who is told that it is over, and resumes all the same, is to be told so again.
                await place.write(is_streaming=False)
            for event in events:
                await emit(event)
            pace.sent(began=began, now=anyio.current_time())
            place.move(player)

    async def _paused_elsewhere(self, user_id: str) -> StreamingPaused:
        """Wait until what is told on another connection stands still; return what is said of it here.

        Raises:
            NotStreaming: It came to its end before.
        """
        # Whoever told it gives the lane back when it stands still. Of a process that died the lane runs out.
        async with self._lanes.take(_lane(user_id)):
            session = await self._session(user_id)
            if session is None or not session.is_streaming:
                raise NotStreaming
            if not session.is_paused:
                await self._put(session.model_copy(update={"is_paused": True}))
        return StreamingPaused(step=session.current_step, message=paused_text(session.language))

    async def _find_place(
        self, user_id: str, connection_id: str, place: ResumePlace | None
    ) -> tuple[ExplanationSession, Player]:
        """Return a user's session, and a player that stands where the client says, or else the session."""
        session = await self._session(user_id)
        place = place or ResumePlace()
        if session is None or session.current_question is None:
            raise NothingToResume if place.question_hash is None else SessionExpired
        if place.question_hash not in (None, session.current_question):
            raise ForeignAnswer
        # All of it was sent, but to a connection that may have been lost: a new one may say what it has.
        says_what_it_has = place.step is not None and place.position is not None
        if not session.is_streaming and not (says_what_it_has and connection_id != session.connection_id):
            raise NothingToResume
        answer = await self._answers.find(session.current_question)
        if answer is None:
            raise SessionExpired if session.is_streaming else NothingToResume
        step = place.step or session.current_step
        position = place.position
        if position is None:
            position = session.pause_position if step == session.current_step else 0
        return session, self._player(answer, session, step=step, position=position)

    def _player(self, answer: SavedAnswer, session: ExplanationSession, *, step: int, position: int) -> Player:
        return Player(
            answer.explanation,
            answer.question_hash,
            step=step,
            position=position,
            chunk_characters=self._limits.chunk_characters,
            pause_message=paused_text(session.language),
        )

    async def _session(self, user_id: str) -> ExplanationSession | None:
        with store_deadline(self._limits.store_seconds):
            return await self._sessions.get(user_id)

    async def _put(self, session: ExplanationSession) -> None:
        session = session.model_copy(update={"last_activity": self._now_ms()})
        with store_deadline(self._limits.store_seconds):
            await self._sessions.put(session, seconds=self._limits.session_seconds)


def _user(caller: Caller) -> str:
    if caller.account_id is None:
        raise Unauthenticated
    return caller.account_id


def _lane(user_id: str) -> str:
    # A provider's ids of users may be anything.
    return lane_name(_KIND, sha256(user_id.encode()).hexdigest())
