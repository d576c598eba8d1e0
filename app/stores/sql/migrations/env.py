"""What Alembic runs around the revisions. The connection and its transaction are whoever's called for them."""

from alembic import context

from app.stores.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot change a column in place
)
context.run_migrations()
