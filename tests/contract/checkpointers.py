"""The places for checkpoints that are held to the same contracts, each as the server opens it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver

from app.bootstrap import open_checkpointer
from app.core.config import Settings
from app.stores.checkpoints.fenced import FencedSaver
from app.stores.checkpoints.remembering import KnowsNewest, RememberingSaver

Saver = BaseCheckpointSaver[Any]


def _remembering_what_is_shared(saver: Saver) -> Saver:
    assert isinstance(saver, KnowsNewest)
    return RememberingSaver(saver, is_newest=saver.is_newest)


_IN_FRONT: dict[str, tuple[str, Callable[[Saver], Saver]]] = {
    "fenced": ("sqlite", lambda saver: FencedSaver(saver, lambda _: True)),
    "remembering": ("sqlite", RememberingSaver),
    "remembering what is shared": ("postgres", _remembering_what_is_shared),
}
"""What stands in front of which place."""
KINDS = ("memory", "sqlite", "postgres", "redis", *_IN_FRONT)


@asynccontextmanager
async def open_kind(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Saver]:
    """Open one of ``KINDS``; opened again it has what was stored before."""
    place, in_front = _IN_FRONT.get(kind, (kind, lambda saver: saver))
    given: dict[str, Any] = {"database_url": f"sqlite+aiosqlite:///{tmp_path}/stores.db", "checkpointer_type": place}
    if place == "postgres":
        given |= {"database_url": request.getfixturevalue("postgres_url"), "auto_migrate": True}
    if place == "redis":
        given["redis_url"] = request.getfixturevalue("redis_url")
    async with open_checkpointer(Settings(**given)) as saver:
        yield in_front(saver)
