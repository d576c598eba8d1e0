"""The floor: uvicorn sends frames that were made beforehand. No model, no framework.

``python benchmarks/contenders/floor.py PORT``. It is asked as the steady model is, and knows no pace.
"""

import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
WISH = re.compile(r"steady-(\d+)x")
FRAMES = [f'{{"type":"token","text":" tk{number % 100:02}"}}' for number in range(10_000)]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer each text with the same frames."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
        return
    while scope["type"] == "websocket":
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.disconnect":
            return
        else:
            wish = WISH.search(message["text"])
            for frame in FRAMES[: int(wish[1]) if wish else 0]:
                await send({"type": "websocket.send", "text": frame})
            await send({"type": "websocket.send", "text": '{"type":"end"}'})


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", lifespan="off")
