"""The end of a turn where its log and its conversation are in one database: one transaction."""

from collections.abc import Sequence
from functools import partial

from app.core.deadlines import store_deadline
from app.models.conversation import TurnEnding
from app.models.events import ThreadEvent
from app.stores.sql.conversations import end_and_close
from app.stores.sql.event_log import SqlEventLog


class SqlEndings:
    """``Endings`` as one transaction: all of it is stored, or nothing.

    Args:
        event_log: On the database that has the conversations too.
        seconds: Longest that it may take.
    """

    def __init__(self, event_log: SqlEventLog, *, seconds: float) -> None:
        self._log = event_log
        self._seconds = seconds

    async def end(self, ending: TurnEnding, events: Sequence[ThreadEvent]) -> None:
        """See ``Endings``."""
        with store_deadline(self._seconds):
            await self._log.append_with(ending.thread_id, events, partial(end_and_close, ending))
