"""Conversations, their messages and their turns in an SQL database."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, bindparam, delete, select, tuple_, update

from app.models.conversation import Conversation, Message, TurnEnding, TurnRecord
from app.models.events import TurnStatus
from app.stores.sql import turn_at_once, turn_steps
from app.stores.sql.database import Database
from app.stores.sql.tables import conversations, messages, turns
from app.stores.sql.upsert import insert_new

# Building a statement takes longer than running it: those of every turn are built once.
_CONVERSATION = select(conversations).where(conversations.c.thread_id == bindparam("thread"))
_TURN = select(turns).where(turns.c.turn_id == bindparam("turn"))
_CLOSE = update(turns).where(turns.c.turn_id.in_(bindparam("turns", expanding=True))).values(closed=True)


class TurnWrites(Protocol):
    """How a kind of database stores the start and the end of a turn."""

    def begin(self, connection: Connection, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
        """See ``ConversationStore.begin_turn``."""
        ...

    def end(
        self,
        connection: Connection,
        turn_id: str,
        status: TurnStatus,
        ended_at: int,
        lines: Sequence[Message],
        *,
        is_closed: bool,
    ) -> bool:
        """Store the end and the lines, and return whether the turn was running; else nothing is changed."""
        ...


def _turn_writes(connection: Connection) -> TurnWrites:
    return turn_at_once if connection.dialect.name == "postgresql" else turn_steps


class SqlConversationStore:
    """A ``ConversationStore``.

    Args:
        database: Open for as long as the store is used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_turn(self, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
        """See ``ConversationStore``."""

        def work(connection: Connection) -> bool:
            return _turn_writes(connection).begin(connection, turn, message, conversation)

        return await self._database.write(work, at_once=True)

    async def end_turn(self, turn_id: str, status: TurnStatus, ended_at: int, messages: Sequence[Message]) -> None:
        """See ``ConversationStore``."""

        def work(connection: Connection) -> bool:
            return _turn_writes(connection).end(connection, turn_id, status, ended_at, messages, is_closed=False)

        await self._database.write(work, at_once=True)

    async def close_turns(self, turn_ids: Sequence[str]) -> None:
        """See ``ConversationStore``."""
        closed = {"turns": list(turn_ids)}
        await self._database.write(lambda connection: connection.execute(_CLOSE, closed), at_once=True)

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """See ``ConversationStore``."""
        row = await self._database.row(_TURN, {"turn": turn_id})
        return None if row is None else TurnRecord.model_validate(dict(row))

    async def unclosed_turns(self) -> Sequence[TurnRecord]:
        """See ``ConversationStore``."""
        unclosed = select(turns).where(turns.c.closed.is_(False)).order_by(turns.c.started_at, turns.c.turn_id)
        return [TurnRecord.model_validate(dict(row)) for row in await self._database.rows(unclosed)]

    async def get(self, thread_id: str) -> Conversation | None:
        """See ``ConversationStore``."""
        row = await self._database.row(_CONVERSATION, {"thread": thread_id})
        return None if row is None else Conversation.model_validate(dict(row))

    async def messages(self, thread_id: str, *, limit: int | None = None) -> Sequence[Message]:
        """See ``ConversationStore``."""
        newest_first = (
            select(messages.c.document)
            .where(messages.c.thread_id == thread_id)
            .order_by(messages.c.number.desc())
            .limit(limit)
        )
        rows = await self._database.rows(newest_first)
        return [Message.model_validate_json(row["document"]) for row in reversed(rows)]

    async def open(self, conversation: Conversation) -> None:
        """See ``ConversationStore``."""
        row = conversation.model_dump()
        await self._database.write(lambda connection: insert_new(connection, conversations, [row], keys=("thread_id",)))

    async def of_owner(
        self, owner: str, *, limit: int, before: tuple[int, str] | None = None
    ) -> Sequence[Conversation]:
        """See ``ConversationStore``."""
        place = tuple_(conversations.c.updated_at, conversations.c.thread_id)
        newest_first = (
            select(conversations)
            .where(conversations.c.owner == owner)
            .order_by(conversations.c.updated_at.desc(), conversations.c.thread_id.desc())
            .limit(limit)
        )
        if before is not None:
            newest_first = newest_first.where(place < before)
        return [Conversation.model_validate(dict(row)) for row in await self._database.rows(newest_first)]

    async def rename(self, thread_id: str, title: str, *, at: int) -> Conversation | None:
        """See ``ConversationStore``."""
        changed = (
            update(conversations)
            .where(conversations.c.thread_id == thread_id)
            .values(title=title, updated_at=at)
            .returning(conversations)
        )
        row = await self._database.write(lambda connection: connection.execute(changed).mappings().one_or_none())
        return None if row is None else Conversation.model_validate(dict(row))

    async def share(self, thread_id: str, share_hash: str | None) -> None:
        """See ``ConversationStore``."""
        changed = update(conversations).where(conversations.c.thread_id == thread_id).values(share_hash=share_hash)
        await self._database.execute(changed)

    async def shared(self, share_hash: str) -> Conversation | None:
        """See ``ConversationStore``."""
        row = await self._database.row(select(conversations).where(conversations.c.share_hash == share_hash))
        return None if row is None else Conversation.model_validate(dict(row))

    async def forget(self, thread_id: str) -> None:
        """See ``ConversationStore``."""
        await self._database.execute(delete(conversations).where(conversations.c.thread_id == thread_id))

    async def ping(self) -> None:
        """See ``ConversationStore``."""
        await self._database.ping()


def end_and_close(ending: TurnEnding, connection: Connection) -> None:
    """Store what ``end_turn`` and ``close_turns`` store, in a transaction that others have a part in."""
    end = _turn_writes(connection).end
    if not end(connection, ending.turn_id, ending.status, ending.ended_at, ending.messages, is_closed=True):
        connection.execute(_CLOSE, {"turns": [ending.turn_id]})
