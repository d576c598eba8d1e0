"""The page of explanations in a real browser: nothing is lost or doubled, whatever happens to the line."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, expect

from app.models.explanations import Explanation
from tests.live.openai_server import Answer, Json, ScriptedModel, problems_of
from tests.live.server import Server
from tests.live.test_examples import at_work, log_in, opened, shoot

pytestmark = pytest.mark.live

PAGE = "examples/explanations.html"
FARE = "¿Cómo se calcula una tarifa?"
SPANISH = {"locale": "es-CO"}
SLOW = {"EXPLANATION_CHUNK_CHARACTERS": "12", "EXPLANATION_CHUNK_DELAY_MS": "40"}
STATUS = "[data-testid=bar][data-status={}]"
INK = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let n = 0; n < data.length; n += 4) if (data[n + 3] > 200) colours.add(data.slice(n, n + 3).join());
  return { colours: [...colours], sharp: canvas.width / canvas.getBoundingClientRect().width };
}"""
READS = ("willReadFrequently",)
"""The browser says how whoever reads canvases may do it faster."""
HEARD = "[...document.querySelectorAll('[data-testid=rows] tr')].map(row => row.dataset.event)"


@asynccontextmanager
async def at_page(server: Server, browser: Browser, **options: Any) -> AsyncIterator[Page]:
    """Open the page and log in."""
    async with opened(browser, f"{server.url}/{PAGE}", **{**SPANISH, **options}) as page:
        await log_in(page)
        yield page


async def ask(page: Page, question: str = FARE) -> None:
    await page.get_by_test_id("input").fill(question)
    await page.get_by_test_id("input").press("Enter")


def bar(page: Page, status: str) -> Locator:
    return page.locator(STATUS.format(status))


def step(page: Page, number: int) -> Locator:
    return page.get_by_test_id("step").nth(number - 1)


async def has_come(page: Page, characters: int) -> None:
    """Wait until so much is there, of all steps."""
    await page.wait_for_function(
        "count => Number(document.getElementById('n-characters').textContent.replace(/[^0-9]/g, '')) >= count",
        arg=characters,
    )


async def completed(page: Page) -> None:
    await expect(bar(page, "complete")).to_be_visible(timeout=60_000)


async def told(page: Page) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Return the steps that the page was told: title, content, and what it drew."""
    kept = json.loads(await page.evaluate("sessionStorage.taxi_explanation"))
    return [
        (each["title"], each["content"], [drawing["command"] for drawing in each["drawings"]]) for each in kept["steps"]
    ]


def saved(server: Server, question: str = FARE) -> Explanation:
    """Return what was saved as the answer to a question."""
    with sqlite3.connect(server.folder / "voztaxi.db") as database:
        steps, duration = database.execute(
            "SELECT steps, total_duration FROM ai_answers WHERE question = ?", [question]
        ).fetchone()
    return Explanation.model_validate({"steps": json.loads(steps), "total_duration": duration})


async def expect_all(page: Page, server: Server, question: str = FARE) -> None:
    """Check that the page was told the saved answer, to the character and to the stroke, and noticed no gap."""
    await completed(page)
    answer = saved(server, question)
    heard = await told(page)

    assert [(title, content) for title, content, _ in heard] == [(each.title, each.content) for each in answer.steps]
    for (_, _, drawn), each in zip(heard, answer.steps, strict=True):
        given = [dict(command.model_extra or {}) for command in each.canvas_commands]
        assert [command["op"] for command in drawn] == [command["op"] for command in given]
        assert all(
            command[name] == value
            for command, fields in zip(drawn, given, strict=True)
            for name, value in fields.items()
        )
    await expect(page.get_by_test_id("step")).to_have_count(len(answer.steps))
    await expect(page.get_by_test_id("verdict")).to_have_attribute("data-good", "true")
    await expect(page.get_by_test_id("cursor")).to_have_count(0)


# What is told.


async def test_an_answer_is_shown_as_it_was_saved_with_formulas_and_drawings(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as page:
        await ask(page)
        await expect(step(page, 1).get_by_test_id("cursor")).to_be_visible()
        await shoot(page, "explanation-streaming")
        await expect(page.get_by_test_id("progress")).to_have_attribute("aria-valuetext", "Paso 2 de 4")
        await expect_all(page, server)
        await shoot(page, "explanation-complete")
        drawn = await step(page, 1).get_by_test_id("canvas").evaluate(INK)
        formulas = await step(page, 2).locator("math").evaluate_all("all => all.map(n => [n.display, n.textContent])")
        heard = await page.evaluate(HEARD)

        assert "waiting_phrase" in heard
        await expect(page.get_by_test_id("cached")).to_be_hidden()
        assert len(drawn["colours"]) >= 3
        await expect(step(page, 1).get_by_test_id("canvas")).to_have_attribute("aria-label", re.compile("«8.000»"))
        assert len(formulas) == 5
        assert formulas[0][1] == "T=m+k+r"
        assert "$" not in await step(page, 2).get_by_test_id("content").inner_text()
        await expect(step(page, 1).locator("strong").first).to_have_text("mínima")
        await expect(page.get_by_test_id("progress")).to_have_attribute("aria-valuenow", "100")

        await ask(page)
        await expect(page.get_by_test_id("cached")).to_be_visible()
        await expect_all(page, server)
        assert "waiting_phrase" not in await page.evaluate(HEARD)


async def test_what_is_paused_stands_still_and_goes_on_with_the_next_character(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as page:
        await ask(page)
        await has_come(page, 40)
        await page.keyboard.press("Space")  # the box has nothing in it
        await expect(bar(page, "paused")).to_be_visible()
        before = await told(page)
        where = len(before[0][1])
        await expect(page.get_by_test_id("line")).to_have_text(f"En pausa en el carácter {where} del paso 1")
        await shoot(page, "explanation-paused")
        heard = await page.evaluate(HEARD)
        await page.evaluate("new Promise(resolve => setTimeout(resolve, 600))")  # ten chunks would have come
        assert await told(page) == before
        assert await page.evaluate(HEARD) == heard

        await page.get_by_test_id("pause").click()
        await expect(page.get_by_test_id("line")).to_have_text(f"Reanudada en el carácter {where} del paso 1")
        await page.get_by_test_id("input").press("a")
        await page.get_by_test_id("input").press("Space")  # somebody types
        await expect(page.get_by_test_id("input")).to_have_value("a ")
        await expect_all(page, server)
        heard = await page.evaluate(HEARD)

    assert heard.count("streaming_paused") == heard.count("streaming_resumed") == 1


async def test_nothing_is_lost_or_doubled_however_often_the_line_is_cut(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as page:
        await ask(page)
        for time in range(1, 6):
            await has_come(page, 110 * time)
            await page.get_by_test_id("cut").dispatch_event("click")
            await expect(page.get_by_test_id("n-resumed")).to_have_text(str(time))
        await page.context.set_offline(True)
        await expect(page.get_by_test_id("network")).to_contain_text("Reconectando")
        await page.context.set_offline(False)
        await expect_all(page, server)
        heard = await page.evaluate(HEARD)

    assert heard.count("lost") == heard.count("streaming_resumed") == 6
    assert heard.count("step_start") == 4


async def test_a_line_that_is_cut_while_it_stands_still_waits_for_its_reader(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as page:
        await ask(page)
        await has_come(page, 60)
        await page.get_by_test_id("pause").click()
        await expect(bar(page, "paused")).to_be_visible()
        await page.get_by_test_id("cut").dispatch_event("click")
        await expect(page.get_by_test_id("n-reconnections")).to_have_text("1")
        await expect(bar(page, "paused")).to_be_visible()
        await page.get_by_test_id("pause").click()
        await expect_all(page, server)


async def test_a_page_that_is_loaded_anew_offers_to_go_on(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as page:
        await ask(page)
        await expect(step(page, 2).get_by_test_id("cursor")).to_be_visible()
        await page.reload()
        await expect(bar(page, "paused")).to_be_visible()
        await expect(page.get_by_test_id("question")).to_have_text(FARE)
        await expect(page.get_by_test_id("line")).to_contain_text("Quedó en el carácter")
        await expect(step(page, 1).get_by_test_id("canvas")).to_have_attribute("data-drawn", "whole")
        assert len((await step(page, 1).get_by_test_id("canvas").evaluate(INK))["colours"]) >= 3
        await page.get_by_test_id("pause").click()
        await expect(page.get_by_test_id("line")).to_contain_text("Reanudada en el carácter")
        await expect_all(page, server)
        await page.reload()
        await expect_all(page, server)
        await page.get_by_test_id("logout").click()
        await expect(page.get_by_test_id("step")).to_have_count(0)
        assert await page.evaluate("sessionStorage.taxi_explanation") is None


async def test_a_server_that_dies_is_awaited_and_what_it_forgot_is_asked_for_again(tmp_path: Path) -> None:
    failing = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection")
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser, failing=failing) as page:
        await ask(page)
        await has_come(page, 60)
        server.kill()
        await expect(page.get_by_test_id("network")).to_contain_text("Reconectando")
        before = await told(page)
        await asyncio.to_thread(server.start)
        await expect(page.get_by_test_id("note")).to_contain_text("session_expired", timeout=30_000)
        assert await told(page) == before
        await page.get_by_test_id("again").click()
        await expect(page.get_by_test_id("cached")).to_be_visible()
        await expect_all(page, server)


async def test_an_explanation_that_is_no_longer_kept_is_asked_for_again(tmp_path: Path) -> None:
    async with (
        at_work(tmp_path / "s", **SLOW, EXPLANATION_SESSION_SECONDS="1") as (server, browser),
        at_page(server, browser) as page,
    ):
        await ask(page)
        await has_come(page, 60)
        await page.get_by_test_id("pause").click()
        await expect(bar(page, "paused")).to_be_visible()
        await asyncio.sleep(1.2)  # its life
        await page.get_by_test_id("pause").click()
        await expect(page.get_by_test_id("note")).to_contain_text("session_expired")
        await shoot(page, "explanation-expired")
        await page.get_by_test_id("again").click()
        await expect(page.get_by_test_id("cached")).to_be_visible()
        await expect_all(page, server)


async def test_two_pages_of_one_reader_hand_over_and_each_says_so(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as first:
        await ask(first)
        await has_come(first, 60)
        async with at_page(server, browser) as second:
            await ask(second, "¿Cómo puedo pagar?")
            await expect(first.get_by_test_id("note")).to_contain_text("taken_over")
            await expect_all(second, server, "¿Cómo puedo pagar?")
        await first.get_by_test_id("pause").click()
        await expect(first.get_by_test_id("note")).to_contain_text("foreign_answer")
        await first.get_by_test_id("again").click()
        await expect_all(first, server)


async def test_a_second_question_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s", **SLOW) as (server, browser), at_page(server, browser) as page:
        await ask(page)
        await has_come(page, 60)
        await ask(page, "¿Cómo puedo pagar?")
        await expect_all(page, server, "¿Cómo puedo pagar?")
        await expect(page.get_by_test_id("note")).to_be_hidden()


async def test_a_token_that_runs_out_is_renewed_and_an_account_that_is_closed_is_told(tmp_path: Path) -> None:
    async with (
        at_work(tmp_path / "s", **SLOW, ACCESS_TOKEN_SECONDS="1") as (server, browser),
        at_page(server, browser, refused=(401,)) as page,
    ):
        await asyncio.sleep(1.2)  # the life of a token
        await ask(page)
        await has_come(page, 60)
        await page.get_by_test_id("cut").dispatch_event("click")
        await expect_all(page, server)
        refresh = await page.evaluate("sessionStorage.taxi_refresh")
        httpx.post(f"{server.url}/auth/logout", json={"refresh_token": refresh})
        await asyncio.sleep(1.2)
        await ask(page)
        await expect(page.get_by_test_id("login")).to_be_visible()
        await expect(page.get_by_test_id("step")).to_have_count(0)


async def test_what_is_refused_is_told_with_its_code(tmp_path: Path) -> None:
    async with (
        at_work(tmp_path / "s", EXPLANATION_CREDITS="1/day") as (server, browser),
        at_page(server, browser) as page,
    ):
        await ask(page, "¿?")
        await expect(page.get_by_test_id("note")).to_contain_text("empty_question")
        await ask(page)
        await expect_all(page, server)
        await ask(page, "¿Cómo puedo pagar?")
        await expect(page.get_by_test_id("note")).to_contain_text("no_credits")
        await shoot(page, "explanation-refused")
        await page.get_by_test_id("en").click()
        await expect(page.get_by_test_id("note")).to_contain_text("No more answers can be generated")
        await ask(page)  # in English it is another question
        await expect(page.get_by_test_id("note")).to_contain_text("no_credits")
        await page.get_by_test_id("es").click()
        await ask(page)
        await expect(page.get_by_test_id("cached")).to_be_visible()
        await expect_all(page, server)


# How it looks.


@pytest.mark.parametrize("width", [360, 390, 1280])
async def test_it_does_not_scroll_sideways_in_either_theme_or_language(tmp_path: Path, width: int) -> None:
    fast = {"EXPLANATION_CHUNK_DELAY_MS": "1"}
    async with at_work(tmp_path / "s", **fast) as (server, browser):
        for scheme, language in (("light", "es-CO"), ("dark", "en-US")):
            options = {"viewport": {"width": width, "height": 760}, "color_scheme": scheme, "locale": language}
            async with at_page(server, browser, **options) as page:
                sideways = "document.documentElement.scrollWidth - innerWidth"
                assert await page.evaluate(sideways) <= 0
                await page.get_by_test_id("suggestion").first.click()
                await completed(page)
                await expect(page.locator("html")).to_have_attribute("lang", language[:2])
                await expect(page.get_by_test_id("told")).to_contain_text("steps" if language == "en-US" else "pasos")
                await page.get_by_test_id("look").click()
                await shoot(page, f"explanations-{scheme}-{width}")

                assert await page.evaluate(sideways) <= 0
                boxes = await page.locator(".scroll").evaluate_all("all => all.map(n => n.scrollWidth - n.clientWidth)")
                assert max(boxes) <= 0


async def test_a_drawing_is_sharp_and_takes_the_colours_of_the_theme_and_the_size_of_the_page(tmp_path: Path) -> None:
    options = {"device_scale_factor": 2, "color_scheme": "light", "reduced_motion": "reduce", "failing": READS}
    async with at_work(tmp_path / "s") as (server, browser), at_page(server, browser, **options) as page:
        await ask(page)
        await completed(page)
        canvas = step(page, 1).get_by_test_id("canvas")
        light = await canvas.evaluate(INK)
        for _ in range(2):  # automatic, light, dark
            await page.get_by_test_id("theme-toggle").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
        dark = await canvas.evaluate(INK)
        await page.set_viewport_size({"width": 500, "height": 700})
        await page.wait_for_function(
            "n => Math.abs(n.width / n.getBoundingClientRect().width - 2) < .01", arg=await canvas.element_handle()
        )
        small = await canvas.evaluate(INK)

        assert light["sharp"] == pytest.approx(2, abs=0.01)
        assert "28,27,24" in light["colours"]
        assert "28,27,24" not in dark["colours"]
        assert "236,235,230" in dark["colours"]
        assert "236,235,230" in small["colours"]


async def test_who_does_not_see_it_is_told(tmp_path: Path) -> None:
    async with at_work(tmp_path / "s") as (server, browser), at_page(server, browser, locale="en-US") as page:
        await page.evaluate(
            """() => {
              const announcer = document.getElementById('announcer');
              window.said = [];
              new MutationObserver(() => said.push(announcer.textContent)).observe(announcer, { childList: true });
            }"""
        )
        await ask(page, "How is a fare made up?")
        await completed(page)
        await page.wait_for_function("() => said.at(-1) === 'The explanation is complete.'")
        said = await page.evaluate("said")
        label = await step(page, 1).get_by_test_id("canvas").get_attribute("aria-label")

    assert any(each.startswith("Step 2 of 4:") for each in said)
    assert "«8,000»" in str(label)
    assert "rectangles" in str(label)


# What a model may say.

CONTENT = (
    r"""# <b>no</b>

<img src=x onerror="document.title='hacked'"> <script>document.title='hacked'</script>

[malo](javascript:document.title='hacked') [bueno](https://example.com/a) cuesta $8.000 y $1.800

$\href{javascript:alert(1)}{x}$ y $\unknown{<script>}$
y $\frac{a_1^2}{\sqrt[3]{b}} \le \sum_{i=1}^{n} x_i \cdot \text{año} \approx \alpha$
y $}{$ y $\frac$

$$"""
    + "{" * 400
    + "x"
    + "}" * 400
    + "$$"
)
HOSTILE: Json = {
    "title": "<img src=x onerror=\"document.title='hacked'\">",
    "type": "math",
    "content": CONTENT,
    "canvas_commands": [{"op": "text", "x": 50, "y": 30, "text": "<script>alert(1)</script>"}],
}


class Oracle(ScriptedModel):
    """Gives one answer, whatever it is asked."""

    answer = Answer()

    def _judge(self, request: Json) -> Answer:
        self.problems += problems_of(request["messages"])
        return self.answer


async def test_what_a_hostile_model_says_is_shown_and_does_nothing(tmp_path: Path) -> None:
    model = Oracle()
    model.answer = Answer(json.dumps({"steps": [HOSTILE], "total_duration": 9}))
    await model.start()
    asked = {"LLM": "openai", "OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": model.base_url, "LLM_MODEL": "m"}
    try:
        async with at_work(tmp_path / "s", **asked) as (server, browser), at_page(server, browser) as page:
            fetched: list[str] = []
            page.on("request", lambda request: fetched.append(request.url))
            await ask(page)
            await expect_all(page, server)
            content = step(page, 1).get_by_test_id("content")
            tags = set(await step(page, 1).locator("*").evaluate_all("all => all.map(n => n.nodeName)"))
            links = await content.locator("a").evaluate_all("all => all.map(a => [a.href, a.rel])")
            math = await content.locator("math").nth(2).evaluate('n => n.innerHTML.replace(/ [a-z-]+="[^"]*"/g, \'\')')
            await shoot(page, "explanation-hostile")

            assert await page.title() != "hacked"
            await expect(step(page, 1).locator(".head h3")).to_have_text(HOSTILE["title"])
            await expect(content).to_contain_text("<img src=x onerror")
            await expect(content).to_contain_text("[malo](javascript:document.title='hacked')")
            await expect(content).to_contain_text("cuesta $8.000 y $1.800")
            await expect(content.locator("math").first).to_contain_text("\\href")
            await expect(content.locator("math").nth(1)).to_contain_text("\\unknown")
            assert links == [["https://example.com/a", "noopener noreferrer nofollow"]]
            assert not {tag.upper() for tag in tags} & {"IMG", "SCRIPT", "B", "IFRAME", "STYLE"}
            assert "<mfrac><mrow><msubsup><mi>a</mi><mn>1</mn><mn>2</mn></msubsup></mrow><mrow><mroot>" in math
            assert "<mo>≤</mo>" in math
            assert "<msubsup><mo>∑</mo>" in math
            assert "<mtext>año</mtext><mo>≈</mo><mi>α</mi>" in math
            assert fetched == []
    finally:
        await model.stop()
    assert model.problems == []


WILD: list[Any] = [
    {"op": "line", "x1": -1e308, "y1": 1e308, "x2": 1e300, "y2": 0},
    {"op": "circle", "x": 50, "y": 30, "radius": 1e200, "color": "good"},
    {"op": "clear"},
    {"op": "text", "x": 50, "y": 30, "text": "<b>" * 500, "align": "middle"},
    {"op": "rect", "x": 10, "y": 40, "width": 1e300, "height": 5, "fill": True, "color": "good"},
    {"op": "explode", "x": 1},
    {"op": "constructor"},
    {"op": "rect", "x": "1", "y": None, "width": {}, "height": []},
    {"op": "rect", "x": 1, "y": 1, "width": 9, "height": 9, "color": "url(//evil)"},
    {"op": "path", "points": [[0, 0]]},
    {"op": "path", "points": "javascript:alert(1)"},
    {"op": "circle", "x": 1, "y": 1, "radius": -5},
    {"op": ["line"]},
    None,
    7,
    "line",
    [],
]


async def test_wild_commands_and_chunks_that_do_not_fit_are_survived(tmp_path: Path) -> None:
    """A server that is not ours speaks: the page draws what can be drawn, and asks again for what is missing."""
    places: list[Any] = []

    def speak(route: WebSocketRoute) -> None:
        def send(name: str, **payload: Any) -> None:
            route.send("42" + json.dumps([name, payload]))

        def hear(packet: str | bytes) -> None:
            text = str(packet)
            if text == "40":
                route.send('40{"sid":"s"}')
            elif text.startswith("42"):
                name, payload = json.loads(text[2:])
                places.append((name, payload.get("answer_data")))
                if name == "ask_question":
                    send("explanation_start", total_steps=1, estimated_duration=1, question_hash="h")
                    send("step_start", step=1, title="t", type="strange")
                    for command in WILD:
                        send("canvas_command", step=1, command=command)
                    send("content_chunk", step=1, chunk="👩‍👩‍👧 uno ", position=0, is_final=False)
                    send("content_chunk", step=1, chunk="no dos ", position=7, is_final=False)  # two came already
                    send("content_chunk", step=1, chunk="después", position=99, is_final=True)
                else:
                    send("streaming_resumed", step=1, position=14)
                    send("content_chunk", step=1, chunk="tres.", position=14, is_final=True)
                    send("step_complete", step=1)
                    send("explanation_complete", total_duration=1, steps_completed=1)

        route.on_message(hear)
        route.send('0{"sid":"e","pingInterval":25000,"pingTimeout":20000,"upgrades":[],"maxPayload":1000000}')
        route.send("2")

    async with (
        at_work(tmp_path / "s") as (server, browser),
        opened(browser, f"{server.url}/{PAGE}", **SPANISH) as page,
    ):
        await page.route_web_socket(re.compile("/socket.io/"), speak)
        await log_in(page)
        await ask(page)
        await completed(page)
        ((_, content, drawn),) = await told(page)
        await expect(page.get_by_test_id("canvas")).to_have_attribute("data-drawn", "whole")
        ink = await step(page, 1).get_by_test_id("canvas").evaluate(INK)

        assert places == [
            ("ask_question", None),
            ("resume_explanation", {"question_hash": "h", "step": 1, "position": 14}),
        ]
        assert content == "👩‍👩‍👧 uno dos tres."
        assert [command["op"] for command in drawn] == ["line", "circle", "clear", "text", "rect"]
        assert ink["colours"]
        await expect(page.get_by_test_id("n-ignored")).to_have_text(str(len(WILD) - 5))
        await expect(page.get_by_test_id("verdict")).to_have_attribute("data-good", "false")
        await expect(step(page, 1).locator("b")).to_have_count(0)
