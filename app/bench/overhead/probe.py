"""The model alone: how long its first token takes without any server between."""

import asyncio
import time

from app.bench.overhead.model import MARK, TOKENS, wish


def model_first_token_ms(
    port: int, *, turns: int, tokens: int = TOKENS, connections: int = 1, each_ms: int = 0
) -> list[float]:
    """Ask the model, on each connection again and again.

    Args:
        port: Where it listens.
        turns: How often on each.
        tokens: Of each answer.
        connections: How many at once; they begin at even distances within an answer.
        each_ms: Between two tokens, in milliseconds.
    """

    async def ask_all() -> list[float]:
        apart = tokens * each_ms / 1000 / connections
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(_ask(port, turns, wish(tokens, each_ms=each_ms), later=apart * number))
                for number in range(connections)
            ]
        return [each for task in asked for each in task.result()]

    return asyncio.run(ask_all())


async def _ask(port: int, turns: int, text: str, *, later: float) -> list[float]:
    await asyncio.sleep(later)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = f'{{"messages":[{{"role":"user","content":"{text}"}}]}}'
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
