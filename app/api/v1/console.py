"""The console page."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_NAME = "test_websocket_client.html"
_APP = Path(__file__).parents[2]
_INLINE = re.compile(r"<(script|style)[^>]*>(.*?)</\1>", re.DOTALL)


@cache
def _page() -> tuple[str, dict[str, str]]:
    """Return the page and its headers. Only its own script and style may run, known by their hashes."""
    packaged = _APP / "static" / _NAME
    html = (packaged if packaged.exists() else _APP.parent / _NAME).read_text(encoding="utf-8")
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, body in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes['script'])}; style-src {' '.join(hashes['style'])}; "
        "connect-src *; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


@router.get("/")
async def console() -> HTMLResponse:
    """Return the console."""
    html, headers = _page()
    return HTMLResponse(html, headers=headers)
