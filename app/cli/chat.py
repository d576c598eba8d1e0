"""A rider in a terminal: lines go up the WebSocket, the answer comes back word by word."""

import json
import sys
import uuid
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect

_CLOSING = ("not_authenticated", "invalid_token", "token_expired")
"""After these the server closes the connection."""


async def talk(url: str, thread: str | None, token: str | None) -> None:
    """Read lines from standard input until it ends, and print what the agents say.

    Args:
        url: The server's WebSocket.
        thread: The conversation to continue; None begins a new one.
        token: The access token of who talks; None is nobody in particular.

    Raises:
        ConnectionClosed: The server ended it.
    """
    thread_id = thread or str(uuid.uuid4())
    print(f"# {thread_id}", file=sys.stderr)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with connect(url, additional_headers=headers) as socket:
        while True:
            line = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
            if not line:
                return
            if line.strip():
                await socket.send(json.dumps({"type": "user_input", "text": line.strip(), "thread_id": thread_id}))
                await _print_answer(socket)


async def _print_answer(socket: ClientConnection) -> None:
    speaker: str | None = None
    while True:
        event: dict[str, Any] = json.loads(await socket.recv())
        match event["type"]:
            case "agent_chunk":
                if event["agent"] != speaker:
                    speaker = event["agent"]
                    print(f"{speaker}: ", end="")
                print(event["text"], end="", flush=True)
            case "tool_call":
                print(f"  [{event['name']}]", file=sys.stderr)
            case "system_message" if event["level"] != "info":
                print(f"  ! {event['message']}", file=sys.stderr)
                if event.get("code") not in _CLOSING:
                    return
            case "turn_end":
                print("" if event["status"] == "completed" else f"  ({event['status']})")
                return
