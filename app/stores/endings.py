"""The end of a turn where its log and its conversation are kept in different places."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio
import structlog

from app.core.deadlines import store_deadline
from app.core.errors import StoreError
from app.models.conversation import TurnEnding
from app.models.events import ThreadEvent
from app.stores.base import ConversationStore, EventLog

log = structlog.stdlib.get_logger("voztaxi.turn")

_GATHERING_SECONDS = 0.1
"""Turns that were told are closed so much later, together. Nobody waits for it."""


class StepwiseEndings:
    """``Endings`` one step after the other: saved, told, closed. Open inside ``async with``.

    Whatever breaks in between leaves the turn unclosed, and what was done is found by whoever takes it up.

    Args:
        conversations: Where turns are saved.
        event_log: Where their events are read.
        step_seconds: Longest that each step may take.
    """

    def __init__(self, conversations: ConversationStore, event_log: EventLog, *, step_seconds: float) -> None:
        self._conversations = conversations
        self._log = event_log
        self._step_seconds = step_seconds
        self._told: list[str] = []
        self._some_were_told = asyncio.Event()
        self._closer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to close turns."""
        self._closer = asyncio.create_task(self._close_now_and_then())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close those that were told."""
        assert self._closer is not None
        self._closer.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([self._closer])
            await self._close()

    async def end(self, ending: TurnEnding, events: Sequence[ThreadEvent]) -> None:
        """See ``Endings``."""
        with store_deadline(self._step_seconds):
            await self._conversations.end_turn(ending.turn_id, ending.status, ending.ended_at, ending.messages)
        if events:
            with store_deadline(self._step_seconds):
                await self._log.append(ending.thread_id, events, durable=True)
        self._told.append(ending.turn_id)
        self._some_were_told.set()

    async def _close_now_and_then(self) -> None:
        while True:
            await self._some_were_told.wait()
            await asyncio.sleep(_GATHERING_SECONDS)
            self._some_were_told.clear()
            await self._close()

    async def _close(self) -> None:
        turn_ids = list(self._told)
        if not turn_ids:
            return
        try:
            with store_deadline(self._step_seconds):
                await self._conversations.close_turns(turn_ids)
        except StoreError as error:
            log.warning("turns could not be closed", exc_info=error, turn_ids=turn_ids)
        del self._told[: len(turn_ids)]
