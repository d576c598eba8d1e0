"""Who is measured: our server, and other ways to bring a model's tokens to a client."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from app.bench.servers import ROOT, answers_health, inherited
from app.chaos.services import Service, free_port, run_postgres, run_redis

_FOLDER = ROOT / "benchmarks" / "contenders"
_PYTHON = str(_FOLDER / ".venv" / "bin" / "python")
_SHOWN = ("uvicorn", "aiohttp", "fastapi", "langgraph", "langchain-openai", "openai", "pipecat-ai", "openai-agents")
"""Whose versions are told."""
_MEMORY = "memory://"


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
    has_services: bool = False
    """Whether it stands on Postgres and Redis."""
    has_packages: bool = False
    """Whether it needs packages that the product has not: it runs with a Python of its own."""

    @property
    def is_ours(self) -> bool:
        """Whether it is this server."""
        return not self.program

    @property
    def has_log(self) -> bool:
        """Whether it logs events where another process can open the log."""
        return self.is_ours and self.env.get("DATABASE_URL") != _MEMORY

    def message(self, text: str) -> str:
        """Return what a client sends to say something."""
        return json.dumps({**self.say, "text": text})


_OURS = {
    "LLM": "openai",
    "LLM_MODEL": "steady",
    "RATE_LIMIT_TURNS": "0",
    "RATE_LIMIT_REQUESTS": "0",
    "MAX_ACTIVE_TURNS": "5000",
    "LOG_LEVEL": "WARNING",
    "LOG_FILE": "",
}


def _ours(name: str, what: str, *, has_services: bool = False, **env: str) -> Contender:
    return Contender(
        name,
        what,
        env={**_OURS, **env},
        path="/api/v1/ws/chat",
        say={"type": "user_input", "thread_id": "$THREAD"},
        end='"type":"turn_end"',
        has_services=has_services,
    )


CONTENDERS = (
    Contender("floor", "uvicorn, frames made beforehand", "floor.py", has_model=False),
    Contender("proxy", "aiohttp to the socket, no framework", "proxy.py"),
    Contender("tutorial", "FastAPI + LangGraph + langchain-openai", "tutorial.py", has_packages=True),
    Contender("pipecat", "pipecat, text in and out", "pipecat_text.py", has_packages=True),
    Contender("openai-agents", "openai-agents behind FastAPI", "openai_agents.py", has_packages=True),
    _ours("voztaxi (memory)", f"this server, DATABASE_URL={_MEMORY}", DATABASE_URL=_MEMORY),
    _ours("voztaxi", "this server as it comes, on SQLite"),
    _ours("voztaxi (services)", "this server on Postgres and Redis", has_services=True, AUTO_MIGRATE="true"),
)


def versions() -> dict[str, str]:
    """Install what others need, and return which versions of it they run with."""
    subprocess.run([ROOT / "scripts" / "contenders"], check=True)  # noqa: S603 - ours
    asked = f"import importlib.metadata as found; print(*map(found.version, {_SHOWN!r}))"
    done = subprocess.run([_PYTHON, "-c", asked], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return dict(zip(_SHOWN, done.stdout.split(), strict=True))


class Server(Service):
    """A contender that runs.

    Args:
        command: What starts it.
        folder: Where it runs; empty at first.
        port: Where it listens.
        env: Its whole environment.
    """

    start_seconds = 240.0  # a start under valgrind takes minutes

    def __init__(self, command: Sequence[str], *, folder: Path, port: int, env: Mapping[str, str]) -> None:
        self.port = port
        self.env = dict(env)
        url = f"http://127.0.0.1:{port}"
        super().__init__(command, folder=folder, url=url, ask=lambda: answers_health(url), env=self.env)

    def fill_log(self, first: int, events: int) -> None:
        """Stop it, log events of conversations in its place, and start it again.

        Args:
            first: Number of the first conversation.
            events: How many.

        Raises:
            subprocess.CalledProcessError: They could not be logged.
        """
        self.stop()
        command = [sys.executable, "-m", "app.bench.overhead.fill", str(first), str(events)]
        with (self.folder / "log.txt").open("ab") as log:
            subprocess.run(command, check=True, cwd=self.folder, env=self.env, stdout=log, stderr=log)  # noqa: S603 - ours
        self.start()


@contextmanager
def running(contender: Contender, model: str, *, under: Sequence[str] = (), **env: str) -> Iterator[Server]:
    """Start a contender in an empty folder, and stop it.

    Args:
        contender: Who.
        model: Address of the model.
        under: A command that runs it, such as a counter of instructions.
        env: More settings.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="voztaxi-bench-")))
        port = free_port()
        settings = {"OPENAI_BASE_URL": f"{model}/v1", "OPENAI_API_KEY": "none", "MODEL": "steady", "HOST": "127.0.0.1"}
        if contender.has_services:
            settings["DATABASE_URL"] = stack.enter_context(run_postgres()).url
            settings["REDIS_URL"] = stack.enter_context(run_redis()).url
        command = [sys.executable, "-m", "app.cli", "serve"]
        if not contender.is_ours:
            python = _PYTHON if contender.has_packages else sys.executable
            command = [python, str(_FOLDER / contender.program), str(port)]
        given = {**inherited(), **settings, "PORT": str(port), **contender.env, **env}
        server = Server([*under, *command], folder=folder, port=port, env=given)
        stack.callback(server.stop)
        server.start()
        yield server
