"""The whole HTTP surface under generated input."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.live.server import running_server

pytestmark = pytest.mark.live

STREAM = "/api/v1/threads/{thread_id}/events"
"""Answers without end; what it refuses is tested below."""


def test_schemathesis_finds_no_server_error_and_no_answer_outside_the_schema(tmp_path: Path) -> None:
    with running_server(tmp_path / "s") as server:
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *("--exclude-path", STREAM, "--max-examples", "40", "--seed", "1", "--no-color"),
                *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
                *("--checks", "response_schema_conformance,unsupported_method"),
                *("--suppress-health-check", "all", "--generation-database", "none"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=110,
        )

    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]


def test_the_event_stream_refuses_what_is_no_position(tmp_path: Path) -> None:
    with running_server(tmp_path / "s", DATABASE_URL="memory://") as server:
        for query in ("after=-1", "after=x", "after=99999999999999999999", f"epoch={'e' * 129}"):
            answer = httpx.get(f"{server.url}/api/v1/threads/t/events?{query}")
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"
        for header in ("-1", "x", "٣", "99999999999999999999"):
            answer = httpx.get(f"{server.url}/api/v1/threads/t/events", headers={"Last-Event-ID": header.encode()})
            assert answer.status_code == 422
