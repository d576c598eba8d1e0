"""A server that speaks OpenAI's protocol, over HTTP: asked again where that may help, and not waited for for ever."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import stamina

_TRY_AGAIN = frozenset({408, 409, 429})
"""Refusals that pass, besides the server's own failures."""
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 8.0
_LONGEST_ASKED_WAIT_SECONDS = 60.0
"""A server that asks for a longer wait (``Retry-After``) is asked again sooner."""
_END_SECONDS = 0.1


class ModelRefusal(Exception):
    """A model server did not answer as asked.

    Args:
        status_code: Of HTTP; None where an answer that had begun broke off with an error.
        retry_after: Seconds that the server asks to wait; None where it does not say.
    """

    def __init__(self, status_code: int | None, retry_after: float | None = None) -> None:
        super().__init__("an error in the answer" if status_code is None else f"status {status_code}")
        self.status_code = status_code
        self.retry_after = retry_after


_FAILURES = (ModelRefusal, aiohttp.ClientError, TimeoutError)


class ModelServer:
    """Where answers come from.

    Args:
        http: Its connections are shared by all who ask. It has no limits of time of its own: aiohttp's for a silence
            is a timer for each piece that comes, and an answer is many pieces.
        url: What is asked.
        headers: Sent along.
        silence_seconds: Longest silence, from the question to the answer and then between any two reads.
        max_retries: How often it is asked again before it answers.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        *,
        silence_seconds: float,
        max_retries: int,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = headers
        self._proxy = _proxy_for(url)
        self._silence_seconds = silence_seconds
        self._again = stamina.AsyncRetryingCaller(
            attempts=max_retries + 1,
            timeout=None,
            wait_initial=_FIRST_WAIT_SECONDS,
            wait_max=_LONGEST_WAIT_SECONDS,
            wait_jitter=_FIRST_WAIT_SECONDS,
        ).on(_may_help)

    async def ask(self, body: bytes) -> aiohttp.ClientResponse:
        """Ask, again and again where that may help, and return the answer when it begins.

        Raises:
            ModelRefusal: The server refused.
            aiohttp.ClientError: It cannot be reached, or hung up.
            TimeoutError: It was silent for too long.
        """
        try:
            return await self._post(body)
        except _FAILURES as error:
            # Only now stamina: its attempts are dozens of objects in cycles, for a collection of garbage to take away.
            return await self._again(self._post_after, [error], body)

    async def _post_after(self, failed: list[Exception], body: bytes) -> aiohttp.ClientResponse:
        """Fail as the attempt before stamina did, which is its first one, or ask."""
        if failed:
            raise failed.pop()
        return await self._post(body)

    async def _post(self, body: bytes) -> aiohttp.ClientResponse:
        async with asyncio.timeout(self._silence_seconds):
            response = await self._http.post(self._url, data=body, headers=self._headers, proxy=self._proxy)
        if response.status >= 400:
            response.close()
            raise ModelRefusal(response.status, _retry_after(response))
        return response

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return what has come since, and wait for it where nothing has; nothing at the end. Raises as ``ask`` does."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                return await response.content.readany()
        except aiohttp.ClientError:
            rest = _unread(response)
            if not rest:
                raise
            return rest


async def until_over(response: aiohttp.ClientResponse) -> None:
    """Wait a moment for the end of the response behind the end of the answer: only then another turn has the line."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_END_SECONDS):
            async for _ in response.content.iter_any():
                pass


def _unread(response: aiohttp.ClientResponse) -> bytes:
    """Take what came before an answer broke off: aiohttp raises at once, and has no public way to it."""
    pieces = response.content._buffer
    rest = b"".join(pieces)
    pieces.clear()
    return rest


def _may_help(error: Exception) -> bool | float:
    """Say whether asking again may help, and how many seconds from now where the server said so."""
    if not isinstance(error, ModelRefusal):
        return isinstance(error, aiohttp.ClientConnectionError | TimeoutError)
    if error.status_code is None or (error.status_code not in _TRY_AGAIN and error.status_code < 500):
        return False
    wait = error.retry_after
    return wait if wait is not None and 0 < wait <= _LONGEST_ASKED_WAIT_SECONDS else True


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address.

    Asked once: aiohttp's ``trust_env`` looks for it, and for a ``.netrc``, with each request, on threads.
    """
    address = urlsplit(url)
    return None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    try:
        return float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
