"""The model alone: how long its first token takes without any server between."""

import asyncio
import time

from app.bench.overhead.model import MARK, wish


def model_first_token_ms(port: int, *, turns: int, tokens: int = 64) -> list[float]:
    """Ask the model on one connection, again and again.

    Args:
        port: Where it listens.
        turns: How often.
        tokens: Of each answer.
    """
    return asyncio.run(_ask(port, turns, tokens))


async def _ask(port: int, turns: int, tokens: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = f'{{"messages":[{{"role":"user","content":"{wish(tokens)}"}}]}}'
    request = f"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    found = []
    for _ in range(turns):
        began = time.perf_counter()
        writer.write(request)
        await reader.readuntil(MARK.encode())
        found.append((time.perf_counter() - began) * 1000)
        await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    return found
