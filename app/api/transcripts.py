"""Conversations to read elsewhere: Markdown, a page of HTML, a PDF. Pure."""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape

from app.models.conversation import Line

_SPEAKERS = {"user": "Pasajero", "assistant": "Voztaxi"}
_CUT = "(respuesta incompleta)"

# What Markdown would take for more than a sign, anywhere and at the start of a line.
_MARKS = re.compile(r"[\\`*_\[\]<>&|~]")
_STARTS = re.compile(r"^(\s*)(#|[-+=]|\d+(?=[.)]))")

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.55 system-ui,sans-serif;max-width:44rem;margin:2.5rem auto;padding:0 1.25rem;"
    "background:light-dark(#f4f4f1,#121316);color:light-dark(#1c1b18,#ecebe6)}"
    "h1{margin:0 0 1.75rem;padding-top:1rem;border-top:5px solid #f7c600;font-size:1.5rem}"
    "h2{margin:1.5rem 0 .25rem;font-size:.85rem;color:light-dark(#5d5a52,#a8a8a1)}"
    "p{margin:0;white-space:pre-wrap}h1,p{overflow-wrap:anywhere}"
)
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
"""The page has no script, no form and nothing from elsewhere."""


def iso(ms: int) -> str:
    """Return milliseconds since the epoch as ISO 8601, such as ``2025-10-11T10:00:00Z``."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_markdown(title: str, lines: Sequence[Line]) -> str:
    """Return a conversation as Markdown, in which what was said is quoted and means nothing but itself."""
    parts = [f"# {_plain(' '.join(title.split()))}"]
    for line in lines:
        quoted = "\n".join(f"> {_plain(each)}".rstrip() for each in line.content.splitlines())
        parts += [f"**{_SPEAKERS[line.role]}** · {iso(line.created_at)}", quoted]
        if line.partial:
            parts.append(_CUT)
    return "\n\n".join(parts) + "\n"


def as_html(title: str, lines: Sequence[Line]) -> str:
    """Return a conversation as a page of its own; it is to be served with ``PAGE_HEADERS``."""
    said = "".join(
        f"<h2>{_SPEAKERS[line.role]}</h2><p>{escape(line.content)}{f' <em>{_CUT}</em>' if line.partial else ''}</p>"
        for line in lines
    )
    return (
        '<!doctype html><html lang="es"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{said}</main></body></html>"
    )


def as_pdf(title: str, lines: Sequence[Line], *, at: int) -> bytes:
    """Return a conversation as a PDF. It takes a while: not for the event loop.

    The fonts that every reader of PDF has write western European languages. Any other sign, an emoji
    say, is shown as ``?``, and the last page says so.

    Args:
        title: Its title.
        lines: What was said.
        at: When it was made; milliseconds since the epoch.
    """
    from fpdf import FPDF  # it takes its time, and few ask for it

    is_exact = True

    def shown(text: str) -> str:
        nonlocal is_exact
        text = "".join(each if each.isprintable() or each == "\n" else " " for each in text)
        known = text.encode("cp1252", "replace").decode("cp1252")
        is_exact = is_exact and known == text
        return known

    pdf = FPDF(format="A4")
    pdf.core_fonts_encoding = "cp1252"
    pdf.set_creation_date(datetime.fromtimestamp(at // 1000, UTC))
    pdf.set_title(shown(title))
    pdf.set_lang("es")
    pdf.set_auto_page_break(True, margin=18)
    pdf.add_page()

    def write(text: str, *, size: int, style: str = "", height: float) -> None:
        pdf.set_font("Helvetica", style, size)
        pdf.multi_cell(0, height, shown(text), align="L", new_x="LMARGIN", new_y="NEXT")

    write(title, size=16, style="B", height=8)
    for line in lines:
        pdf.ln(3)
        write(f"{_SPEAKERS[line.role]} · {iso(line.created_at)}", size=9, style="B", height=5)
        write(line.content, size=11, height=6)
        if line.partial:
            write(_CUT, size=9, style="I", height=5)
    if not is_exact:
        pdf.ln(6)
        write("Los signos que aparecen como «?» están completos en la versión Markdown.", size=9, style="I", height=5)
    return bytes(pdf.output())


def _plain(text: str) -> str:
    return _STARTS.sub(_escape_start, _MARKS.sub(r"\\\g<0>", text))


def _escape_start(found: re.Match[str]) -> str:
    # A number is none of Markdown's marks: it is what follows it that makes a list of it.
    indent, mark = found.groups()
    return f"{indent}{mark}\\" if mark.isdigit() else f"{indent}\\{mark}"
