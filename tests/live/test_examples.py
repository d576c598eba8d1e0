"""The pages of examples in a real browser: what they promise, on lines that break and with hostile answers."""

import asyncio
import io
import os
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, expect
from pypdf import PdfReader

from tests.live.browser import chromium
from tests.live.openai_server import Answer, Hold, ScriptedModel
from tests.live.server import ROOT, Server, add_users, running_server

pytestmark = pytest.mark.live

CHAT, STREAM = "examples/chat_realtime_demo.html", "examples/stream_client.html"
SESSIONS = "/api/chat/realtime/sessions"
WIDE = {"viewport": {"width": 1280, "height": 800}}
SLOW = {"OFFLINE_WORD_DELAY_MS": "120"}
SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for screenshots to look at."""
BLINKS = "(n => n !== null && getComputedStyle(n).animationName === 'blink')(document.querySelector('.cursor'))"
LONG = "\n\n".join(f"Párrafo {number}: el taxi llega cuando llega, y ni un minuto antes." for number in range(40))
HOSTILE = """# Título <b>no</b>

<img src=x onerror="document.title='hacked'"> <script>document.title='hacked'</script>

[malo](javascript:document.title='hacked') [peor](data:text/html,<script>alert(1)</script>)
[bueno](https://example.com/a?b=1&c=2) [correo](mailto:ana@example.com) [otro](JaVaScRiPt:alert(1))

**fuerte** y *énfasis* con `código <i>`

| a | <img src=x onerror=alert(1)> |
|---|---|
| 1 | [x](javascript:alert(2)) |

```html
<script>document.title='hacked'</script>
```

- uno
  - dentro
- dos
"""


# Pages.


@asynccontextmanager
async def opened(
    browser: Browser, url: str, *, refused: tuple[int, ...] = (), failing: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[Page]:
    """Open a page in a browser profile of its own, and fail on anything that it complains of.

    Args:
        browser: The browser.
        url: The page's address.
        refused: Statuses that the test provokes; the browser writes a line about each.
        failing: What else it will complain of, a part of each line.
        options: Of the profile.
    """
    complaints: list[str] = []
    expected = ("ERR_INTERNET_DISCONNECTED", *(f"status of {status}" for status in refused), *failing)

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in expected):
            complaints.append(message.text)

    context = await browser.new_context(**{**WIDE, **options})
    page = await context.new_page()
    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(url)
    yield page
    await context.close()
    assert complaints == []


@asynccontextmanager
async def at_work(folder: Path, *names: str, **settings: str) -> AsyncIterator[tuple[Server, Browser]]:
    """Start a server with accounts, and a browser."""
    with running_server(folder, **settings) as server:
        await anyio.to_thread.run_sync(add_users, server, *(names or ("ana",)))
        async with chromium() as browser:
            yield server, browser


async def log_in(page: Page, name: str = "ana") -> None:
    await page.get_by_test_id("login-name").fill(name)
    await page.get_by_test_id("login-password").fill(f"{name}'s password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("logout")).to_be_visible()


def said(page: Page, role: str, status: str = "done") -> Locator:
    return page.locator(f"[data-testid=message][data-role={role}][data-status={status}]")


async def send(page: Page, text: str) -> None:
    await page.get_by_test_id("input").fill(text)
    await page.get_by_test_id("input").press("Enter")


async def settled(page: Page) -> None:
    """Wait until no answer is under way and what is shown is what was saved."""
    await expect(page.get_by_test_id("stop")).to_be_hidden()
    await expect(page.locator("[data-testid=message][data-last]:not([data-id=''])")).to_have_count(1)


async def say(page: Page, text: str) -> None:
    before = await said(page, "user").count()
    await send(page, text)
    await expect(said(page, "user")).to_have_count(before + 1)
    await settled(page)


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=f"{SHOTS}/{name}.png")


class Account:
    """What the server says to an account, without the page."""

    def __init__(self, server: Server, name: str = "ana") -> None:
        credentials = {"username": name, "password": f"{name}'s password"}
        token = httpx.post(f"{server.url}/auth/login", json=credentials).json()["access_token"]
        self.token = token
        self._url = server.url

    def get(self, path: str) -> Any:
        """Return a JSON answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(self._url + path, headers=headers, timeout=30).raise_for_status().json()

    def lines(self) -> list[tuple[str, str]]:
        """Return what was said in the session that was used last."""
        newest = self.get(SESSIONS)["sessions"][0]["id"]
        return [(each["role"], each["content"]) for each in self.get(f"{SESSIONS}/{newest}/messages")["messages"]]


# What is served.


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("plain") / "s", AUTH_REQUIRED="true") as server:
        yield server


def test_every_page_of_the_folder_is_listed_and_served_and_nothing_else_is(plain: Server) -> None:
    index = httpx.get(f"{plain.url}/examples", follow_redirects=True)
    links = set(re.findall(r'href="([\w.]+\.html)"', index.text))

    assert index.status_code == 200
    assert links == {path.name for path in (ROOT / "examples").glob("*.html")} - {"index.html"}
    for name in ("", *links):
        page = httpx.get(f"{plain.url}/examples/{name}")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert not re.search(r'(src|href)="(https?:)?//', page.text)
    for name in ("StreamChatComponent.tsx", "streamChat.ts"):
        source = httpx.get(f"{plain.url}/examples/{name}")
        assert source.headers["content-type"] == "text/plain; charset=utf-8"
        assert source.text == (ROOT / "examples" / name).read_text(encoding="utf-8")
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    served = {f"examples/{name}" for name in (*links, "index.html", "StreamChatComponent.tsx", "streamChat.ts")}
    assert served == {each for each in packed["targets"]["wheel"]["force-include"] if each.startswith("examples/")}
    for name in ("nothing.html", "package.json", "..%2fpyproject.toml", "%2e%2e/pyproject.toml", "..%5cREADME.md"):
        assert httpx.get(f"{plain.url}/examples/{name}").status_code == 404


@pytest.mark.parametrize("width", [360, 390, 1280])
async def test_no_page_scrolls_sideways_in_either_theme(tmp_path: Path, width: int) -> None:
    async with at_work(tmp_path / "s") as (server, browser):
        for scheme in ("light", "dark"):
            options = {"viewport": {"width": width, "height": 740}, "color_scheme": scheme}
            for path in ("examples/", CHAT, STREAM):
                async with opened(browser, f"{server.url}/{path}", **options) as page:
                    if path != "examples/":
                        await log_in(page)
                        await send(page, "Hola, necesito un taxi de la Calle 72 #43-25 en El Prado " + "largo" * 40)
                        await expect(page.locator("[data-testid=message][data-role=assistant]").first).to_be_visible()
                    sideways = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
                    await shoot(page, f"{path.strip('/').split('/')[-1]}-{scheme}-{width}")

                    assert sideways <= 0
                    assert ground == ("rgb(244, 244, 241)" if scheme == "light" else "rgb(18, 19, 22)")


@pytest.mark.parametrize("path", [CHAT, STREAM])
async def test_the_theme_is_chosen_and_stays(plain: Server, path: str) -> None:
    async with chromium() as browser, opened(browser, f"{plain.url}/{path}", color_scheme="light") as page:
        for _ in range(2):  # automatic, light, dark
            await page.get_by_test_id("theme-toggle").dispatch_event("click")
        await page.reload()

        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 19, 22)"


# The client of /stream/chat.


async def test_the_stream_comes_complete_however_often_the_line_is_cut(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser):
        async with opened(browser, f"{server.url}/{STREAM}", refused=(401,)) as page:
            await page.get_by_test_id("login-name").fill("ana")
            await page.get_by_test_id("login-password").fill("wrong")
            await page.get_by_test_id("login-enter").click()
            await expect(page.get_by_test_id("login-wrong")).to_contain_text("no son correctos")
            await log_in(page)
            await send(page, "Hola")
            chunks = page.locator("[data-testid=rows] tr[data-event=chunk]")
            for cut in (1, 2):
                before = await chunks.count()
                await expect(chunks.nth(before + 1)).to_be_attached()
                await page.get_by_test_id("cut").click()
                await expect(page.get_by_test_id("reconnections")).to_have_text(str(cut))
            await expect(page.locator("[data-testid=message][data-streaming]")).to_have_count(1)
            await shoot(page, "stream-cut")
            await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "complete")
            await expect(page.get_by_test_id("verdict")).to_have_attribute("data-good", "true")
            await expect(page.locator("[data-testid=message][data-streaming]")).to_have_count(0)
            shown = await page.locator("[data-testid=message][data-role=assistant]").inner_text()
            asked = await page.locator("tr[data-event=cut]").all_inner_texts()
            count = int(await page.get_by_test_id("chunks").inner_text())
            conversation = await page.get_by_test_id("conversation").inner_text()
            first = await page.get_by_test_id("first-byte").inner_text()
        stored = Account(server).get(f"/api/v1/threads/{conversation}")["messages"]

    assert [each["role"] for each in stored] == ["user", "assistant"]
    assert shown == stored[1]["content"]
    assert all(conversation in unquote(each) for each in asked)
    assert count > 4
    assert first.endswith(" ms")


async def test_a_token_does_instead_of_a_login_and_a_conversation_goes_on(tmp_path: Path) -> None:
    async with (
        at_work(tmp_path / "s") as (server, browser),
        opened(browser, f"{server.url}/{STREAM}", refused=(401,)) as page,
    ):
        for token in ("nonsense", Account(server).token):
            await page.get_by_test_id("have-token").click()
            await page.get_by_test_id("token").fill(token)
            await page.get_by_test_id("token-use").click()
            await send(page, "Hola")
            if token == "nonsense":
                await expect(page.locator("[data-role=error]")).to_contain_text("invalid_token")
                await page.get_by_test_id("have-token").click()
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "complete")
        conversation = await page.get_by_test_id("conversation").inner_text()
        await send(page, "Necesito un taxi <img src=x onerror=alert(1)>")
        await expect(page.locator("[data-role=assistant]")).to_have_count(2)
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "complete")

        assert await page.get_by_test_id("conversation").inner_text() == conversation
        assert await page.locator("[data-testid=messages] img").count() == 0


async def test_a_network_that_is_away_is_awaited(tmp_path: Path) -> None:
    async with (
        at_work(tmp_path / "s", **SLOW) as (server, browser),
        opened(browser, f"{server.url}/{STREAM}") as page,
    ):
        await log_in(page)
        await send(page, "Hola")
        await expect(page.locator("tr[data-event=chunk]").nth(1)).to_be_attached()
        await page.context.set_offline(True)
        await expect(page.locator("tr[data-event=cut]").nth(1)).to_be_attached()
        await page.context.set_offline(False)
        await expect(page.get_by_test_id("verdict")).to_have_attribute("data-good", "true")


# The chat.


async def test_a_conversation_is_streamed_kept_and_found_again(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser):
        async with opened(browser, f"{server.url}/{CHAT}", refused=(401,)) as page:
            await page.get_by_test_id("login-name").fill("ana")
            await page.get_by_test_id("login-password").fill("wrong")
            await page.get_by_test_id("login-enter").click()
            await expect(page.get_by_test_id("login-wrong")).to_contain_text("no son correctos")
            await log_in(page)
            await expect(page.get_by_test_id("who")).to_have_text("ana")
            await send(page, "Hola")
            cursor = said(page, "assistant", "streaming").get_by_test_id("cursor")
            await expect(cursor).to_be_visible()
            await page.wait_for_function(BLINKS)
            await settled(page)
            await expect(cursor).to_have_count(0)
            await page.get_by_test_id("new").click()
            await say(page, "Necesito un taxi")
            await expect(page.get_by_test_id("session")).to_have_count(2)
            await page.reload()
            await expect(said(page, "assistant")).to_have_count(1)
            await expect(said(page, "user")).to_contain_text("Necesito un taxi")
            await page.get_by_test_id("session").nth(1).get_by_role("button").first.click()
            await expect(said(page, "user")).to_contain_text("Hola")

            current = page.locator("[data-testid=session][data-current]")
            await current.get_by_test_id("rename").click()
            await page.get_by_test_id("rename-title").fill("Al <b>aeropuerto</b>")
            await page.keyboard.press("Enter")
            await expect(page.get_by_test_id("title")).to_have_text("Al <b>aeropuerto</b>")
            await expect(current).to_contain_text("Al <b>aeropuerto</b>")
            await current.get_by_test_id("delete").click()
            await page.keyboard.press("Escape")
            await expect(page.get_by_test_id("session")).to_have_count(2)
            await current.get_by_test_id("delete").click()
            await page.get_by_test_id("delete-yes").click()
            await expect(page.get_by_test_id("session")).to_have_count(1)
            await page.get_by_test_id("logout").click()
            await expect(page.get_by_test_id("login")).to_be_visible()
            await expect(page.get_by_test_id("message")).to_have_count(0)
            await page.reload()
            await expect(page.get_by_test_id("login")).to_be_visible()
        kept = Account(server).get(SESSIONS)["sessions"]

    assert [each["title"] for each in kept] == ["Necesito un taxi"]


async def test_who_is_logged_in_stays_so_when_the_token_runs_out(tmp_path: Path) -> None:
    async with (
        at_work(tmp_path / "s", ACCESS_TOKEN_SECONDS="1") as (server, browser),
        opened(browser, f"{server.url}/{CHAT}", refused=(401,)) as page,
    ):
        renewals: list[str] = []
        page.on("request", lambda request: renewals.append(request.url) if "/auth/refresh" in request.url else None)
        await log_in(page)
        for number in range(3):
            await say(page, f"Hola {number}")
            await asyncio.sleep(1)  # the life of a token
        await expect(page.get_by_test_id("login")).to_be_hidden()
        httpx.post(f"{server.url}/auth/logout", json={"refresh_token": await refresh_token(page)})
        await asyncio.sleep(1)
        await send(page, "Hola otra vez")
        await expect(page.get_by_test_id("login")).to_be_visible()
        await expect(page.get_by_test_id("message")).to_have_count(0)

    assert len(renewals) >= 2


async def refresh_token(page: Page) -> str:
    token: str = await page.evaluate("sessionStorage.getItem('taxi_refresh')")
    return token


async def test_an_answer_survives_a_lost_network_a_reload_and_looking_elsewhere(tmp_path: Path) -> None:
    # On a busy machine a page takes seconds to load: an answer is to take as long.
    async with at_work(tmp_path / "s", OFFLINE_WORD_DELAY_MS="250") as (server, browser):
        async with opened(browser, f"{server.url}/{CHAT}") as page:
            live = said(page, "assistant", "streaming")
            await log_in(page)
            await send(page, "Hola")
            await expect(live).to_contain_text("Hola")
            await page.context.set_offline(True)
            await expect(page.get_by_test_id("line")).to_contain_text("Reconectando")
            await page.context.set_offline(False)
            await settled(page)
            await send(page, "Necesito un taxi")
            await expect(live).to_contain_text("r")
            await page.reload()
            await expect(live).to_have_count(1)
            await settled(page)
            await send(page, "Calle 72 #43-25")
            await expect(live).to_contain_text("Listo")
            await page.get_by_test_id("new").click()
            await expect(page.get_by_test_id("message")).to_have_count(0)
            await page.get_by_test_id("session").first.get_by_role("button").first.click()
            await settled(page)
            shown = await page.get_by_test_id("message").locator(".body").all_inner_texts()
        stored = Account(server).lines()

    assert [role for role, _ in stored] == ["user", "assistant"] * 3
    assert shown == [text for _, text in stored]


async def test_an_answer_is_stopped_made_again_and_a_question_put_otherwise(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser):
        async with opened(browser, f"{server.url}/{CHAT}") as page:
            await log_in(page)
            await send(page, "Hola")
            await expect(said(page, "assistant", "streaming")).to_contain_text("H")
            await page.keyboard.press("Escape")
            await expect(said(page, "assistant", "partial")).to_have_count(1)
            await expect(page.get_by_test_id("note")).to_have_count(0)
            await settled(page)
            await said(page, "assistant", "partial").get_by_test_id("regenerate").click()
            await expect(said(page, "assistant", "streaming")).to_have_count(1)
            await settled(page)
            whole = await said(page, "assistant").locator(".body").inner_text()
            await say(page, "Necesito un taxi")

            first = said(page, "user").first
            await first.hover()
            await first.get_by_test_id("edit").click()
            await page.get_by_test_id("edit-text").press("Escape")
            await expect(said(page, "user")).to_have_count(2)
            await first.hover()
            await first.get_by_test_id("edit").click()
            await expect(page.get_by_test_id("edit-text")).to_be_focused()
            await page.get_by_test_id("edit-text").fill("Buenas tardes")
            await page.keyboard.press("Enter")
            await expect(said(page, "user")).to_have_count(1)
            await expect(said(page, "user")).to_contain_text("Buenas tardes")
            await settled(page)
        stored = Account(server).lines()

    assert whole.startswith("¡Hola")
    assert [role for role, _ in stored] == ["user", "assistant"]
    assert stored[0][1] == "Buenas tardes"


async def test_a_stranger_reads_what_is_shared_until_the_link_ends_and_nothing_else(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", "ana", "eva") as (server, browser):
        async with opened(browser, f"{server.url}/{CHAT}") as page:
            await log_in(page)
            await say(page, "Hola <script>alert(1)</script>")
            await page.get_by_test_id("share").click()
            await page.get_by_test_id("link-make").click()
            url = await page.get_by_test_id("link-url").input_value()
            await expect(page.get_by_test_id("link-url")).to_have_value(re.compile("/shared/"))
            url = await page.get_by_test_id("link-url").input_value()
            await page.get_by_test_id("link-copy").click()
            await expect(page.get_by_test_id("toast")).to_have_text("Enlace copiado")
            async with opened(browser, url, refused=(404,)) as stranger:
                await expect(stranger.locator("main")).to_contain_text("Hola <script>alert(1)</script>")
                await page.get_by_test_id("link-revoke").click()
                await expect(page.get_by_test_id("share-said")).to_contain_text("apagado")
                await stranger.reload()
                await expect(stranger.locator("body")).not_to_contain_text("Hola")
            own = page.url
        async with opened(browser, own, refused=(404,)) as eva:
            await log_in(eva, "eva")
            await expect(eva.get_by_test_id("toast")).to_contain_text("No existe")
            await expect(eva.get_by_test_id("session")).to_have_count(0)
            await expect(eva.get_by_test_id("message")).to_have_count(0)


async def test_a_conversation_is_taken_home_as_markdown_and_as_pdf(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s") as (server, browser), opened(browser, f"{server.url}/{CHAT}") as page:
        await log_in(page)
        await say(page, "Hola, ¿cómo estás?")
        files: dict[str, tuple[str, bytes]] = {}
        for kind in ("md", "pdf"):
            await page.get_by_test_id("export").locator("summary").click()
            async with page.expect_download() as coming:
                await page.get_by_test_id(f"export-{kind}").click()
            download = await coming.value
            files[kind] = (download.suggested_filename, Path(await download.path()).read_bytes())

    assert {name for name, _ in files.values()} == {"hola-como-estas.md", "hola-como-estas.pdf"}
    assert "¿cómo estás?" in files["md"][1].decode()
    assert files["pdf"][1].startswith(b"%PDF")
    assert "¿cómo estás?" in PdfReader(io.BytesIO(files["pdf"][1])).pages[0].extract_text()


@asynccontextmanager
async def scripted(folder: Path) -> AsyncIterator[tuple[ScriptedModel, Server, Browser]]:
    """Start a server whose model says what the test decides."""
    model = ScriptedModel()
    await model.start()
    asked = {"LLM": "openai", "OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": model.base_url, "LLM_MODEL": "m"}
    try:
        async with at_work(folder, **asked) as (server, browser):
            yield model, server, browser
    finally:
        await model.stop()


async def test_hostile_markdown_is_shown_and_does_nothing(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s") as (model, server, browser):
        model.when("¿Qué dices?", Answer(HOSTILE))
        async with opened(browser, f"{server.url}/{CHAT}") as page:
            fetched: list[str] = []
            await log_in(page)
            page.on("request", lambda request: fetched.append(request.url))
            await say(page, "¿Qué dices?")
            answer = said(page, "assistant").locator(".body")
            links = await answer.locator("a").evaluate_all("all => all.map(a => [a.href, a.rel, a.target])")
            tags = set(await answer.locator("*").evaluate_all("all => all.map(n => n.nodeName)"))
            await shoot(page, "chat-hostile")

            assert await page.title() != "hacked"
            await expect(answer).to_contain_text("<img src=x onerror")
            await expect(answer).to_contain_text("[malo](javascript:document.title='hacked')")
            await expect(answer.locator("pre")).to_have_text("<script>document.title='hacked'</script>")
            await expect(answer.locator("strong")).to_have_text("fuerte")
            await expect(answer.locator("li li")).to_have_text("dentro")
            assert [href for href, _, _ in links] == ["https://example.com/a?b=1&c=2", "mailto:ana@example.com"]
            assert {(rel, target) for _, rel, target in links} == {("noopener noreferrer nofollow", "_blank")}
            assert not tags & {"IMG", "SCRIPT", "B", "I", "IFRAME", "STYLE"}
            assert {"H3", "EM", "TABLE", "TH", "TD", "UL", "CODE"} <= tags
            assert all(url.startswith(server.url) for url in fetched)


async def test_the_end_is_followed_until_the_reader_scrolls_up(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s") as (model, server, browser):
        hold = Hold()
        model.when("Cuéntame", Answer(LONG, hold=hold, finish="stop"))
        model.when("Más", Answer(LONG))
        async with opened(browser, f"{server.url}/{CHAT}") as page:
            box, jump = page.get_by_test_id("scroll"), page.get_by_test_id("jump")
            from_end = "n => n.scrollHeight - n.clientHeight - n.scrollTop"
            await log_in(page)
            await send(page, "Cuéntame")
            await expect(said(page, "assistant", "streaming")).to_contain_text("Párrafo 39")
            assert await box.evaluate(from_end) < 2
            await expect(jump).to_be_hidden()
            await box.hover()
            await page.mouse.wheel(0, -600)
            await expect(jump).to_be_visible()
            hold.released.set()
            await settled(page)
            assert await box.evaluate(from_end) > 300
            await jump.click()
            await expect(jump).to_be_hidden()
            assert await box.evaluate(from_end) < 2
            await say(page, "Más")
            assert await box.evaluate(from_end) < 2


async def test_a_limit_says_when_to_come_back_and_loses_no_word(tmp_path: Path) -> None:
    limits = {"RATE_LIMIT_EXEMPT": "none", "RATE_LIMIT_TURNS": "1/minute"}
    async with (
        at_work(tmp_path / "s", **limits) as (server, browser),
        opened(browser, f"{server.url}/{CHAT}", refused=(429,)) as page,
    ):
        await log_in(page)
        await say(page, "Hola")
        await send(page, "Necesito un taxi")
        await expect(page.get_by_test_id("note")).to_contain_text(re.compile(r"Intenta en \d+ s"))
        await expect(page.get_by_test_id("input")).to_have_value("Necesito un taxi")
        await expect(said(page, "user")).to_have_count(1)
        await shoot(page, "chat-limited")


async def test_a_turn_that_fails_says_so_and_can_be_tried_again(tmp_path: Path) -> None:
    async with scripted(tmp_path / "s") as (model, server, browser):
        broken = Answer(status=400, body={"error": {"message": "no", "type": "invalid_request_error"}})
        model.when("Hola", broken, Answer("Ahora sí."))
        async with opened(browser, f"{server.url}/{CHAT}") as page:
            await log_in(page)
            await send(page, "Hola")
            await expect(page.get_by_test_id("note")).to_be_visible()
            await shoot(page, "chat-failed")
            await page.get_by_test_id("retry").click()
            await settled(page)
            await expect(said(page, "assistant")).to_contain_text("Ahora sí.")
            await expect(page.get_by_test_id("note")).to_have_count(0)


async def test_on_a_telephone_the_conversations_are_in_a_drawer(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s") as (server, browser):
        phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "reduced_motion": "reduce"}
        async with opened(browser, f"{server.url}/{CHAT}", **phone) as page:
            await log_in(page)
            await say(page, "Hola")
            side = page.get_by_test_id("side")
            await expect(side).not_to_be_in_viewport()
            await page.get_by_test_id("menu").click()
            await expect(side).to_be_in_viewport()
            await page.keyboard.press("Escape")
            await expect(side).not_to_be_in_viewport()
            await expect(page.get_by_test_id("menu")).to_be_focused()
            await page.get_by_test_id("menu").click()
            await page.get_by_test_id("new").click()
            await expect(side).not_to_be_in_viewport()
            await expect(page.get_by_test_id("message")).to_have_count(0)
