"""The start and the end of a turn on SQLite: statement by statement, within a transaction.

There is one writer at a time, so nobody comes between two of them.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Delete, bindparam, delete, select, update

from app.core.errors import ForbiddenThread
from app.models.conversation import Conversation, Message, TurnRecord
from app.models.events import TurnStatus
from app.stores.sql.tables import conversations, messages, turns
from app.stores.sql.upsert import insert_if_new, insert_new, insert_or_fill

# Building a statement takes longer than running it.
_END = (
    update(turns)
    .where(turns.c.turn_id == bindparam("turn"), turns.c.status == "running")
    .values(status=bindparam("ended_as"), ended_at=bindparam("at"), closed=bindparam("is_closed"))
    .returning(turns.c.thread_id)
)


def begin(connection: Connection, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
    """Store that a turn runs and what the rider said, and return whether it is new.

    Raises:
        ForbiddenThread: The conversation is somebody else's. What was done is to be taken back.
    """
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


def end(
    connection: Connection,
    turn_id: str,
    status: TurnStatus,
    ended_at: int,
    lines: Sequence[Message],
    *,
    is_closed: bool,
) -> bool:
    """Store the end of a turn and its lines, and return whether it was running; else nothing is changed."""
    row = {"turn": turn_id, "ended_as": status, "at": ended_at, "is_closed": is_closed}
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
