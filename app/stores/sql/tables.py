"""The tables. What is searched for has a column; the rest of a thing is its JSON, in ``document``.

A change here is a file in ``migrations/versions/`` too.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData()


class PlainText(TypeDecorator[str]):
    """Text that people or clients chose. Postgres has no NUL in text: it becomes ``�`` on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        """Return what is stored."""
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value and "\0" in value else value


# SQLite numbers rows by itself only under exactly this type.
_COUNTER = BigInteger().with_variant(Integer, "sqlite")

bookings = Table(
    "bookings",
    metadata,
    Column("number", _COUNTER, primary_key=True),  # the order of arrival
    Column("booking_id", PlainText, nullable=False, unique=True),
    Column("request_key", PlainText, nullable=False, unique=True),
    Column("thread_id", PlainText, nullable=False),
    Column("status", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("bookings_of_thread", "thread_id", "number"),
)

outbox = Table(
    "outbox",  # what must reach somebody because of a booking
    metadata,
    Column("number", _COUNTER, primary_key=True),  # the order in which a lane is delivered
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("booking_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", BigInteger, nullable=False),
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("outbox_due", "state", "next_attempt_at"),
    Index("outbox_of_lane", "lane", "number"),
    Index("outbox_of_booking", "booking_id"),
)

webhooks = Table(
    "webhooks",  # events of the fleet that were taken: each counts once
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Index("webhooks_by_age", "received_at"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("name_key", PlainText, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False),
    Column("family", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Index("refresh_tokens_of_account", "account_id"),
    Index("refresh_tokens_of_family", "family"),
    Index("refresh_tokens_by_age", "expires_at"),
)

secrets = Table(
    "secrets",  # what the server made for itself and all its processes share
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("thread_id", PlainText, primary_key=True),
    Column("owner", Text),
    Column("user_id", PlainText),
    Column("client_id", PlainText),
    Column("title", PlainText),
    Column("share_hash", Text),  # of what lets somebody read it
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("conversations_of_owner", "owner", "updated_at"),
    Index("conversations_shared", "share_hash", unique=True),
)

turns = Table(
    "turns",
    metadata,
    Column("turn_id", PlainText, primary_key=True),
    Column("thread_id", PlainText, ForeignKey("conversations.thread_id", ondelete="CASCADE"), nullable=False),
    Column("text", PlainText, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("replaced_message", PlainText),
    Column("replaced_turn", PlainText),
    Column("closed", Boolean, nullable=False, default=False),  # the terminal event was logged
    Index("turns_of_thread", "thread_id"),
    Index("turns_closed", "closed"),
)

messages = Table(
    "messages",
    metadata,
    Column("number", _COUNTER, primary_key=True),  # the order of arrival
    Column("thread_id", PlainText, ForeignKey("conversations.thread_id", ondelete="CASCADE"), nullable=False),
    Column("id", PlainText, nullable=False),
    Column("document", Text, nullable=False),
    UniqueConstraint("thread_id", "id"),
    Index("messages_of_thread", "thread_id", "number"),
)

threads = Table(
    "threads",  # one row per event log
    metadata,
    Column("thread_id", PlainText, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("first_seq", BigInteger, nullable=False),  # the oldest event kept; last_seq + 1 where none is
    Column("last_seq", BigInteger, nullable=False),
    Column("life", Integer, nullable=False),  # the life of the journal in which the epoch held
    Column("prior_epoch", Text),  # what a crash ended: good up to and including prior_seq
    Column("prior_seq", BigInteger),
)

events = Table(
    "events",
    metadata,
    Column("thread_id", PlainText, ForeignKey("threads.thread_id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("ts", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Index("events_by_age", "ts"),
    sqlite_with_rowid=False,
)

journal = Table(
    "journal",  # one row: how the log was left
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("life", Integer, nullable=False),  # counts the times that it was not closed
    Column("is_open", Boolean, nullable=False),
)

ai_answers = Table(
    "ai_answers",  # explanations that were generated, for whoever asks the same
    metadata,
    Column("question_hash", Text, primary_key=True),
    Column("question", PlainText, nullable=False),
    Column("normalised", PlainText, nullable=False),
    Column("steps", Text, nullable=False),  # JSON
    Column("total_duration", Float, nullable=False),  # seconds
    Column("model", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("hits", Integer, nullable=False),
    Column("used_at", BigInteger, nullable=False),  # when it was asked for last
    Index("ai_answers_by_use", "used_at"),
)
