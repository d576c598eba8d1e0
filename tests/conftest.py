"""What every test may use, and what none may do."""

import os
from pathlib import Path

import pytest

from app.core.logging import configure_logging

CATEGORIES = {"unit", "contract", "integration", "live"}

os.environ["ANYIO_BACKEND"] = "asyncio"
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LLM", "DATABASE_URL", "LANGSMITH_TRACING"):
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every module says which kind of test it holds."""
    for item in items:
        if len(CATEGORIES & {marker.name for marker in item.iter_markers()}) != 1:
            raise pytest.UsageError(f"{item.nodeid} needs exactly one of the markers {sorted(CATEGORIES)}")


@pytest.fixture(autouse=True, scope="session")
def _quiet_logs() -> None:
    """Logs are shown where a test fails, in plain words."""
    configure_logging(level="WARNING", style="console", file=None, personal=True)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a developer's .env or leaves a database behind."""
    monkeypatch.chdir(tmp_path)
