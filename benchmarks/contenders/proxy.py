"""A bare proxy: reads the model's stream with aiohttp, sends a frame a token, keeps the conversation in a list.

No LangChain, no graph, nothing stored. ``python benchmarks/contenders/proxy.py PORT``, with OPENAI_BASE_URL and MODEL.
"""

import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
URL = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
MODEL = os.environ["MODEL"]
threads: dict[str, list[dict[str, str]]] = defaultdict(list)
clients: dict[str, aiohttp.ClientSession] = {}


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the one client that all share."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as client:
        clients["model"] = client
        yield


async def chat(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    """Serve one WebSocket."""
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.disconnect":
            return
        else:
            await answer(orjson.loads(message["text"]), send)


async def answer(said: dict[str, str], send: Send) -> None:
    """Pass on what the model answers."""
    messages = threads[said["thread_id"]]
    messages.append({"role": "user", "content": said["text"]})
    body = orjson.dumps({"model": MODEL, "messages": messages, "stream": True})
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    text = ""
    async with clients["model"].post(URL, data=body, headers=headers) as response:
        async for line in response.content:
            if not line.startswith(b"data: {"):
                continue
            for choice in orjson.loads(line[6:])["choices"]:
                if content := choice["delta"].get("content"):
                    text += content
                    frame = orjson.dumps({"type": "token", "text": content}).decode()
                    await send({"type": "websocket.send", "text": frame})
    messages.append({"role": "assistant", "content": text})
    await send({"type": "websocket.send", "text": '{"type":"end"}'})


async def health(request: Request) -> JSONResponse:
    """Say that it is there."""
    return JSONResponse({"status": "healthy"})


http = Starlette(routes=[Route("/health", health)], lifespan=lifespan)


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    """Serve WebSockets without a framework, and the rest with one."""
    if scope["type"] == "websocket":
        await chat(scope, receive, send)
    else:
        await http(scope, receive, send)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
