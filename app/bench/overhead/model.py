"""A chat model that costs next to nothing: it speaks OpenAI's protocol from bytes made beforehand.

``python -m app.bench.overhead.model PORT``. The last message says how it answers: ``steady-TOKENSxFIRSTxEACH``, with
the delays before the first token and between two in milliseconds. Each token is `` tkNN`` and comes in a write of its
own, at the time that the pace gives it, however late the one before was.
"""

import asyncio
import json
import re
import sys
from functools import lru_cache
from typing import cast

import uvloop

MARK = "tk"
"""Each token has it, after a space; nothing else on a wire has it."""
TOKENS, PACE_MS = 64, 20
"""An answer at a pace, and the time between two of its tokens."""
IDEAL_MS = TOKENS * PACE_MS
"""A turn at that pace from a server that costs nothing: the end comes as long after the last token as a token would."""
_WISH = re.compile(rb"steady-(\d+)x(\d+)x(\d+)")
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_HEALTHY = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"status":"healthy"}'
_BAD = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def wish(tokens: int, *, first_ms: int = 0, each_ms: int = 0) -> str:
    """Return what a rider says to be answered so."""
    return f"steady-{tokens}x{first_ms}x{each_ms}"


def _chunk(frame: str) -> bytes:
    data = f"data: {frame}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache
def answer_chunks(tokens: int, *, with_usage: bool) -> tuple[bytes, tuple[bytes, ...], bytes]:
    """Return what opens an answer, its tokens and its end, each as a chunk of HTTP."""

    def frame(delta: dict[str, str] | None, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        body = {
            "id": "chatcmpl-steady",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "steady",
            "service_tier": "default",
            "system_fingerprint": "fp_steady",
            "choices": choices,
            **({"usage": usage} if with_usage else {}),
        }
        return _chunk(json.dumps(body, separators=(",", ":")))

    opening = frame({"role": "assistant", "content": ""})
    body = tuple(frame({"content": f" {MARK}{number % 100:02}"}) for number in range(tokens))
    end = frame({}, "stop")
    if with_usage:
        end += frame(None, usage={"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens})
    return opening, body, end + _chunk("[DONE]") + b"0\r\n\r\n"


class ModelProtocol(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or self._transport is None:
            return
        length = _LENGTH.search(head)
        if len(body) < (int(length[1]) if length else 0):
            return
        self._buffer = b""
        if head.startswith(b"GET"):
            self._transport.write(_HEALTHY)
            return
        wishes = _WISH.findall(body)
        if not wishes:
            self._transport.write(_BAD)
            self._transport.close()
            return
        tokens, first_ms, each_ms = (int(each) for each in wishes[-1])
        self._answer(tokens, first_ms / 1000, each_ms / 1000, with_usage=_USAGE.search(body) is not None)

    def _answer(self, tokens: int, first: float, each: float, *, with_usage: bool) -> None:
        assert self._transport is not None
        opening, body, end = answer_chunks(tokens, with_usage=with_usage)
        began = self._loop.time()

        def write(number: int) -> None:
            """Write a token, and set when the next is due: by the start, so that nothing adds up."""
            if self._transport is None:
                return
            if number == len(body):
                self._transport.write(end)
                return
            self._transport.write(body[number])
            if each:
                self._timer = self._loop.call_at(began + first + each * (number + 1), write, number + 1)
            else:
                self._loop.call_soon(write, number + 1)

        self._transport.write(_HEAD + opening)
        if first:
            self._timer = self._loop.call_at(began + first, write, 0)
        else:
            write(0)


async def serve(port: int) -> None:
    """Serve on loopback for ever."""
    server = await asyncio.get_running_loop().create_server(ModelProtocol, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
