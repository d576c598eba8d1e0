"""How ``voztaxi bench overhead`` fills the log of events before it measures a turn beside it."""

from pathlib import Path

import pytest

from app.bench.overhead.fill import fill
from app.bootstrap.stores import open_stores
from app.core.clock import new_id, now_ms
from app.core.config import Settings
from app.stores.sql.database import Database
from app.stores.sql.tables import events

pytestmark = pytest.mark.integration


async def test_as_many_events_are_stored_as_were_asked_for_also_when_there_are_some(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/log.db")

    for first, count in ((0, 1_500), (1_500, 25)):
        async with open_stores(settings, now_ms=now_ms, new_id=new_id) as stores:
            await fill(stores, first, count)

    async with Database(settings.database_url) as database:
        rows = await database.rows(events.select())
    assert len(rows) == 1_525
    assert {row.thread_id for row in rows} == {"filled-0", "filled-1", "filled-1500"}
