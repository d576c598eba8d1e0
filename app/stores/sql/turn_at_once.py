"""The start and the end of a turn on Postgres, each in one statement.

Each statement is a way to the server and back, and so are the begin and the commit of a transaction. Statements within
one see what was there before all of them; what one is given of another (``RETURNING``) puts them in order.

Whoever writes to a conversation holds its row first: nobody forgets it from then on, its messages are numbered in one
order, and two never wait for each other.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, Connection, Text, bindparam, delete, exists, false, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from app.core.errors import ForbiddenThread
from app.models.conversation import Conversation, Message, TurnRecord
from app.models.events import TurnStatus
from app.stores.sql.tables import conversations, messages, turns

_MESSAGE = ("thread_id", "id", "document")


def begin(connection: Connection, turn: TurnRecord, message: Message, conversation: Conversation) -> bool:
    """Store that a turn runs and what the rider said, and return whether it is new.

    Raises:
        ForbiddenThread: The conversation is somebody else's. Nothing is changed.
    """
    row: dict[str, Any] = {f"conversation_{name}": value for name, value in conversation.model_dump().items()}
    row |= {f"turn_{name}": value for name, value in turn.model_dump().items()}
    row |= {"message_id": message.id, "message_document": message.model_dump_json()}
    is_new = connection.execute(_begin(replaces=turn.replaces is not None), row).scalar_one_or_none()
    if is_new is None:
        raise ForbiddenThread
    return bool(is_new)


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
    row = {
        "turn": turn_id,
        "ended_as": status,
        "at": ended_at,
        "is_closed": is_closed,
        "ids": [each.id for each in lines],
        "documents": [each.model_dump_json() for each in lines],
    }
    return connection.execute(_end(), row).scalar_one_or_none() is not None


@lru_cache(maxsize=2)
def _begin(*, replaces: bool) -> Any:
    """Return the statement that begins a turn: a row where the conversation admits the caller, else none."""
    given = insert(conversations).values(
        {name: bindparam(f"conversation_{name}") for name in Conversation.model_fields}
    )
    new, known = given.excluded, conversations.c
    held = (
        given.on_conflict_do_update(
            index_elements=["thread_id"],
            set_={
                "updated_at": new.updated_at,
                "user_id": func.coalesce(known.user_id, new.user_id),
                "client_id": func.coalesce(known.client_id, new.client_id),
            },
            # As ``Conversation.admits`` has it.
            where=or_(known.owner.is_(None), known.owner == new.owner)
            & or_(new.user_id.is_(None), known.user_id.is_(None), known.user_id == new.user_id),
        )
        .returning(known.thread_id)
        .cte("held")
    )
    fields = {name: bindparam(f"turn_{name}", type_=turns.c[name].type) for name in TurnRecord.model_fields}
    begun = (
        insert(turns)
        .from_select([*fields, "closed"], select(*fields.values(), false()).select_from(held))
        .on_conflict_do_nothing(index_elements=["turn_id"])
        .returning(turns.c.turn_id)
        .cte("begun")
    )
    message_id = bindparam("message_id", type_=messages.c.id.type)
    document = bindparam("message_document", type_=messages.c.document.type)
    line = select(held.c.thread_id, message_id, document)
    is_new = exists(select(begun.c.turn_id))
    statement = select(is_new).select_from(held)
    if not replaces:
        said = insert(messages).from_select(_MESSAGE, line).on_conflict_do_nothing(index_elements=["thread_id", "id"])
        return statement.add_cte(said.cte("said"))
    # The message that is replaced keeps its place, and what came after it goes; once.
    ours = messages.c.thread_id.in_(select(held.c.thread_id))
    place = select(messages.c.number).where(ours, messages.c.id == message_id).scalar_subquery()
    cut = delete(messages).where(ours, messages.c.number > place, is_new)
    said = insert(messages).from_select(_MESSAGE, line.where(is_new))
    said = said.on_conflict_do_update(index_elements=["thread_id", "id"], set_={"document": said.excluded.document})
    return statement.add_cte(cut.cte("cut"), said.cte("said"))


@lru_cache(maxsize=1)
def _end() -> Any:
    """Return the statement that ends a turn: a row where it was running, else none."""
    held = (
        select(conversations.c.thread_id)
        .join(turns, turns.c.thread_id == conversations.c.thread_id)
        .where(turns.c.turn_id == bindparam("turn"))
        .with_for_update(of=conversations)
        .cte("held")
    )
    ended = (
        update(turns)
        .where(
            turns.c.turn_id == bindparam("turn"),
            turns.c.status == "running",
            turns.c.thread_id.in_(select(held.c.thread_id)),
        )
        .values(status=bindparam("ended_as"), ended_at=bindparam("at"), closed=bindparam("is_closed"))
        .returning(turns.c.thread_id)
        .cte("ended")
    )
    line = (
        func.unnest(bindparam("ids", type_=ARRAY(Text)), bindparam("documents", type_=ARRAY(Text)))
        .table_valued("id", "document", with_ordinality="place")
        .render_derived("line")
    )
    said = (
        insert(messages)
        .from_select(
            _MESSAGE,
            select(ended.c.thread_id, line.c.id, line.c.document)
            .select_from(ended.join(line, true()))
            .order_by(line.c.place),
        )
        .on_conflict_do_nothing(index_elements=["thread_id", "id"])
        .cte("said")
    )
    return select(ended.c.thread_id).add_cte(said)
