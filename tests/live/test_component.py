"""The React component of the examples against the real server: its types, Vitest, and a real browser."""

import asyncio
import functools
import http.server
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import jwt
import pytest
from playwright.async_api import expect

from app.chaos.services import free_port
from tests import npm
from tests.live.browser import chromium
from tests.live.server import ROOT, running_server

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

EXAMPLES = ROOT / "examples"
SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for a screenshot to look at."""
LINES = ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")
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


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None: ...


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, as another origin than the server's; yield its address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        thread = threading.Thread(target=files.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{files.server_port}"
        finally:
            files.shutdown()
            thread.join()


class Line:
    """What a browser has between itself and a server, and what can be cut."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._ends: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection; new ones are let through."""
        for end in self._ends:
            end.transport.abort()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        """Listen, until the block is left."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            self.cut()

    async def _connect(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._ends |= {to_client, to_server}
        await asyncio.gather(self._pass(from_client, to_server), self._pass(from_server, to_client))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()
        self._ends.discard(sink)


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


async def test_a_page_of_another_origin_shows_a_booking_though_its_line_is_cut(node: str, tmp_path: Path) -> None:
    build = ("build", "tests/page", "--mode", "development", "--outDir", str(tmp_path / "page"))
    run(node, "vite", "bin/vite.js", *build, NODE_ENV="development")
    complaints: list[str] = []
    settings = {"JWT_SECRET": SECRET, "OFFLINE_WORD_DELAY_MS": "100"}
    with running_server(tmp_path / "server", **settings) as server, served(tmp_path / "page") as origin:
        line = Line(server.port)
        async with line.laid(), chromium() as browser:
            page = await browser.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(f"{origin}/#api=http://127.0.0.1:{line.port}&token={token('ana')}&conversation=page")
            answers = page.locator("li[data-role=assistant]")
            for number, text in enumerate(LINES):
                await page.get_by_label("Mensaje").fill(text)
                await page.keyboard.press("Enter")
                answer = answers.nth(number)
                if text == "Hola":
                    await expect(answer).to_contain_text("¡Hola")
                    line.cut()
                    await expect(page.get_by_role("status")).to_contain_text("Reconectando")
                    await expect(answer).to_have_attribute("data-state", "streaming")
                await expect(answer).to_have_attribute("data-state", "done", timeout=20_000)
            await expect(page.get_by_role("button", name="Enviar")).to_be_disabled()
            shown = await page.locator("li p").all_text_contents()
            if SHOTS:
                await page.screenshot(path=f"{SHOTS}/component.png")
        headers = {"Authorization": f"Bearer {token('ana')}"}
        saved = httpx.get(f"{server.url}/api/chat/realtime/sessions/page/messages", headers=headers).json()

    assert complaints == []
    assert "Tu taxi va en camino" in shown[-1]
    assert shown == [message["content"] for message in saved["messages"]]
