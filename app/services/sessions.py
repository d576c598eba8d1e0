"""Chat sessions: threads with an owner, a title and a link. A session's id is its thread's."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from app.core.clock import NewId, NowMs
from app.core.errors import AppError, BadInput, HasBooking, NotFound
from app.models.account import Caller
from app.models.conversation import Conversation, Line, Message, Replaced, lines_of
from app.models.events import TurnStatus
from app.models.inputs import MultitaskStrategy
from app.services.streaming_service import StreamingService
from app.stores.base import BookingStore, ConversationStore

HISTORY_LINES = 10
"""Newest lines of a session that the model is given (a number of the wire protocol)."""
UNTITLED = "Nueva conversación"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A turn that was handed in."""

    turn_id: str
    message_id: str
    """Of the rider's line."""
    after_seq: int
    """All of its events follow this number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended, as it is saved."""

    status: TurnStatus
    text: str


class SessionService:
    """Looks after sessions. To whoever does not own one it is not there.

    Args:
        conversations: Where they are.
        bookings: What must not be undone by editing.
        streaming: Runs their turns.
        now_ms: The clock.
        new_id: Makes ids.
    """

    def __init__(
        self,
        *,
        conversations: ConversationStore,
        bookings: BookingStore,
        streaming: StreamingService,
        now_ms: NowMs,
        new_id: NewId,
    ) -> None:
        self._conversations = conversations
        self._bookings = bookings
        self._streaming = streaming
        self._now_ms = now_ms
        self._new_id = new_id

    async def create(self, caller: Caller, title: str | None = None) -> Conversation:
        """Open a session."""
        now = self._now_ms()
        session = Conversation(
            thread_id=self._new_id(), owner=caller.account_id, title=title, created_at=now, updated_at=now
        )
        await self._conversations.open(session)
        return session

    async def list(
        self, caller: Caller, *, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[Conversation]:
        """Return somebody's sessions, newest first; ``before`` is the place of the last one that was seen."""
        return await self._conversations.of_owner(caller.account_id or "", limit=limit, before=before)

    async def get(self, caller: Caller, session_id: str) -> Conversation:
        """Return a session.

        Raises:
            NotFound: There is none, or it is somebody else's.
        """
        session = await self._conversations.get(session_id)
        if session is None or session.owner is None or session.owner != caller.account_id:
            raise NotFound("No existe esa conversación.")
        return session

    async def rename(self, caller: Caller, session_id: str, title: str) -> Conversation:
        """Give a session another title. Raises as ``get`` does."""
        await self.get(caller, session_id)
        renamed = await self._conversations.rename(session_id, title, at=self._now_ms())
        if renamed is None:
            raise NotFound("No existe esa conversación.")
        return renamed

    async def delete(self, caller: Caller, session_id: str) -> None:
        """End what runs in a session and forget it; its link ends with it. Raises as ``get`` does."""
        await self.get(caller, session_id)
        await self._streaming.forget(session_id, caller=caller)

    async def lines(self, caller: Caller, session_id: str) -> Sequence[Line]:
        """Return what was said. Raises as ``get`` does."""
        await self.get(caller, session_id)
        return lines_of(await self._conversations.messages(session_id))

    async def begin(self, caller: Caller, content: str, title: str | None = None) -> tuple[Conversation, Submitted]:
        """Open a session and run its first turn. Raises as ``say`` does, and then there is no session."""
        self._streaming.check(content)
        session = await self.create(caller, title)
        try:
            return session, await self.say(caller, session.thread_id, content)
        except AppError:
            await self.delete(caller, session.thread_id)
            raise

    async def say(
        self, caller: Caller, session_id: str, content: str, strategy: MultitaskStrategy = "interrupt"
    ) -> Submitted:
        """Run a turn.

        Raises:
            NotFound: There is no such session, or it is somebody else's.
            AppError: As ``StreamingService.submit`` does.
        """
        await self.get(caller, session_id)
        return await self._submit(caller, session_id, content, strategy)

    async def run_again(
        self, caller: Caller, session_id: str, message_id: str, content: str | None = None
    ) -> Submitted:
        """Answer a message of the rider's again, in other words where there are any.

        What came after the message is no longer part of the conversation, for its readers and for the
        model. The message keeps its id.

        Args:
            caller: Whose session it is.
            session_id: The session.
            message_id: The rider's message; without ``content`` its answer's will do.
            content: What the rider says instead.

        Raises:
            NotFound: There is no such session or message, or it is somebody else's.
            HasBooking: A taxi was sent since: that cannot be unsaid.
            BadInput: The words cannot be taken, or they are not the rider's to change.
        """
        await self.get(caller, session_id)
        if content is not None:
            self._streaming.check(content)
        async with self._streaming.hold(session_id, caller=caller):
            messages = await self._conversations.messages(session_id)
            start = _said_by_rider(messages, message_id, may_be_answer=content is None)
            said = messages[start]
            await self._refuse_booked(session_id, messages[:start])
            replaced = Replaced(message_id=said.id, turn_id=said.turn_id)
            return await self._submit(caller, session_id, content or said.content, "interrupt", replaced)

    async def share(self, caller: Caller, session_id: str) -> str:
        """Return the secret of a new link to a session; an older link ends. Raises as ``get`` does."""
        await self.get(caller, session_id)
        token = secrets.token_urlsafe(32)
        await self._conversations.share(session_id, _hash(token))
        return token

    async def unshare(self, caller: Caller, session_id: str) -> None:
        """End the link to a session. Raises as ``get`` does."""
        await self.get(caller, session_id)
        await self._conversations.share(session_id, None)

    async def shared(self, token: str) -> tuple[Conversation, Sequence[Line]]:
        """Return what a link leads to.

        Raises:
            NotFound: The link has ended, or never was.
        """
        session = await self._conversations.shared(_hash(token))
        if session is None:
            raise NotFound("El enlace ya no existe.")
        return session, lines_of(await self._conversations.messages(session.thread_id))

    async def require_turn(self, caller: Caller, session_id: str, turn_id: str) -> None:
        """Refuse what is no turn of somebody's session.

        Raises:
            NotFound: There is no such session or turn, or it is somebody else's.
        """
        await self.get(caller, session_id)
        turn = await self._conversations.turn(turn_id)
        if turn is None or turn.thread_id != session_id:
            raise NotFound("No existe esa respuesta.")

    async def outcome(self, session_id: str, turn_id: str) -> Outcome | None:
        """Return how a turn of a session ended, once that is saved.

        Raises:
            NotFound: The session is gone.
        """
        if await self._conversations.get(session_id) is None:
            raise NotFound("No existe esa conversación.")
        turn = await self._conversations.turn(turn_id)
        if turn is None or turn.status == "running":
            return None
        lines = lines_of(await self._conversations.messages(session_id))
        said = next((line.content for line in lines if line.turn_id == turn_id and line.role == "assistant"), "")
        return Outcome(turn.status, said)

    async def _submit(
        self,
        caller: Caller,
        session_id: str,
        content: str,
        strategy: MultitaskStrategy,
        replaces: Replaced | None = None,
    ) -> Submitted:
        after_seq = await self._streaming.position(session_id)
        turn_id = await self._streaming.submit(
            content,
            thread_id=session_id,
            caller=caller,
            strategy=strategy,
            history_lines=HISTORY_LINES,
            replaces=replaces,
        )
        return Submitted(turn_id, turn_id if replaces is None else replaces.message_id, after_seq)

    async def _refuse_booked(self, session_id: str, kept: Sequence[Message]) -> None:
        """Refuse where a booking was made in what is not kept.

        What is kept tells of each booking that was made there, in the result of a tool: any other one was
        made since, also by a turn whose process died before it could tell.
        """
        told = [each.content for each in kept if each.role == "tool"]
        for booking in await self._bookings.list(session_id):
            if not any(booking.booking_id in content for content in told):
                raise HasBooking


def _said_by_rider(messages: Sequence[Message], message_id: str, *, may_be_answer: bool) -> int:
    """Return the index of the rider's message that is meant.

    Raises:
        NotFound: There is none.
        BadInput: It is an answer, which nobody may change.
    """
    line = next((each for each in lines_of(messages) if each.id == message_id), None)
    if line is None:
        raise NotFound("No existe ese mensaje.")
    if line.role == "assistant" and not may_be_answer:
        raise BadInput("Solo se pueden cambiar los mensajes propios.")
    for index, message in enumerate(messages):
        if message.turn_id == line.turn_id and message.role == "user":
            return index
    raise NotFound("No existe ese mensaje.")


def _hash(token: str) -> str:
    """Return what is kept of a link's secret; it is random, so that a quick hash does."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
