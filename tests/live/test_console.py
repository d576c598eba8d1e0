"""The console in a real browser: clicking, typing, going offline in the middle of an answer."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from playwright.async_api import ConsoleMessage, Page, expect

from tests.live.browser import chromium
from tests.live.server import ROOT, Server, add_users, rider, running_server

pytestmark = pytest.mark.live

SHOTS = os.environ.get("CONSOLE_SHOTS")
"""A folder for screenshots to look at."""


@asynccontextmanager
async def console(server: Server, *, state: str = "connected", **options: Any) -> AsyncIterator[Page]:
    """Open the console and fail on anything it complains of."""
    complaints: list[str] = []
    expected = ("ERR_INTERNET_DISCONNECTED", "status of 401")  # the browser's own lines

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(each in message.text for each in expected):
            complaints.append(message.text)

    async with chromium() as browser:
        context = await browser.new_context(**options)
        page = await context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(server.url)
        await expect(page.get_by_test_id("status")).to_have_attribute("data-state", state)
        yield page
    assert complaints == []


async def say(page: Page, text: str) -> None:
    """Type a message, send it, and wait until the answer has ended."""
    answers = page.locator("[data-testid=message][data-role=assistant][data-status=done]")
    before = await answers.count()
    await page.get_by_test_id("input").fill(text)
    await page.get_by_test_id("send").click()
    await expect(answers).not_to_have_count(before)
    await expect(page.locator("[data-testid=message][data-status=streaming]")).to_have_count(0)


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=f"{SHOTS}/{name}.png")


def thread_of(server: Server, thread_id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/api/v1/threads/{thread_id}").json()
    return found


async def test_a_taxi_is_booked_by_clicking_and_typing(tmp_path: Path) -> None:
    with running_server(tmp_path / "s") as server:
        async with console(server, viewport={"width": 1440, "height": 900}) as page:
            for line in ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No"):
                await say(page, line)
            await say(page, "Sí, confirmo")
            card = page.get_by_test_id("booking-card")
            await expect(card).to_have_attribute("data-status", "accepted")
            await expect(card).to_contain_text("Calle 72 #43-25")
            await expect(card).to_contain_text("El Prado")
            booking_id = await card.get_attribute("data-booking-id")
            await shoot(page, "booked-light")
            await page.emulate_media(color_scheme="dark")
            await shoot(page, "booked-dark")
            await page.set_viewport_size({"width": 390, "height": 844})
            await shoot(page, "booked-phone")
            await page.reload()
            await expect(page.get_by_test_id("booking-card")).to_have_attribute("data-status", "accepted")
            await expect(page.locator("[data-testid=message][data-role=user]")).to_have_count(7)
        stored = httpx.get(f"{server.url}/api/v1/bookings/{booking_id}").json()

    assert stored["pickup"]["address"] == "Calle 72 #43-25"


async def test_offline_in_the_middle_of_an_answer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path / "s", OFFLINE_WORD_DELAY_MS="120") as server:
        async with console(server) as page:
            await say(page, "Hola")
            await page.get_by_test_id("input").fill("Necesito un taxi")
            await page.get_by_test_id("send").click()
            await expect(
                page.locator("[data-testid=message][data-role=assistant][data-status=streaming]")
            ).to_have_count(1)
            await page.context.set_offline(True)
            await expect(page.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
            await page.get_by_test_id("input").fill("Calle 72 #43-25")
            await page.get_by_test_id("send").click()
            await expect(page.locator("[data-testid=message][data-status=pending]")).to_have_count(1)
            await page.context.set_offline(False)
            await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
            await expect(page.locator("[data-testid=message][data-role=assistant]").last).to_contain_text("barrio")
            await expect(page.locator("[data-testid=message][data-status=streaming]")).to_have_count(0)
            await expect(page.locator("[data-testid=event-row][data-type=turn_end]")).to_have_count(3)
            state = await page.evaluate("window.voztaxi.state()")
            shown = await page.locator("[data-testid=message][data-role=assistant]").all_inner_texts()
            typed = await page.locator("[data-testid=message][data-role=user]").all_inner_texts()
        stored = thread_of(server, state["threadId"])

    said = [m["content"].strip() for m in stored["messages"] if m["role"] == "assistant" and m["content"]]
    heard = [m["content"] for m in stored["messages"] if m["role"] == "user"]
    assert heard == ["Hola", "Necesito un taxi", "Calle 72 #43-25"]
    assert len(typed) == len(heard)
    assert len(shown) == len(said)
    for bubble, line in zip(shown, said, strict=True):
        assert line in bubble
    assert state["lastSeq"] == stored["last_seq"]


async def test_a_server_restart_in_the_middle_of_a_conversation_goes_unnoticed(tmp_path: Path) -> None:
    with running_server(tmp_path / "s") as server, running_server(tmp_path / "other"):
        async with chromium() as browser:
            page = await (await browser.new_context()).new_page()
            await page.goto(server.url)
            await say(page, "taxi en la Calle 72 #43-25 en El Prado, en efectivo, voy con perro")
            server.stop()
            await expect(page.get_by_test_id("status")).not_to_have_attribute("data-state", "connected")
            server.start()
            await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected", timeout=30_000)
            await say(page, "sí")

            await expect(page.get_by_test_id("booking-card")).to_have_attribute("data-status", "accepted")
            await expect(page.locator("[data-testid=message][data-role=user]")).to_have_count(2)


DIES = """
getsAway => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (frame) {
    const isLast = !window.hasDied && frame.includes('Sí, confirmo');
    if (!isLast || getsAway) send.call(this, frame);
    if (isLast) { window.hasDied = true; this.close(); }
  };
}
"""
"""The socket closes as the confirmation is sent; the frame gets away before it, or does not."""


@pytest.mark.parametrize("gets_away", [True, False])
async def test_a_message_whose_socket_died_as_it_was_sent_is_booked_once(tmp_path: Path, gets_away: bool) -> None:
    lines = ("Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo")
    with running_server(tmp_path / "s", OFFLINE_WORD_DELAY_MS="20") as server:
        async with console(server) as page:
            await page.evaluate(DIES, gets_away)
            for line in lines:
                await say(page, line)
            await expect(page.get_by_test_id("booking-card")).to_have_attribute("data-status", "accepted")
            await expect(page.locator("[data-testid=message][data-role=user]")).to_have_count(len(lines))
            await expect(page.locator("[data-testid=message][data-status=pending]")).to_have_count(0)
            assert await page.evaluate("window.hasDied")
            await expect(page.get_by_test_id("toast")).to_have_count(0)
            state = await page.evaluate("window.voztaxi.state()")
        stored = thread_of(server, state["threadId"])
        bookings = httpx.get(f"{server.url}/api/v1/bookings", params={"thread_id": state["threadId"]}).json()[
            "bookings"
        ]

    assert [m["content"] for m in stored["messages"] if m["role"] == "user"] == list(lines)
    assert len(bookings) == 1


async def test_a_server_that_has_too_much_to_do_is_asked_again(tmp_path: Path) -> None:
    with running_server(
        tmp_path / "s", OFFLINE_WORD_DELAY_MS="20", MAX_CONNECTIONS="2", MAX_ACTIVE_TURNS="1"
    ) as server:
        async with chromium() as browser, rider(server.ws) as busy:
            page = await (await browser.new_context()).new_page()
            status = page.get_by_test_id("status")
            async with rider(server.ws):
                await page.goto(server.url)
                await expect(status).to_have_attribute("data-state", "reconnecting")
            await expect(status).to_have_attribute("data-state", "connected")
            await busy.send(type="user_input", text="Hola")
            await busy.until("agent_chunk")
            await busy.send(type="pause")
            await page.get_by_test_id("input").fill("Hola")
            await page.get_by_test_id("send").click()
            await expect(status).to_have_attribute("data-state", "reconnecting")
            await expect(page.locator("[data-testid=message][data-status=pending]")).to_have_count(1)
            await busy.send(type="cancel")
            await busy.until("turn_end")
            answer = page.locator("[data-testid=message][data-role=assistant][data-status=done]")
            await expect(answer).to_have_count(1, timeout=20_000)
            await expect(page.locator("[data-testid=message][data-role=user]")).to_have_count(1)
            state = await page.evaluate("window.voztaxi.state()")
        stored = thread_of(server, state["threadId"])

    assert [m["content"] for m in stored["messages"] if m["role"] == "user"] == ["Hola"]


async def test_stop_interrupts_and_what_was_typed_is_never_html(tmp_path: Path) -> None:
    with running_server(tmp_path / "s", OFFLINE_WORD_DELAY_MS="150") as server:
        async with console(server) as page:
            await page.get_by_test_id("input").fill("Hola <img src=x onerror=document.title='hacked'>")
            await page.get_by_test_id("send").click()
            await page.get_by_test_id("stop").click()
            interrupted = page.locator("[data-testid=message][data-role=assistant][data-status=interrupted]")
            await expect(interrupted).to_have_count(1)
            await expect(page.locator("[data-testid=message][data-role=user]").first).to_contain_text("<img src=x")

            assert await page.title() != "hacked"
            assert await page.locator("[data-testid=messages] img").count() == 0


async def test_it_works_opened_as_a_file_and_speaks_english(tmp_path: Path) -> None:
    with running_server(tmp_path / "s") as server:
        async with chromium() as browser:
            page = await (await browser.new_context()).new_page()
            await page.goto((ROOT / "test_websocket_client.html").as_uri())
            await page.get_by_test_id("lang-toggle").click()
            await expect(page.locator("html")).to_have_attribute("lang", "en")
            await page.locator("#server summary").click()
            await page.get_by_test_id("server-url").fill(f"ws://127.0.0.1:{server.port}")
            await page.get_by_test_id("server-url").press("Enter")
            await expect(page.get_by_test_id("status")).not_to_have_attribute("data-state", "connecting")
            if await page.get_by_test_id("connect").is_visible():
                await page.get_by_test_id("connect").click()
            await expect(page.get_by_test_id("status")).to_have_attribute("data-state", "connected")
            await say(page, "Hola")


async def test_who_must_log_in_is_asked_stays_in_and_goes_out_again(tmp_path: Path) -> None:
    with running_server(tmp_path / "s", AUTH_REQUIRED="true", ACCESS_TOKEN_SECONDS="6") as server:
        await anyio.to_thread.run_sync(add_users, server, "ana")
        async with console(server, state="disconnected", viewport={"width": 1440, "height": 900}) as page:
            status, login = page.get_by_test_id("status"), page.get_by_test_id("login")
            await expect(login).to_be_visible()
            await shoot(page, "login-light")
            await page.emulate_media(color_scheme="dark")
            await shoot(page, "login-dark")
            await page.set_viewport_size({"width": 390, "height": 844})
            await shoot(page, "login-phone")
            await page.set_viewport_size({"width": 1440, "height": 900})
            await page.get_by_test_id("login-name").fill("ana")
            await page.get_by_test_id("login-password").fill("wrong")
            await page.get_by_test_id("login-enter").click()
            await expect(page.get_by_test_id("login-wrong")).to_contain_text("no son correctos")
            await page.get_by_test_id("login-password").fill("ana's password")
            await page.keyboard.press("Enter")
            await expect(login).to_be_hidden()
            await expect(status).to_have_attribute("data-state", "connected")
            await say(page, "Hola")
            renewed = page.locator("[data-testid=events] .row", has_text="auth")
            await expect(renewed.first).to_be_visible()  # before the token runs out, without being asked
            assert "eyJ" not in await page.get_by_test_id("events").inner_text()
            await page.reload()
            await expect(status).to_have_attribute("data-state", "connected")
            await expect(page.locator("[data-testid=message][data-role=assistant]")).to_have_count(1)
            await page.get_by_test_id("logout").click()
            await expect(login).to_be_visible()
            await expect(page.locator("[data-testid=message]")).to_have_count(0)
            await page.reload()
            await expect(login).to_be_visible()
