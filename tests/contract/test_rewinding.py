"""Whatever keeps the checkpoints, the agents' memory goes back to before a turn that is replaced."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, SystemMessage
from langgraph.checkpoint.base import BaseCheckpointSaver

from app.bootstrap import open_checkpointer
from app.core.config import Settings
from app.engines.llm.function_model import FunctionChatModel, Reply
from app.models.conversation import Replaced
from app.stores.checkpoints.fenced import FencedSaver
from app.stores.checkpoints.remembering import RememberingSaver
from tests.desk import make_stores, open_desk

pytestmark = pytest.mark.contract

IN_FRONT: dict[str, Callable[[BaseCheckpointSaver[Any]], BaseCheckpointSaver[Any]]] = {
    "fenced": lambda saver: FencedSaver(saver, lambda _: True),
    "remembering": RememberingSaver,
}
"""What stands before a checkpointer where a server keeps it to itself, or shares it."""


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis", "fenced", "remembering"])
async def checkpointer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """Every checkpointer, as the server opens it."""
    in_front = IN_FRONT.get(request.param, lambda saver: saver)
    kind = "sqlite" if request.param in IN_FRONT else request.param
    given: dict[str, Any] = {"database_url": f"sqlite+aiosqlite:///{tmp_path}/stores.db", "checkpointer_type": kind}
    if kind == "postgres":
        given |= {"database_url": request.getfixturevalue("postgres_url"), "auto_migrate": True}
    if kind == "redis":
        given["redis_url"] = request.getfixturevalue("redis_url")
    async with open_checkpointer(Settings(**given)) as saver:
        yield in_front(saver)


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_the_model_is_given_what_was_said_before_the_turn_that_is_replaced(
    checkpointer: BaseCheckpointSaver[Any], number: int
) -> None:
    heard: list[list[str]] = []

    def reply(messages: list[BaseMessage], _tools: object) -> Reply:
        heard.append([message.text for message in messages if not isinstance(message, SystemMessage)])
        return Reply(f"respuesta {len(heard)}")

    async with open_desk(
        model=FunctionChatModel(function=reply), stores=make_stores(checkpointer=checkpointer)
    ) as desk:
        said = await desk.talk("uno", "dos", "tres")
        await desk.say("en otra conversación", thread_id="other")
        for words in ("otra cosa", "y otra"):
            turn_id = said[number].end.turn_id
            said[number] = await desk.say(words, replaces=Replaced("message", turn_id))
        await desk.say("sigue")
        await desk.say("sigue", thread_id="other")

    kept = ["uno", "respuesta 1", "dos", "respuesta 2"][: 2 * number]
    assert heard[4] == [*kept, "otra cosa"]
    assert heard[5] == [*kept, "y otra"]
    assert heard[6] == [*kept, "y otra", "respuesta 6", "sigue"]
    assert heard[7] == ["en otra conversación", "respuesta 4", "sigue"]
