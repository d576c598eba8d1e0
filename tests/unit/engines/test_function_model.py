"""A chat model that is a function streams and calls tools like any other."""

from collections.abc import Sequence

import pytest
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.messages.ai import add_ai_message_chunks
from pydantic import BaseModel

from app.engines.llm.function_model import FunctionChatModel, Reply

pytestmark = pytest.mark.unit


class Lookup(BaseModel):
    """Looks something up."""

    what: str


def reply(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Reply:
    return Reply(f"Oí {messages[-1].text}, tengo {', '.join(tools)}.", (("Lookup", {"what": "ñ"}),), {"asked": "x"})


async def test_it_streams_words_then_calls_then_its_end() -> None:
    model = FunctionChatModel(function=reply).bind_tools([Lookup])
    chunks = [chunk async for chunk in model.astream([HumanMessage("hola")])]
    whole = add_ai_message_chunks(chunks[0], *chunks[1:])  # type: ignore[arg-type]

    assert [chunk.text for chunk in chunks if chunk.text] == ["Oí", " hola,", " tengo", " Lookup."]
    assert whole.tool_calls[0]["name"] == "Lookup"
    assert whole.tool_calls[0]["args"] == {"what": "ñ"}
    assert whole.response_metadata["finish_reason"] == "tool_calls"
    assert whole.additional_kwargs["asked"] == "x"


async def test_it_answers_in_one_piece_too() -> None:
    message = await FunctionChatModel(function=reply).bind_tools([Lookup]).ainvoke([HumanMessage("hola")])

    assert message.text == "Oí hola, tengo Lookup."
    assert message.tool_calls[0]["args"] == {"what": "ñ"}
