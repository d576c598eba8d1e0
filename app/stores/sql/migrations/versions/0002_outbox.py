"""What must reach the fleet and the riders because of a booking, and the webhooks that were taken."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of dispatch."""
    op.create_table(
        "outbox",
        sa.Column("number", _COUNTER, primary_key=True),
        sa.Column("delivery_id", sa.Text, nullable=False, unique=True),
        sa.Column("booking_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("outbox_due", "outbox", ["state", "next_attempt_at"])
    op.create_index("outbox_of_lane", "outbox", ["lane", "number"])
    op.create_index("outbox_of_booking", "outbox", ["booking_id"])
    op.create_table(
        "webhooks",
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("received_at", sa.BigInteger, nullable=False),
    )
    op.create_index("webhooks_by_age", "webhooks", ["received_at"])
