"""The audit of what is pinned tells a clean answer, a finding and silence apart."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.chaos.services import free_port
from tests.live.server import ROOT

pytestmark = pytest.mark.live

FOUND = "GHSA-0000-0000-0000"


@contextmanager
def osv(*, vulnerable: str | None, status: int = 200) -> Iterator[str]:
    """A vulnerability service in which one package has a vulnerability; yields its address."""

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["queries"]
            found = {"vulns": [{"id": FOUND, "modified": "2026-01-01T00:00:00Z"}]}
            self.answer({"results": [found if each["package"]["name"] == vulnerable else {} for each in asked]})

        def do_GET(self) -> None:
            self.answer(
                {"id": FOUND, "modified": "2026-01-01T00:00:00Z", "summary": "Somebody gets in.", "affected": []}
            )

        def answer(self, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "audit"], env={**os.environ, "OSV_URL": url}, capture_output=True, text=True, timeout=100
    )


def test_what_has_no_known_vulnerability_passes() -> None:
    with osv(vulnerable=None) as url:
        done = audit(url)

    assert done.returncode == 0, done.stdout
    assert "NOT AUDITED" not in done.stderr


def test_a_vulnerability_fails_and_is_named() -> None:
    with osv(vulnerable="fastapi") as url:
        done = audit(url)

    assert done.returncode != 0
    assert FOUND in done.stdout


def test_where_nobody_answers_that_is_said_and_nothing_fails() -> None:
    done = audit(f"http://127.0.0.1:{free_port()}/")

    assert done.returncode == 0, done.stdout
    assert "NOT AUDITED" in done.stderr


def test_a_service_that_is_broken_is_as_good_as_none() -> None:
    with osv(vulnerable=None, status=503) as url:
        done = audit(url)

    assert done.returncode == 0, done.stdout
    assert "NOT AUDITED" in done.stderr


def test_every_vulnerability_that_is_let_through_has_its_reason() -> None:
    lines = (ROOT / "scripts" / "audit-ignored.txt").read_text().splitlines()

    assert all(len(line.split()) >= 3 for line in lines if not line.startswith("#"))
