"""The steps from one form of the tables to the next, each a file in ``versions/``; Alembic runs them.

Revisions are numbered ``0001``, ``0002`` and so on, and a file's name begins with its number. The first
one takes over tables that were made before there were any.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

_FOLDER = Path(__file__).parent

HEAD = max(file.name[:4] for file in (_FOLDER / "versions").glob("[0-9]*.py"))
"""The revision that this version of the code needs."""


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none, or older ones than the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(connection: Connection, to: str = HEAD) -> None:
    """Run what is missing, in the transaction that is open."""
    # Here, as it takes a while and is rarely needed.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
