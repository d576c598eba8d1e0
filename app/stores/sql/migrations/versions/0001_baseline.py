"""The first tables. Those that are there already, made before there were revisions, are left as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make what is missing."""
    op.create_table(
        "bookings",
        sa.Column("number", _COUNTER, primary_key=True),
        sa.Column("booking_id", sa.Text, nullable=False, unique=True),
        sa.Column("request_key", sa.Text, nullable=False, unique=True),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("bookings_of_thread", "bookings", ["thread_id", "number"], if_not_exists=True)
    op.create_table(
        "conversations",
        sa.Column("thread_id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text),
        sa.Column("client_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "turns",
        sa.Column("turn_id", sa.Text, primary_key=True),
        _thread_id("conversations"),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("closed", sa.Boolean, nullable=False),
        if_not_exists=True,
    )
    op.create_index("turns_of_thread", "turns", ["thread_id"], if_not_exists=True)
    op.create_index("turns_closed", "turns", ["closed"], if_not_exists=True)
    op.create_table(
        "messages",
        sa.Column("number", _COUNTER, primary_key=True),
        _thread_id("conversations"),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("thread_id", "id"),
        if_not_exists=True,
    )
    op.create_index("messages_of_thread", "messages", ["thread_id", "number"], if_not_exists=True)
    op.create_table(
        "threads",
        sa.Column("thread_id", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("life", sa.Integer, nullable=False),
        sa.Column("prior_epoch", sa.Text),
        sa.Column("prior_seq", sa.BigInteger),
        if_not_exists=True,
    )
    op.create_table(
        "events",
        _thread_id("threads", primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("events_by_age", "events", ["ts"], if_not_exists=True)
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("life", sa.Integer, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        if_not_exists=True,
    )


def _thread_id(table: str, *, primary_key: bool = False) -> sa.Column[str]:
    """Return a column whose rows go when the thread goes from ``table``."""
    reference = sa.ForeignKey(f"{table}.thread_id", ondelete="CASCADE")
    return sa.Column("thread_id", sa.Text, reference, nullable=False, primary_key=primary_key)
