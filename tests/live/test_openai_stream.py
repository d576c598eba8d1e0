"""What our reader makes of a model server's stream, beside what langchain-openai's own makes of it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from app.engines.llm import openai
from app.engines.llm.model_server import ModelRefusal
from app.engines.llm.openai import OpenAIChatModel, open_openai_model
from tests.live.openai_server import PIECE, Answer, Call, ScriptedModel

pytestmark = pytest.mark.live

SAID = "Hola"
TOOL = {"type": "function", "function": {"name": "Book", "parameters": {"type": "object", "properties": {}}}}
OUR_OWN = {"user-agent", "accept-encoding", "connection", "content-length", "x-stainless-retry-count"}
"""Header fields that a client writes as it likes."""
BUSY = {"error": {"message": "busy", "type": "server_error"}}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    await model.start()
    yield model
    await model.stop()
    assert not model.problems


@pytest_asyncio.fixture
async def ours(server: ScriptedModel) -> AsyncIterator[BaseChatModel]:
    async with open_openai_model(
        model="m", api_key=SecretStr("k"), base_url=server.base_url, temperature=0.5, timeout_seconds=20
    ) as model:
        yield model


def theirs(server: ScriptedModel) -> ChatOpenAI:
    return ChatOpenAI(
        model="m",
        api_key=SecretStr("k"),
        base_url=server.base_url,
        temperature=0.5,
        streaming=True,
        stream_usage=True,
    )


async def ask(model: BaseChatModel, server: ScriptedModel, *answers: Answer) -> list[AIMessageChunk]:
    server.when(SAID, *answers)
    asked = [SystemMessage("Eres."), HumanMessage(SAID)]
    return [chunk async for chunk in model.bind_tools([TOOL]).astream(asked)]  # type: ignore[misc]


def whole(chunks: Sequence[AIMessageChunk]) -> dict[str, Any]:
    """Return what the agents take from a stream."""
    joined = add_ai_message_chunks(*chunks)
    return {
        "text": joined.text,
        "calls": joined.tool_call_chunks,
        "invalid": joined.invalid_tool_calls,
        "usage": joined.usage_metadata,
        "finish": joined.response_metadata.get("finish_reason"),
        "notes": joined.additional_kwargs,
    }


async def test_half_of_a_surrogate_pair_is_asked_too(ours: BaseChatModel, server: ScriptedModel) -> None:
    half = "Hola \ud83d"
    server.when(half, Answer("Sí"))

    said = [chunk.text async for chunk in ours.astream([SystemMessage("Eres."), HumanMessage(half)])]
    assert "".join(said) == "Sí"


@pytest.mark.parametrize(
    "answer",
    [
        Answer("¡Hola! ¿A qué dirección te enviamos el taxi? 🚕"),
        Answer("", calls=[Call("Book", {"address": "Calle 72 #43-25", "note": "«ñ»"})]),
        Answer("Un momento. ", calls=[Call("Book", {"a": 1}), Call("Book", {"b": [1, 2]}, id="call_1")]),
        Answer("", calls=[Call("Book", "{no json")]),
        Answer("Hasta aquí", finish="length"),
        Answer("Cortado", finish=None),
        Answer("Contado", tokens=(11, 7)),
        Answer("", has_id=False, calls=[Call("Book", {}, id=None)], names_in_every_delta=True),
    ],
    ids=["words", "call", "words and calls", "no json", "cut", "broken off", "tokens", "odd"],
)
async def test_it_says_what_langchains_own_says(ours: BaseChatModel, server: ScriptedModel, answer: Answer) -> None:
    read = whole(await ask(ours, server, answer))
    [asked] = server.asked(SAID)

    assert read == whole(await ask(theirs(server), server, answer))
    assert server.asked(SAID) == [asked]  # and asks for it in the same words
    ours_said, theirs_said = (
        {name: value for name, value in head.items() if name not in OUR_OWN} for head in server.heads
    )
    assert ours_said == theirs_said


async def test_of_a_long_conversation_it_sends_what_langchains_own_sends(
    ours: BaseChatModel, server: ScriptedModel
) -> None:
    call: ToolCall = {"type": "tool_call", "id": "c", "name": "Book", "args": {"address": "Calle 72"}}
    unread: InvalidToolCall = {"type": "invalid_tool_call", "id": "d", "name": "Book", "args": "{", "error": None}
    conversation: list[BaseMessage] = [
        SystemMessage("Eres."),
        HumanMessage("Un taxi", id="1"),
        AIMessage("¿A dónde? 🚕", id="2", name="NAVEGANTE"),
        AIMessage("Un momento.", tool_calls=[call]),
        ToolMessage("hecho", tool_call_id="c"),
        AIMessage("", tool_calls=[{**call, "id": "e"}]),
        ToolMessage("hecho", tool_call_id="e"),
        AIMessage("Otra vez.", invalid_tool_calls=[unread]),
        ToolMessage("no", tool_call_id="d"),
        AIMessage(""),
        AIMessage([{"type": "text", "text": "en "}, {"type": "text", "text": "partes"}]),
        AIMessage("Con nota.", additional_kwargs={"reasoning_content": "pienso", "audio": {"id": "a"}}),
        HumanMessage(SAID),
    ]
    before = [message.model_copy(deep=True) for message in conversation]

    assert isinstance(ours, OpenAIChatModel)
    sent = ours._payload(conversation)
    assert sent == theirs(server)._get_request_payload(conversation, stream=True)
    assert conversation == before
    assert [each["content"] for each in sent["messages"] if each["role"] == "assistant"][:4] == [
        "¿A dónde? 🚕",
        "Un momento.",
        None,
        "Otra vez.",
    ]


async def test_a_refusal_that_passes_is_asked_again_and_any_other_is_not(server: ScriptedModel) -> None:
    async with open_openai_model(
        model="m", api_key=None, base_url=server.base_url, temperature=None, timeout_seconds=20, max_retries=1
    ) as model:
        assert whole(await ask(model, server, Answer(status=503, body=BUSY), Answer("Ya.")))["text"] == "Ya."
        with pytest.raises(ModelRefusal) as refused:
            await ask(model, server, Answer(status=401, body=BUSY), Answer("No."))
        assert refused.value.status_code == 401
        assert len(server.asked(SAID)) == 1
        with pytest.raises(ModelRefusal):
            await ask(model, server, *[Answer(status=429, body=BUSY)] * 2)


async def test_an_answer_that_comes_at_once_leaves_nothing_in_cycles(
    ours: BaseChatModel, server: ScriptedModel
) -> None:
    await ask(ours, server, Answer("Hola"))
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await ask(ours, server, Answer("Hola"))
        gc.collect()
        left = {type(each).__module__.partition(".")[0] for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()

    assert not left & {"stamina", "tenacity", "aiohttp", "app", "langchain_openai"}


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\n\r\n" + b'data: {"choices":[{"delta":{"content":"Ho"}}]}\n\n']
)
async def test_a_server_that_falls_silent_is_not_waited_for_for_ever(said: bytes) -> None:
    is_over = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await is_over.wait()
        writer.close()

    heard: list[str] = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with open_openai_model(
            model="m",
            api_key=None,
            base_url=f"http://127.0.0.1:{port}/v1",
            temperature=None,
            timeout_seconds=0.2,
            max_retries=0,
        ) as model:
            with pytest.raises(TimeoutError):
                async for chunk in model.astream(SAID):
                    heard += [chunk.text]
        is_over.set()

    assert heard == (["Ho"] if said else [])


async def test_an_error_in_the_stream_breaks_it_off(ours: BaseChatModel, server: ScriptedModel) -> None:
    with pytest.raises(ModelRefusal):
        await ask(ours, server, Answer("Voy", last=BUSY))


async def test_words_that_came_together_are_one_chunk(ours: BaseChatModel, server: ScriptedModel) -> None:
    text = "palabra " * 400

    chunks = [chunk.text for chunk in await ask(ours, server, Answer(text))]

    assert "".join(chunks) == text
    assert len(chunks) < len(text) / 6


async def test_the_first_words_are_on_their_way_before_the_rest_is_read(
    ours: BaseChatModel, server: ScriptedModel
) -> None:
    loop = asyncio.get_running_loop()
    server.when(SAID, Answer("palabra " * 400))
    chunks: list[str] = []
    sent: list[str] = []

    async for chunk in ours.astream([SystemMessage("Eres."), HumanMessage(SAID)]):
        chunks.append(chunk.text)
        if chunks[-1] and not sent:
            words = "".join(chunks)
            loop.call_soon(loop.call_soon, sent.append, words)  # a task that hands to a task
        elif chunks[-1]:
            break

    assert sent == [words]
    assert len(words) <= PIECE


@asynccontextmanager
async def slow_model(said: Sequence[str], load: float, *, breaks_off: bool = False) -> AsyncIterator[BaseChatModel]:
    """A model that says a word each 5 ms, asked by one that is as busy as ``load`` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for word in said:
            write(writer, b'{"choices":[{"delta":{"content":"%b"}}]}' % word.encode())
            await asyncio.sleep(0.005)  # the model's own pace
        if not breaks_off:
            write(writer, b"[DONE]")
            writer.write(b"0\r\n\r\n")
        writer.close()

    def write(writer: asyncio.StreamWriter, data: bytes) -> None:
        event = b"data: %b\n\n" % data
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with open_openai_model(
            model="m",
            api_key=None,
            base_url=f"http://127.0.0.1:{port}/v1",
            temperature=None,
            timeout_seconds=20,
            load=lambda: load,
        ) as model:
            yield model


async def test_where_the_processor_is_busy_words_gather() -> None:
    words = [f"palabra{number} " for number in range(40)]
    answers = {}
    for load in (0.0, 1.0):
        async with slow_model(words, load) as model:
            answers[load] = [chunk.text async for chunk in model.astream(SAID)]

    assert all(answer[0] == words[0] and "".join(answer) == "".join(words) for answer in answers.values())
    assert len(answers[1.0]) * 2 < len(answers[0.0])


async def test_words_that_gather_do_not_wait_once_the_answer_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "_MOST_GATHERING_SECONDS", 3_600.0)

    async with slow_model([f"palabra{number} " for number in range(4)], 1.0) as model:
        chunks = [chunk.text async for chunk in model.astream(SAID)]

    assert chunks == ["palabra0 ", "palabra1 palabra2 palabra3 "]


async def test_words_that_gather_are_told_also_where_the_answer_breaks_off() -> None:
    words = [f"palabra{number} " for number in range(10)]
    heard: list[str] = []

    async with slow_model(words, 1.0, breaks_off=True) as model:
        with pytest.raises(aiohttp.ClientPayloadError):
            async for chunk in model.astream(SAID):
                heard += [chunk.text]

    assert heard == [words[0], "".join(words[1:])]


@pytest.mark.parametrize("load", [0.0, 0.1, 0.105])
def test_who_is_at_ease_reads_word_by_word(load: float) -> None:
    assert openai.gathering_seconds(load) == 0


def test_words_gather_for_a_fifth_of_a_second_at_most() -> None:
    assert 0 < openai.gathering_seconds(0.15) < openai.gathering_seconds(0.25)
    assert openai.gathering_seconds(0.3) == openai.gathering_seconds(7.0) == 0.2


async def test_a_netrc_file_takes_nothing_from_the_key(
    server: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    async with open_openai_model(
        model="m", api_key=SecretStr("k"), base_url=server.base_url, temperature=None, timeout_seconds=20
    ) as model:
        assert whole(await ask(model, server, Answer("Hola")))["text"] == "Hola"

    assert server.heads[0]["authorization"] == "Bearer k"


@pytest.mark.parametrize(("left_out", "asked"), [("", "http://model.test/v1/chat/completions"), ("model.test", None)])
async def test_the_proxy_of_the_environment_is_asked_where_it_is_not_left_out(
    left_out: str, asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("http_proxy", f"http://someone:else@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", left_out)
        async with open_openai_model(
            model="m",
            api_key=None,
            base_url="http://model.test/v1",
            temperature=None,
            timeout_seconds=20,
            max_retries=0,
        ) as model:
            with pytest.raises(aiohttp.ClientConnectorError if asked is None else ModelRefusal):
                await anext(model.astream(SAID))

    assert [head.split()[1].decode() for head in heads] == ([asked] if asked else [])
    assert all(b"Proxy-Authorization: Basic " in head for head in heads)


async def test_the_next_turn_has_the_same_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for data in (b'{"choices":[{"delta":{"content":"Hola"},"finish_reason":null}]}', b"[DONE]"):
                    event = b"data: " + data + b"\n\n"
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                await writer.drain()
                await asyncio.sleep(0.01)  # the end of the response is a write of its own, as with most servers
                writer.write(b"0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with open_openai_model(
            model="m", api_key=None, base_url=f"http://127.0.0.1:{port}/v1", temperature=None, timeout_seconds=20
        ) as model:
            for _ in range(3):
                assert "".join([chunk.text async for chunk in model.astream(SAID)]) == "Hola"

    assert connections == 1
