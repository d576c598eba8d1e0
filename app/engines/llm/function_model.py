"""A chat model that is a local function: streams and calls tools like any other. Knows no taxi."""

import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.utils.function_calling import convert_to_openai_tool

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the function answers: words, calls, or both."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Name and arguments of each tool call."""
    notes: dict[str, Any] = field(default_factory=dict)
    """The function's own memory, kept with the message in ``additional_kwargs``."""


ReplyFunction = Callable[[Sequence[BaseMessage], Sequence[str]], Reply]
"""From the messages and the names of the bound tools to a reply."""


class FunctionChatModel(BaseChatModel):
    """Runs ``function`` where another model would ask a server.

    Attributes:
        function: The rule.
        word_delay_ms: Pause between the words of an answer, in milliseconds.
    """

    function: ReplyFunction
    word_delay_ms: int = 0

    @property
    def _llm_type(self) -> str:
        return "function"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Return a model that may call ``tools``."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _reply(self, messages: Sequence[BaseMessage], kwargs: dict[str, Any]) -> Reply:
        return self.function(messages, [tool["function"]["name"] for tool in kwargs.get("tools", ())])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = list(_chunks(self._reply(messages, kwargs)))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        message = AIMessage(
            whole.text,
            tool_calls=whole.tool_calls,
            additional_kwargs=whole.additional_kwargs,
            response_metadata=whole.response_metadata,
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream the answer word by word.

        In place of LangChain's own, which tells callbacks of every word and joins all of them once more
        for a trace: what no server is asked for needs none.
        """
        messages = self._convert_input(input).to_messages()
        for index, chunk in enumerate(_chunks(self._reply(messages, kwargs))):
            if index and self.word_delay_ms and chunk.content:
                await anyio.sleep(self.word_delay_ms / 1000)
            yield chunk


def _chunks(reply: Reply) -> Iterator[AIMessageChunk]:
    """Yield an answer as a server would stream it: words, calls, then the end with its reason."""
    for match in _WORD.finditer(reply.text):
        yield AIMessageChunk(content=match.group())
    for index, (name, args) in enumerate(reply.calls):
        call = {
            "name": name,
            "args": json.dumps(args, ensure_ascii=False),
            "id": f"call_{uuid.uuid4().hex}",
            "index": index,
        }
        yield AIMessageChunk(content="", tool_call_chunks=[{**call, "type": "tool_call_chunk"}])
    yield AIMessageChunk(
        content="",
        additional_kwargs=dict(reply.notes),
        response_metadata={"finish_reason": "tool_calls" if reply.calls else "stop"},
        chunk_position="last",
    )
