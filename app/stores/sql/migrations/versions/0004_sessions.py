"""Titles and links of conversations, and which turn another one replaced."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("conversations", sa.Column("title", sa.Text))
    op.add_column("conversations", sa.Column("share_hash", sa.Text))
    op.create_index("conversations_of_owner", "conversations", ["owner", "updated_at"])
    op.create_index("conversations_shared", "conversations", ["share_hash"], unique=True)
    op.add_column("turns", sa.Column("replaced_message", sa.Text))
    op.add_column("turns", sa.Column("replaced_turn", sa.Text))
