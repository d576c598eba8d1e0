"""Threads: whose they are, what is in them, forgetting them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.clock import NowMs
from app.core.errors import ForbiddenThread
from app.models.account import ANYONE, Caller
from app.models.conversation import Conversation, Message
from app.models.events import ReplayStart
from app.stores.base import ConversationStore, EventLog, LogReader, RecordingStore


@dataclass(frozen=True, slots=True)
class ThreadMemory:
    """The agent's memory of a thread, as far as services may touch it."""

    describe: Callable[[str], Awaitable[dict[str, Any]]]
    forget: Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A thread as a client sees it."""

    conversation: Conversation
    messages: Sequence[Message]
    state: dict[str, Any]
    seq: int
    epoch: str


class ThreadService:
    """Looks after threads."""

    def __init__(
        self,
        *,
        conversations: ConversationStore,
        event_log: EventLog,
        memory: ThreadMemory,
        now_ms: NowMs,
        recordings: RecordingStore | None = None,
    ) -> None:
        self._now_ms = now_ms
        self._conversations = conversations
        self._log = event_log
        self._memory = memory
        self._recordings = recordings

    async def authorise(self, thread_id: str, caller: Caller) -> Conversation | None:
        """Let only those use a thread whose it is (``Conversation.admits``).

        Returns:
            The conversation; None where nobody has opened it yet.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        conversation = await self._conversations.get(thread_id)
        if conversation is not None and not conversation.admits(caller.account_id, caller.user_id):
            raise ForbiddenThread
        return conversation

    async def view(self, thread_id: str, caller: Caller = ANYONE) -> ThreadView | None:
        """Return a thread with its messages and the agent's state; None where there is none.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        conversation = await self.authorise(thread_id, caller)
        if conversation is None:
            return None
        position = await self._log.position(thread_id)
        return ThreadView(
            conversation=conversation,
            messages=await self._conversations.messages(thread_id),
            state=await self._memory.describe(thread_id),
            seq=position.seq,
            epoch=position.epoch,
        )

    async def replay_start(self, thread_id: str, reader: LogReader) -> ReplayStart:
        """Return what begins a replay: where the log does not reach back, the saved messages stand in for it."""
        saved = None if reader.recovered else await self._conversations.messages(thread_id)
        return ReplayStart(
            ts=self._now_ms(),
            thread_id=thread_id,
            recovered=reader.recovered,
            epoch=reader.position.epoch,
            last_seq=reader.position.seq,
            messages=None if saved is None else [each.model_dump(mode="json", exclude_none=True) for each in saved],
        )

    async def forget(self, thread_id: str, caller: Caller = ANYONE) -> bool:
        """Forget a thread: its messages, its events, its recordings and what the agent remembers. Bookings stay.

        Returns:
            Whether there was one.

        Raises:
            ForbiddenThread: The thread is somebody else's.
        """
        known = await self.authorise(thread_id, caller) is not None
        if self._recordings is not None:
            await self._recordings.forget(thread_id)
        await self._memory.forget(thread_id)
        await self._conversations.forget(thread_id)
        await self._log.forget(thread_id)
        return known
