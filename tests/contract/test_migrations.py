"""The tables come by migrations, and are then what the code says they are."""

import asyncio
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, text
from typer.testing import CliRunner, Result

from app.bootstrap import migrate
from app.cli import cli
from app.core.config import Settings
from app.core.errors import Misconfigured
from app.stores.sql import migrations
from app.stores.sql.bookings import SqlBookingStore, _row
from app.stores.sql.conversations import SqlConversationStore
from app.stores.sql.database import Database
from app.stores.sql.tables import bookings, messages, metadata
from tests.contract.test_stores import booking, message

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
FOLDER = Path(migrations.__file__).parent


def differences(connection: Connection) -> list[Any]:
    """Return what sets the tables apart from those in ``tables.py``."""
    options = {"compare_type": True, "compare_server_default": True}
    ours = set(metadata.tables) | {"alembic_version"}

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name in ours

    context = MigrationContext.configure(connection, opts={**options, "include_name": is_ours})
    return list(compare_metadata(context, metadata))


async def revision(database: Database) -> str | None:
    return await database.read(migrations.revision)


async def make_without_migrations(url: str) -> None:
    """Make tables as they were made before there were revisions, with a conversation and a booking."""
    database = Database(url, auto_migrate=True)
    said = {"thread_id": "thread", "id": "message-1", "document": message().model_dump_json()}

    def make(connection: Connection) -> None:
        migrations.upgrade(connection, "0001")
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(insert(bookings).values(**_row(booking())))
        connection.execute(
            text("INSERT INTO conversations (thread_id, created_at, updated_at) VALUES ('thread', 1, 1)")
        )
        connection.execute(insert(messages).values(**said))

    await database.write(make)
    await database.__aexit__(None, None, None)


def test_the_revisions_are_one_line_and_their_files_begin_with_their_numbers() -> None:
    script = ScriptDirectory(str(FOLDER))

    assert script.get_heads() == [migrations.HEAD]
    for each in script.walk_revisions():
        assert Path(each.path).name.startswith(f"{each.revision}_")
        assert each.down_revision == (f"{int(each.revision) - 1:04}" if each.revision != "0001" else None)


async def test_an_empty_database_becomes_what_the_code_needs(database: Database) -> None:
    assert await database.read(differences) == []
    assert await revision(database) == migrations.HEAD


async def test_the_comparison_sees_a_column_that_has_no_migration(database: Database) -> None:
    await database.write(lambda connection: connection.execute(text("ALTER TABLE turns ADD COLUMN forgotten TEXT")))
    assert len(await database.read(differences)) == 1


async def test_tables_that_were_made_before_there_were_revisions_are_taken_over(database_url: str) -> None:
    await make_without_migrations(database_url)

    async with Database(database_url, auto_migrate=True) as database:
        assert await revision(database) == migrations.HEAD
        assert await SqlBookingStore(database).get("booking-1") == booking()
        store = SqlConversationStore(database)
        assert list(await store.messages("thread")) == [message()]
        await store.forget("thread")  # what refers to it goes along: foreign keys are on again
        assert list(await store.messages("thread")) == []
        assert await database.read(differences) == []


async def test_processes_that_start_at_once_take_turns(database_url: str) -> None:
    databases = [Database(database_url, auto_migrate=True) for _ in range(6)]
    await asyncio.gather(*(each.__aenter__() for each in databases))
    try:
        assert {await revision(each) for each in databases} == {migrations.HEAD}
    finally:
        for each in databases:
            await each.__aexit__(None, None, None)


async def test_a_start_on_the_newest_revision_runs_no_migration(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(database_url, auto_migrate=True):
        pass
    monkeypatch.setattr(migrations, "upgrade", lambda _connection: pytest.fail("it migrated"))
    async with Database(database_url, auto_migrate=True):
        pass


async def test_a_migration_that_fails_changes_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half_done (number INTEGER)"))
        raise ZeroDivisionError

    database = Database(database_url, auto_migrate=True)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "upgrade", fail)
        with pytest.raises(ZeroDivisionError):
            await database.migrate()
    async with database:
        assert not await database.read(lambda connection: connection.dialect.has_table(connection, "half_done"))


async def test_tables_of_a_newer_version_are_left_alone(database_url: str) -> None:
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    async with Database(database_url, auto_migrate=True) as database:
        await database.write(lambda connection: connection.execute(newer))
    with pytest.raises(Misconfigured, match="newer"):
        async with Database(database_url, auto_migrate=True):
            pass


async def test_postgres_of_another_revision_is_refused_with_the_command_that_helps(postgres_url: str) -> None:
    with pytest.raises(Misconfigured, match="voztaxi migrate"):
        async with Database(postgres_url):
            pass
    await migrate(Settings(database_url=postgres_url))
    async with Database(postgres_url) as database:
        await database.ping()


def test_the_command_brings_a_database_up_to_date_and_says_what_is_wrong(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(url: str) -> Result:
        monkeypatch.setenv("DATABASE_URL", url)
        return CliRunner().invoke(cli, ["migrate"])

    for url in (postgres_url, postgres_url, f"sqlite+aiosqlite:///{tmp_path}/here.db", "memory://"):
        assert run(url).exit_code == 0
    away = run("postgresql+asyncpg://me:secret@127.0.0.1:1/none")
    assert away.exit_code == 1
    assert "cannot be used" in away.output
    assert "secret" not in away.output


def test_a_wheel_has_the_migrations(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None
    subprocess.run(
        [uv, "build", "--wheel", "--quiet", "--offline", "--out-dir", tmp_path, ROOT],
        check=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())

    for file in [FOLDER / "env.py", *(FOLDER / "versions").glob("*.py")]:
        assert file.relative_to(ROOT).as_posix() in packed
