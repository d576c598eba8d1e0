"""Conversations, their messages and their turns in an SQL database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Delete, bindparam, delete, select, tuple_, update

from app.core.errors import ForbiddenThread
from app.models.conversation import Conversation, Message, TurnEnding, TurnRecord
from app.models.events import TurnStatus
from app.stores.sql.database import Database
from app.stores.sql.tables import conversations, messages, turns
from app.stores.sql.upsert import insert_if_new, insert_new, insert_or_fill

# Building a statement takes longer than running it: those of every turn are built once.
_CONVERSATION = select(conversations).where(conversations.c.thread_id == bindparam("thread"))
_TURN = select(turns).where(turns.c.turn_id == bindparam("turn"))
_HOLD = (
    select(conversations.c.thread_id)
    .join(turns, turns.c.thread_id == conversations.c.thread_id)
    .where(turns.c.turn_id == bindparam("turn"))
    .with_for_update(of=conversations)
)
_END = (
    update(turns)
    .where(turns.c.turn_id == bindparam("turn"), turns.c.status == "running")
    .values(status=bindparam("ended_as"), ended_at=bindparam("at"), closed=bindparam("is_closed"))
    .returning(turns.c.thread_id)
)
_CLOSE = update(turns).where(turns.c.turn_id.in_(bindparam("turns", expanding=True))).values(closed=True)


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
            # One statement, which also holds the conversation: nobody can forget it from here on.
            known = insert_or_fill(
                connection,
                conversations,
                conversation.model_dump(),
                keys=("thread_id",),
                update=("updated_at",),
                fill=("user_id", "client_id"),
            )
            if not Conversation.model_validate(dict(known)).admits(conversation.owner, conversation.user_id):
                raise ForbiddenThread
            is_new = insert_if_new(connection, turns, turn.model_dump(), keys=("turn_id",))
            if is_new and turn.replaces is not None:
                connection.execute(_cut(turn.thread_id, message.id))
            _add_messages(connection, turn.thread_id, [message])
            return is_new

        return await self._database.write(work)

    async def end_turn(self, turn_id: str, status: TurnStatus, ended_at: int, messages: Sequence[Message]) -> None:
        """See ``ConversationStore``."""
        row = {"turn": turn_id, "ended_as": status, "at": ended_at, "is_closed": False}
        await self._database.write(lambda connection: _end(connection, row, messages))

    async def close_turns(self, turn_ids: Sequence[str]) -> None:
        """See ``ConversationStore``."""
        await self._database.write(lambda connection: connection.execute(_CLOSE, {"turns": list(turn_ids)}))

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
    row = {"turn": ending.turn_id, "ended_as": ending.status, "at": ending.ended_at, "is_closed": True}
    if not _end(connection, row, ending.messages):
        connection.execute(_CLOSE, {"turns": [ending.turn_id]})


def _end(connection: Connection, row: dict[str, Any], lines: Sequence[Message]) -> bool:
    """Store the end of a turn, and return whether it was running."""
    if connection.dialect.name == "postgresql":
        # Whoever writes to a conversation holds it first: its messages are numbered in one order, and
        # two never wait for each other. SQLite has one writer at a time.
        connection.execute(_HOLD, {"turn": row["turn"]})
    thread_id = connection.execute(_END, row).scalar_one_or_none()
    if thread_id is None:
        return False
    _add_messages(connection, thread_id, lines)
    return True


def _cut(thread_id: str, message_id: str) -> Delete:
    """Return what deletes a message and all that came after it."""
    ours = messages.c.thread_id == thread_id
    first = select(messages.c.number).where(ours, messages.c.id == message_id).scalar_subquery()
    return delete(messages).where(ours, messages.c.number >= first)


def _add_messages(connection: Connection, thread_id: str, new: Sequence[Message]) -> None:
    rows = [{"thread_id": thread_id, "id": message.id, "document": message.model_dump_json()} for message in new]
    insert_new(connection, messages, rows, keys=("thread_id", "id"))
