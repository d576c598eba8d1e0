"""Who is measured: our server, and other ways to bring a model's tokens to a client."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from app.bench.servers import ROOT, answers_health, inherited
from app.chaos.services import Service, free_port


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that is measured."""

    name: str
    what: str
    """What it is, for the table."""
    program: str = ""
    """Its file in ``benchmarks/contenders``; empty for our server."""
    env: Mapping[str, str] = field(default_factory=dict)
    path: str = "/ws"
    say: Mapping[str, str] = field(default_factory=lambda: {"thread_id": "$THREAD"})
    end: str = '"type":"end"'
    has_model: bool = True
    """Whether it asks the model at all."""

    def message(self, text: str) -> str:
        """Return what a client sends to say something."""
        return json.dumps({**self.say, "text": text})


_OURS = {
    "LLM": "openai",
    "LLM_MODEL": "steady",
    "RATE_LIMIT_TURNS": "0",
    "RATE_LIMIT_REQUESTS": "0",
    "LOG_LEVEL": "WARNING",
    "LOG_FILE": "",
}
_SOCKET = "/api/v1/ws/chat"
_INPUT = {"type": "user_input", "thread_id": "$THREAD"}
_TURN_END = '"type":"turn_end"'

CONTENDERS = (
    Contender("floor", "uvicorn, frames made beforehand", "floor.py", has_model=False),
    Contender("proxy", "aiohttp to the socket, no framework", "proxy.py"),
    Contender("tutorial", "FastAPI + LangGraph + langchain-openai", "tutorial.py"),
    Contender("pipecat", "pipecat, text in and out", "pipecat_text.py"),
    Contender("openai-agents", "openai-agents behind FastAPI", "openai_agents.py"),
    Contender(
        "voztaxi (memory)",
        "this server, DATABASE_URL=memory://",
        env={**_OURS, "DATABASE_URL": "memory://"},
        path=_SOCKET,
        say=_INPUT,
        end=_TURN_END,
    ),
    Contender("voztaxi", "this server as it comes, on SQLite", env=_OURS, path=_SOCKET, say=_INPUT, end=_TURN_END),
)


@contextmanager
def running(contender: Contender, model: str, **env: str) -> Iterator[Service]:
    """Start a contender in an empty folder, and stop it.

    Args:
        contender: Who.
        model: Address of the model.
        env: More settings.
    """
    with TemporaryDirectory(prefix="voztaxi-bench-") as name:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {"OPENAI_BASE_URL": f"{model}/v1", "OPENAI_API_KEY": "none", "MODEL": "steady", "HOST": "127.0.0.1"}
        program = [str(ROOT / "benchmarks" / "contenders" / contender.program), str(port)]
        command = [sys.executable, *(program if contender.program else ["-m", "app.cli", "serve"])]
        given = {**inherited(), **settings, "PORT": str(port), **contender.env, **env}
        folder = Path(name)
        service = Service(command, folder=folder, url=url, ask=lambda: answers_health(url), env=given)
        try:
            service.start()
            yield service
        finally:
            service.stop()


def port_of(service: Service) -> int:
    """Return where a server listens."""
    return httpx.URL(service.url).port or 80
