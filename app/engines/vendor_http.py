"""Requests to OpenAI and to every server that speaks as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from pydantic import SecretStr

from app.engines.vendor import VendorError, read_status

OPENAI_URL = "https://api.openai.com/v1"
_CONNECT_SECONDS = 5.0


@asynccontextmanager
async def open_openai_client(
    api_key: SecretStr | None, base_url: str | None, *, timeout: float
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client for a block; it keeps its connections.

    Args:
        api_key: The key; None for a server that asks for none.
        base_url: Where the server is, ``/v1`` included; None is OpenAI's own.
        timeout: Longest silence of the server, in seconds.
    """

    async def sign(request: httpx.Request) -> None:
        # Here and not among the client's headers, where a traceback with local variables would show it.
        if api_key is not None:
            request.headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"

    async with httpx.AsyncClient(
        base_url=(base_url or OPENAI_URL).rstrip("/") + "/",
        timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        event_hooks={"request": [sign]},
        follow_redirects=False,
        trust_env=False,
    ) as client:
        yield client


@asynccontextmanager
async def stream_answer(client: httpx.AsyncClient, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    """Send a request and give its good answer, whose body is still to be read.

    Raises:
        VendorError: There is none, or it breaks off within the block.
    """
    try:
        response = await client.send(request, stream=True)
        try:
            if not response.is_success:
                raise read_status(response.status_code, response.headers.get("Retry-After"))
            yield response
        finally:
            await response.aclose()
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise VendorError(f"no answer: {type(error).__name__}") from None
