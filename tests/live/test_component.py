"""The React component of the examples against the real server: its types, and Vitest."""

import os
import subprocess
from pathlib import Path

import jwt
import pytest

from tests import npm
from tests.live.server import ROOT, running_server

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

EXAMPLES = ROOT / "examples"
SECRET = "a secret that is long enough for HS256"


def token(account: str, expires_at: int = 4_000_000_000) -> str:
    """Return an access token as the server signs them."""
    return jwt.encode({"iss": "voztaxi", "aud": "voztaxi", "sub": account, "exp": expires_at}, SECRET)


def run(node: str, package: str, program: str, *arguments: str, **env: str) -> None:
    """Run what an npm package brings; fail with what it printed."""
    command = [node, EXAMPLES / "node_modules" / package / program, *arguments]
    given = {**os.environ, "NO_COLOR": "1", **env}
    ran = subprocess.run(command, cwd=EXAMPLES, env=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the packages of the examples installed."""
    return npm.install(EXAMPLES)


def test_the_component_keeps_to_strict_types(node: str) -> None:
    run(node, "typescript", "bin/tsc", "--noEmit")


def test_a_rider_books_a_taxi_in_the_component_whatever_happens_to_the_line(node: str, tmp_path: Path) -> None:
    slow = {"JWT_SECRET": SECRET, "OFFLINE_WORD_DELAY_MS": "40"}
    strict = {
        "JWT_SECRET": SECRET,
        "OFFLINE_WORD_DELAY_MS": "150",
        "STREAM_TIMEOUT_SECONDS": "1",
        "RATE_LIMIT_TURNS": "1/10second",
        "RATE_LIMIT_EXEMPT": "none",
    }
    with running_server(tmp_path / "slow", **slow) as one, running_server(tmp_path / "strict", **strict) as other:
        run(
            *(node, "vitest", "vitest.mjs", "run"),
            VOZTAXI_SLOW_URL=one.url,
            VOZTAXI_STRICT_URL=other.url,
            VOZTAXI_TOKEN=token("ana"),
            VOZTAXI_OTHER_TOKEN=token("luis"),
            VOZTAXI_OLD_TOKEN=token("ana", expires_at=1_000_000_000),
        )
