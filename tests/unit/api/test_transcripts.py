"""A conversation to read elsewhere says what was said, and nothing in it does anything."""

import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pypdf import PdfReader

from app.api.transcripts import PAGE_HEADERS, as_html, as_markdown, as_pdf, iso
from app.models.conversation import Line

pytestmark = pytest.mark.unit

AT = 1_760_176_800_000
HOSTILE = "<script>alert(1)</script> [x](javascript:y) *z* _q_ `c` ![i](http://e/) &amp; # 1. <!-- -->"


def line(content: str, *, role: str = "user", partial: bool = False) -> Line:
    return Line("id", "t", "user" if role == "user" else "assistant", content, partial, AT)


def pdf_text(made: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(made)).pages)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"href", "src", "style"} & {name for name, _ in attrs}
        assert not any(name.startswith("on") for name, _ in attrs)
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_time_is_written_as_clients_expect_it() -> None:
    assert iso(AT) == "2025-10-11T10:00:00Z"
    assert iso(AT + 999) == "2025-10-11T10:00:00Z"


def test_markdown_names_who_spoke_and_says_what_is_incomplete() -> None:
    made = as_markdown("Mi viaje", [line("Hola"), line("¿A dón", role="assistant", partial=True)])

    assert made == (
        "# Mi viaje\n\n"
        "**Pasajero** · 2025-10-11T10:00:00Z\n\n> Hola\n\n"
        "**Voztaxi** · 2025-10-11T10:00:00Z\n\n> ¿A dón\n\n(respuesta incompleta)\n"
    )


@pytest.mark.parametrize(
    "said",
    [HOSTILE, "# título", "1. uno\n2) dos", "- a\n+ b\n* c", "===\n---", "> cita", "```\nx\n```", "a | b\n--|--"],
)
def test_what_was_said_means_nothing_in_markdown(said: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(as_markdown(said, [line(said)]))
    inside = {child.type for token in tokens for child in token.children or ()}
    kinds = {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}

    assert kinds == {"heading", "paragraph", "blockquote", "inline"}
    assert inside <= {"text", "softbreak", "strong_open", "strong_close", "text_special"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_page_has_only_its_own_tags_and_all_of_the_words(said: str) -> None:
    page = Tags()
    page.feed(as_html("Título", [line(said)]))
    page.close()

    assert page.tags == {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p"}
    assert said.replace("\r", "\n") in page.text.replace("\r", "\n")


def test_a_page_may_load_nothing_and_only_its_own_style() -> None:
    policy = PAGE_HEADERS["Content-Security-Policy"]
    styles = re.findall("<style>(.*?)</style>", as_html(HOSTILE, [line(HOSTILE)]))

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert len(styles) == 1


def test_a_pdf_has_the_words_with_their_accents() -> None:
    said = "¿Cuánto vale? «Señor», Ñandú, pingüino: 15.000 € — gracias…"
    made = as_pdf("Día de compañía", [line(said), line("¡Listo!", role="assistant")], at=AT)

    assert "Día de compañía" in pdf_text(made)
    assert said in pdf_text(made)
    assert "Voztaxi · 2025-10-11T10:00:00Z\n¡Listo!" in pdf_text(made)
    assert "Los signos" not in pdf_text(made)


def test_a_pdf_is_the_same_each_time() -> None:
    assert as_pdf("Título", [line("Hola")], at=AT) == as_pdf("Título", [line("Hola")], at=AT)


@pytest.mark.parametrize("said", ["un taxi 🚕 🧑‍🦽", "такси", "出租车", "\0\x07\u202e", "\ufeff\U0010ffff"])
def test_a_pdf_shows_signs_that_it_cannot_as_question_marks_and_says_so(said: str) -> None:
    text = pdf_text(as_pdf(said, [line(said)], at=AT))

    assert ("?" in text) == ("Los signos que aparecen como «?»" in text)


@settings(max_examples=40, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.text(st.characters(exclude_categories=["Cs"]))
)
def test_no_text_breaks_a_pdf(title: str, said: str) -> None:
    assert as_pdf(title, [line(said, partial=True)], at=AT).startswith(b"%PDF-")


def test_a_long_conversation_goes_on_over_pages() -> None:
    made = as_pdf("Título", [line("Quiero un taxi. " * 400), line("x" * 3000)] * 4, at=AT)

    assert len(PdfReader(io.BytesIO(made)).pages) > 3
