"""OpenAI-compatible model servers for tests: aimock from npm, and one whose every byte a test decides.

``aimock`` plays whole conversations from a file of fixtures. ``ScriptedModel`` gives the answers that no
mock has, keeps every request, and refuses a history that a real server refuses.
"""

import asyncio
import json
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests import npm
from tests.live.server import START_SECONDS, free_port

AIMOCK = Path(__file__).parents[1] / "js" / "aimock"
PIECE = 6
"""Characters in a delta of the scripted model."""

Json = dict[str, Any]


# What a model server sees and sends.


def problems_of(messages: Sequence[Json]) -> list[str]:
    """Return why a model server would refuse this history."""
    problems = []
    roles = [message["role"] for message in messages]
    if roles[:2] != ["system", "user"] or roles.count("system") != 1:
        problems.append(f"does not begin with one system message and the rider: {roles}")
    if roles[-1] not in ("user", "tool"):
        problems.append(f"does not end with the rider or a tool: {roles}")
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] in waiting:
                waiting.remove(message["tool_call_id"])
            else:
                problems.append(f"a tool message without its call: {message['tool_call_id']}")
            continue
        if waiting:
            problems.append(f"calls without an answer: {waiting}")
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        problems += [f"a call id twice: {call_id}" for call_id in waiting if call_id in seen]
        seen.update(waiting)
        if message["role"] != "system" and not message.get("content") and not waiting:
            problems.append(f"an empty message of {message['role']}")
    if waiting:
        problems.append(f"calls without an answer at the end: {waiting}")
    return problems


def agent_of(request: Json) -> str:
    """Return which agent a request is for: the system prompt ends in what is known."""
    return str(reservation_of(request)["agent"])


def reservation_of(request: Json) -> Json:
    """Return what a request's system prompt says is known."""
    prompt = request["messages"][0]["content"]
    _, _, facts = prompt.rpartition("<reserva>")
    known: Json = json.loads(facts.removesuffix("</reserva>"))
    return known


def tools_of(request: Json) -> set[str]:
    """Return the names of the tools that a request offers."""
    return {tool["function"]["name"] for tool in request["tools"]}


def deltas_of(body: str) -> list[Json]:
    """Return the deltas of a streamed answer."""
    events = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for event in events for choice in json.loads(event)["choices"]]


# aimock.


class Aimock:
    """A running aimock."""

    def __init__(self, port: int, key: str) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._root = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": f"Bearer {key}"}

    async def journal(self) -> list[Json]:
        """Return every request that was answered so far, with the answer's status."""
        async with httpx.AsyncClient(headers=self._headers) as client:
            entries: list[Json] = (await client.get(f"{self._root}/__aimock/journal")).json()
        return entries

    async def ask_again(self, request: Json) -> list[Json]:
        """Send a request once more and return the deltas that it is answered with."""
        async with httpx.AsyncClient(headers=self._headers) as client:
            answer = await client.post(f"{self.base_url}/chat/completions", json=request)
        assert answer.status_code == 200, answer.text
        return deltas_of(answer.text)


@contextmanager
def running_aimock(fixtures: Path, *, key: str, log: Path) -> Iterator[Aimock]:
    """Start aimock with these fixtures, for clients with this key, and stop it.

    What no fixture is for is refused; nothing is passed on to anybody.
    """
    port = free_port()
    program = AIMOCK / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    options = ["-p", str(port), "-f", str(fixtures), "--strict", "--validate-on-load"]
    node = npm.install(AIMOCK)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [node, str(program), *options], env={"AIMOCK_API_KEYS": key}, stdout=output, stderr=output
        )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}/ready", log)
        yield Aimock(port, key)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"aimock did not start:\n{log.read_text()}")


# A server whose every byte a test decides.


@dataclass(frozen=True)
class Call:
    """A tool call of an answer."""

    name: str
    arguments: Json | str = field(default_factory=dict)
    """A string is sent as it is, JSON or not."""
    id: str | None = "call_0"
    """As many servers do, every answer counts from zero."""


@dataclass
class Hold:
    """Where an answer stops until the test, or the client, has had enough."""

    released: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """The client closed the connection while the answer was held."""


@dataclass(frozen=True)
class Answer:
    """What the model says to one request."""

    text: str = ""
    calls: Sequence[Call] = ()
    finish: str | None = ""
    """The reason of the end; empty is the right one, None is a stream that just stops."""
    hold: Hold | None = None
    """Stop after the text."""
    last: Json | None = None
    """An event in place of the end."""
    names_in_every_delta: bool = False
    tokens: tuple[int, int] | None = None
    """What the answer took, told after its end to who asks; None is a server that does not count."""
    has_id: bool = True
    """Its events name the answer that they belong to."""
    status: int = 200
    body: Json | None = None
    """The body of an answer that is no stream."""

    def deltas(self) -> Iterator[Json]:
        """Yield the deltas of the tool calls."""
        for index, call in enumerate(self.calls):
            given = call.arguments
            arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            first = {"index": index, "type": "function", "function": {"name": call.name, "arguments": ""}}
            yield {"tool_calls": [first if call.id is None else {**first, "id": call.id}]}
            for piece in _pieces(arguments):
                function = {"arguments": piece, **({"name": call.name} if self.names_in_every_delta else {})}
                yield {"tool_calls": [{"index": index, "function": function}]}


class ScriptedModel:
    """A model server that answers what a rider says as it was told to, and keeps every request."""

    def __init__(self) -> None:
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self.problems: list[str] = []
        """Why requests were refused."""
        self.heads: list[dict[str, str]] = []
        """The header fields of each request."""
        self._requests: dict[str, list[Json]] = {}
        self._answers: dict[str, deque[Answer]] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Be down: connections are refused."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def when(self, said: str, *answers: Answer) -> None:
        """Give these answers, one a request, while these are the rider's last words."""
        self._answers[said] = deque(answers)
        self._requests[said] = []

    def asked(self, said: str) -> list[Json]:
        """Return the requests that came while these were the rider's last words."""
        return self._requests[said]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()[1:-1]
            head = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.heads.append(head)
            request: Json = json.loads(await reader.readexactly(int(head["content-length"])))
            answer = self._judge(request)
            if not request.get("stream_options", {}).get("include_usage"):
                answer = replace(answer, tokens=None)
            await self._answer(answer, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _judge(self, request: Json) -> Answer:
        """Keep the request and return its answer; refuse what a real server refuses."""
        said = next(message["content"] for message in reversed(request["messages"]) if message["role"] == "user")
        self._requests.setdefault(said, []).append(request)
        problems = problems_of(request["messages"])
        answers = self._answers.get(said)
        if not answers:
            problems.append(f"one request too many after «{said}»")
        self.problems += problems
        if problems or not answers:
            return Answer(status=400, body={"error": {"message": problems[0], "type": "invalid_request_error"}})
        return answers.popleft()

    async def _answer(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = "text/event-stream" if answer.body is None else "application/json"
        writer.write(f"HTTP/1.1 {answer.status} .\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
        if answer.body is not None:
            writer.write(json.dumps(answer.body).encode())
            return await writer.drain()
        await _send(writer, {"role": "assistant", "content": "" if answer.text else None}, has_id=answer.has_id)
        for piece in _pieces(answer.text):
            await _send(writer, {"content": piece}, has_id=answer.has_id)
        if answer.hold is not None:
            await _wait(answer.hold, reader)
        for delta in answer.deltas():
            await _send(writer, delta, has_id=answer.has_id)
        if answer.last is not None:
            writer.write(f"data: {json.dumps(answer.last)}\n\n".encode())
        elif answer.finish is not None:
            await _send(writer, {}, answer.finish or ("tool_calls" if answer.calls else "stop"), has_id=answer.has_id)
            if answer.tokens is not None:
                await _send_usage(writer, *answer.tokens)
            writer.write(b"data: [DONE]\n\n")
        return await writer.drain()


async def _send(writer: asyncio.StreamWriter, delta: Json, finish: str | None = None, *, has_id: bool = True) -> None:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    await _send_event(writer, **({"id": "1"} if has_id else {}), choices=choices)


async def _send_usage(writer: asyncio.StreamWriter, given: int, answered: int) -> None:
    usage = {"prompt_tokens": given, "completion_tokens": answered, "total_tokens": given + answered}
    await _send_event(writer, id="1", choices=[], usage=usage)


async def _send_event(writer: asyncio.StreamWriter, **fields: Any) -> None:
    event = {"object": "chat.completion.chunk", "created": 1, "model": "m", **fields}
    writer.write(f"data: {json.dumps(event)}\n\n".encode())
    await writer.drain()


async def _wait(hold: Hold, reader: asyncio.StreamReader) -> None:
    """Wait until the test lets the answer go on, or the client has gone."""
    released, gone = asyncio.create_task(hold.released.wait()), asyncio.create_task(reader.read())
    done, waiting = await asyncio.wait([released, gone], return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if gone in done:
        hold.hung_up.set()
        raise ConnectionError("the client hung up")


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
