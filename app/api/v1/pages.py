"""The pages: the console, and examples of clients to copy."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from app.core.errors import NotFound

router = APIRouter(include_in_schema=False)

_APP = Path(__file__).parents[2]
_PACKAGED = _APP / "static"
_ROOT = _PACKAGED if _PACKAGED.exists() else _APP.parent
"""The pages are packed beside the code, and lie at the root of a checkout."""
_CONSOLE = _ROOT / "test_websocket_client.html"
_EXAMPLES = {path.name: path for path in (_ROOT / "examples").glob("*.html")}
_SOURCES = {name: _ROOT / "examples" / name for name in ("StreamChatComponent.tsx", "streamChat.ts")}
"""To read and to copy; a browser shows them as text."""
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
_INLINE = re.compile(r"<(script|style)[^>]*>(.*?)</\1>", re.DOTALL)


@cache
def _page(path: Path) -> tuple[str, dict[str, str]]:
    """Return a page and its headers. Only its own script and style may run, known by their hashes."""
    html = path.read_text(encoding="utf-8")
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, body in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    if path == _CONSOLE:
        hashes["script"].append("blob:")  # what runs on the audio thread, which the page makes out of its own script
    allowed = {kind: " ".join(found) or "'none'" for kind, found in hashes.items()}
    policy = (
        f"default-src 'none'; script-src {allowed['script']}; style-src {allowed['style']}; "
        "connect-src *; img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"  # nothing makes HTML out of text
    )
    return html, {"Content-Security-Policy": policy, **_HEADERS}


def _shown(path: Path) -> HTMLResponse:
    html, headers = _page(path)
    return HTMLResponse(html, headers=headers)


@router.get("/")
async def console() -> HTMLResponse:
    """Return the console."""
    return _shown(_CONSOLE)


@router.get("/examples")
async def examples() -> RedirectResponse:
    """Lead to the list of examples, whose links are relative."""
    return RedirectResponse("examples/")


@router.get("/examples/")
async def list_examples() -> HTMLResponse:
    """Return the list of examples."""
    return _shown(_EXAMPLES["index.html"])


@router.get("/examples/{name}")
def example(name: str) -> Response:
    """Return an example: a page, or the text of a component.

    Raises:
        NotFound: There is none of this name.
    """
    if name in _SOURCES:
        return PlainTextResponse(_SOURCES[name].read_text(encoding="utf-8"), headers=_HEADERS)
    if name not in _EXAMPLES:
        raise NotFound("No existe ese ejemplo.")
    return _shown(_EXAMPLES[name])
