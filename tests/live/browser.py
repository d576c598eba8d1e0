"""Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Start a headless browser, with more of its own flags."""
    path = shutil.which("chromium")
    assert path, "chromium is not installed; scripts/test installs it or says how"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*_ARGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()
