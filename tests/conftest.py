"""What every test may use, and what none may do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

from app.chaos.services import Postgres, Redis, run_postgres, run_redis
from app.core.logging import configure_logging

settings.register_profile("unhurried", deadline=None)  # how fast something is says little on a busy machine
settings.load_profile("unhurried")

CATEGORIES = {"unit", "contract", "integration", "live", "vendor"}

VENDOR_SETTINGS = {
    name: os.environ.pop(name, None)
    for name in (
        "ASSEMBLYAI_API_KEY",
        "DEEPGRAM_API_KEY",
        "CARTESIA_API_KEY",
        "CARTESIA_VOICE",
        "ELEVENLABS_API_KEY",
        "ELEVENLABS_VOICE",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    )
}
"""What the tests of real vendors are run with, and no other test knows."""

os.environ["ANYIO_BACKEND"] = "asyncio"
for name in (
    "LLM",
    "DATABASE_URL",
    "REDIS_URL",
    "LANGSMITH_TRACING",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PROMETHEUS_MULTIPROC_DIR",
):
    os.environ.pop(name, None)


_ONCE_AT_START = ("os.path.abspath", "os.stat", "io.BufferedReader.read", "io.TextIOWrapper.read")
"""What opening a database or reading packaged data does once, before anybody is served."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every module says which kind of test it holds."""
    for item in items:
        if len(CATEGORIES & {marker.name for marker in item.iter_markers()}) != 1:
            raise pytest.UsageError(f"{item.nodeid} needs exactly one of the markers {sorted(CATEGORIES)}")


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    """Logs are shown where a test fails, in plain words."""
    configure_logging(level="WARNING", style="console", file=None, personal=True)


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test in this process fails where the event loop is blocked; live tests drive other processes."""
    if request.node.get_closest_marker("live"):
        yield
        return
    # The services that tests start are started by the tests, however they are reached.
    blockbuster = BlockBuster(scanned_modules="app", excluded_modules=["app.chaos.services"])
    blockbuster.activate()
    for name in _ONCE_AT_START:
        blockbuster.functions[name].deactivate()
    for function in blockbuster.functions.values():
        function.can_block_in("migrations/__init__.py", "upgrade")  # before anybody is served
    try:
        yield
    finally:
        blockbuster.deactivate()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a developer's .env or leaves a database behind."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with ``whisper-base/``, ``kokoro/`` and ``smart-turn.onnx``."""
    from tests.voices import weights_folder  # takes its time, and few tests need it

    return weights_folder()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for all tests; who pauses or stops one runs their own."""
    with run_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The address of an empty PostgreSQL database of the test's own, for SQLAlchemy and asyncpg."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One Redis server for all tests; who pauses or stops one runs their own."""
    with run_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The address of a Redis without any keys."""
    redis_server.clear()
    return redis_server.url
