"""Settings to a chat model: OpenAI itself or any server that speaks its protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr
from pydantic_core import from_json, to_json

from app.core.bell import Bell
from app.core.load import ProcessorLoad
from app.engines.llm.event_stream import EventStreamDecoder
from app.engines.llm.model_server import ModelRefusal, ModelServer, until_over

_DONE = b"[DONE]"
_WORDS = AIMessageChunk(content="")
"""What a chunk with nothing but words is a copy of: to check each anew takes longer than to read it."""
_HANDS = 2
"""Tasks that words pass through on their way out: the turn, which logs them, and the connection, which sends them."""
_AT_EASE, _HARD_PRESSED = 0.1, 0.3
"""Shares of a processor. Below the first one an answer is read word by word. Each read passes through every layer,
which takes many times what its words do: from the second one on words gather for as long as they may, so that the
layers leave time for other riders."""
_LEAST_GATHERING_SECONDS, _MOST_GATHERING_SECONDS = 0.01, 0.2
"""Less is not worth a timer. To read a word takes longer than the most (M. Brysbaert, How many words do we read per
minute?, Journal of Memory and Language 109, 2019: 238 a minute): who has been sent a piece still reads when the next
one comes."""


class OpenAIChatModel(ChatOpenAI):
    """A ``ChatOpenAI`` that reads its stream itself.

    What is asked is langchain-openai's: messages, tools, key, address. Of what comes, the client below it makes objects
    of several classes for every token, which is most of what a turn costs; here a token is a line of JSON.
    """

    _server: ModelServer = PrivateAttr()
    _load: Callable[[], float] = PrivateAttr()

    def __init__(
        self, http: aiohttp.ClientSession, load: Callable[[], float], *, silence_seconds: float, **options: Any
    ) -> None:
        super().__init__(**options)
        client = self.root_async_client
        named = {**client.default_headers, **client.auth_headers}
        self._server = ModelServer(
            http,
            f"{client.base_url}chat/completions",
            {name: value for name, value in named.items() if isinstance(value, str)},  # others are left out
            silence_seconds=silence_seconds,
            max_retries=self.max_retries or 0,
        )
        self._load = load

    async def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Stream the answer. Words that came together are one chunk, but the first come at once.

        Where the processor is busy, the words after the first gather for some milliseconds.

        In place of LangChain's own, which tells callbacks of every token and joins all of them once more for a trace.

        Raises:
            ModelRefusal: The server refused, or its answer broke off with an error.
            aiohttp.ClientError: It cannot be reached, or hung up.
            TimeoutError: It was silent for too long.
            ValueError: What came is no JSON.
        """
        if self.stream_usage:
            kwargs["stream_options"] = {"include_usage": True}
        decoder = EventStreamDecoder()
        has_begun = False
        server, load = self._server, self._load  # once: pydantic looks for a private attribute in Python
        async with await server.ask(_written(self._payload(input, stop=stop, **kwargs))) as response:
            is_whole = Bell()
            response.content.on_eof(is_whole.ring)
            while received := await server.read(response):
                events = decoder.feed(received)
                for piece in _pieces(events, first_alone=not has_begun):
                    if not isinstance(piece, str):
                        yield self._message_chunk(piece)
                        continue
                    yield _WORDS.model_copy(update={"content": piece})
                    if not has_begun:
                        has_begun = True
                        await _until_sent()
                if _DONE in events:
                    await until_over(response)
                    return
                seconds = gathering_seconds(load()) if has_begun else 0
                if seconds and not response.content.is_eof():
                    await _rung_within(is_whole, seconds)

    def _payload(self, asked: LanguageModelInput, **options: Any) -> dict[str, Any]:
        """Return what langchain-openai would send.

        It looks at each character of earlier answers, for a block of sound: in a long conversation that takes longer
        than all else that it does. So it is given these answers without their words, which are put in afterwards.
        """
        messages = asked if isinstance(asked, list) else self._convert_input(asked).to_messages()
        said = [
            each.content if isinstance(each, AIMessage) and isinstance(each.content, str) else "" for each in messages
        ]
        silent = [
            each.model_copy(update={"content": ""}) if words else each
            for each, words in zip(messages, said, strict=True)
        ]
        payload: dict[str, Any] = self._get_request_payload(silent, stream=True, **options)
        for message, words in zip(payload["messages"], said, strict=True):
            if words:
                message["content"] = words
        return payload

    def _message_chunk(self, chunk: dict[str, Any]) -> AIMessageChunk:
        """Return what LangChain makes of a piece that holds more than words."""
        if chunk.get("error"):
            raise ModelRefusal(None)
        generation = self._convert_chunk_to_generation_chunk(chunk, AIMessageChunk, None)
        if generation is None or not isinstance(generation.message, AIMessageChunk):
            return AIMessageChunk(content="")
        generation.message.response_metadata |= generation.generation_info or {}
        return generation.message


def gathering_seconds(load: float) -> float:
    """Return how long words gather before they are read; 0 for not at all. Pure.

    Args:
        load: How busy the processor is, see ``ProcessorLoad``.
    """
    pressure = (load - _AT_EASE) / (_HARD_PRESSED - _AT_EASE)
    seconds = min(1.0, pressure) * _MOST_GATHERING_SECONDS
    return seconds if seconds >= _LEAST_GATHERING_SECONDS else 0


async def _rung_within(bell: Bell, seconds: float) -> None:
    """Wait until it rings, but no longer than so many seconds.

    A timer that rings the bell: a time-out would be an exception each time.
    """
    timer = asyncio.get_running_loop().call_later(seconds, bell.ring)
    try:
        await bell.wait()
    finally:
        timer.cancel()


async def _until_sent() -> None:
    """Let the first words on their way before the rest is read, which takes longer than to send them."""
    for _ in range(_HANDS):
        await asyncio.sleep(0)


def _pieces(events: Iterable[bytes], *, first_alone: bool) -> Iterator[str | dict[str, Any]]:
    """Yield words, and whatever holds more than words, in their order.

    Args:
        events: What came together.
        first_alone: Give the first words before anything else is read; others are joined.
    """
    words = ""
    for event in events:
        if event == _DONE:
            break
        try:
            chunk = _parsed(event)
        except ValueError:
            if words:
                yield words  # what came before it was said
            raise
        text = _words_alone(chunk)
        if text is not None:
            words += text
            if words and first_alone:
                first_alone = False
                yield words
                words = ""
            continue
        if words:
            yield words
            words = ""
        yield chunk
    if words:
        yield words


def _written(payload: dict[str, Any]) -> bytes:
    """Return a request as JSON."""
    try:
        return to_json(payload)
    except ValueError:  # half of a surrogate pair, which Python's own writer spells out
        return json.dumps(payload).encode()


def _parsed(event: bytes) -> Any:
    """Return what an event holds."""
    try:
        return from_json(event)
    except ValueError:  # half of a surrogate pair, which is no text but which Python's own parser lets through
        return json.loads(event)


def _words_alone(chunk: Any) -> str | None:
    """Return the words of a piece that holds nothing else; None of any other one."""
    choices = chunk.get("choices")
    if not choices or chunk.get("usage") or chunk.get("error"):
        return None
    choice = choices[0]
    delta = choice.get("delta")
    if not delta or choice.get("finish_reason") or delta.get("tool_calls") or delta.get("function_call"):
        return None
    text = delta.get("content")
    return text if isinstance(text, str) else None


@asynccontextmanager
async def open_openai_model(
    *,
    model: str,
    api_key: SecretStr | None,
    base_url: str | None,
    temperature: float | None,
    timeout_seconds: float,
    count_tokens: bool = True,
    max_retries: int = 2,
    load: Callable[[], float] | None = None,
) -> AsyncIterator[BaseChatModel]:
    """Open a streaming chat model: its connections are shared by all turns, and closed with the block.

    Args:
        model: Model name that is sent to the server.
        api_key: Key; a server without keys is sent a placeholder, because the client wants one.
        base_url: Address of the server, ending in ``/v1`` as a rule; None is OpenAI's own.
        temperature: Sampling temperature; None leaves it to the server.
        timeout_seconds: Longest silence before and between tokens; to connect is part of it.
        count_tokens: Ask the server how many tokens an answer took (``stream_options``), which some refuse.
        max_retries: How often it is asked again before its first token; 0 where whoever asks does.
        load: Says how busy the processor is, which is how long words gather; None measures it (``ProcessorLoad``).
    """
    connector = aiohttp.TCPConnector(limit=0, ssl=httpx.create_ssl_context())
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as http:
        yield OpenAIChatModel(
            http,
            load or ProcessorLoad(),
            silence_seconds=timeout_seconds,
            model=model,
            api_key=api_key or SecretStr("none"),
            base_url=base_url,
            temperature=temperature,
            max_retries=max_retries,
            streaming=True,
            stream_usage=count_tokens,
        )
