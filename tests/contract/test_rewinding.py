"""Whatever keeps the checkpoints, the agents' memory goes back to before a turn that is replaced."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from langchain_core.messages import BaseMessage, SystemMessage

from app.engines.llm.function_model import FunctionChatModel, Reply
from app.models.conversation import Replaced
from tests.contract.checkpointers import KINDS, Saver, open_kind
from tests.desk import make_stores, open_desk

pytestmark = pytest.mark.contract


@pytest.fixture(params=KINDS)
async def checkpointer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Saver]:
    """Every checkpointer, as the server opens it."""
    async with open_kind(request.param, request, tmp_path) as saver:
        yield saver


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_the_model_is_given_what_was_said_before_the_turn_that_is_replaced(
    checkpointer: Saver, number: int
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
