"""The end of a turn where its log and its conversation are kept in different places."""

from collections.abc import Sequence

import structlog

from app.core.deadlines import store_deadline
from app.core.errors import StoreError
from app.models.conversation import TurnEnding
from app.models.events import ThreadEvent
from app.stores.base import ConversationStore, EventLog

log = structlog.stdlib.get_logger("voztaxi.turn")


class StepwiseEndings:
    """``Endings`` one step after the other: saved, told, closed.

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

    async def end(self, ending: TurnEnding, events: Sequence[ThreadEvent]) -> None:
        """See ``Endings``."""
        with store_deadline(self._step_seconds):
            await self._conversations.end_turn(ending.turn_id, ending.status, ending.ended_at, ending.messages)
        if events:
            with store_deadline(self._step_seconds):
                await self._log.append(ending.thread_id, events, durable=True)
        try:
            with store_deadline(self._step_seconds):
                await self._conversations.close_turn(ending.turn_id)
        except StoreError as error:
            log.warning("turn could not be closed", exc_info=error, thread_id=ending.thread_id, turn_id=ending.turn_id)
