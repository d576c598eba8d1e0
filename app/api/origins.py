"""Which web pages may talk to this server.

A browser says where a page comes from; other clients say nothing and are let in. Without this check
any page that a rider visits could book taxis through a server on the rider's own machine.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""Pages of the same machine, as a regular expression."""
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_FILE_ORIGINS = frozenset({"null", "file://"})


def is_allowed_origin(connection: HTTPConnection, allowed: Sequence[str]) -> bool:
    """Return whether the page that opened ``connection`` may use the server.

    Args:
        connection: The request or WebSocket.
        allowed: ``*``, ``local`` (this host, loopback, files) and origins such as ``https://taxi.example``.
    """
    origin = connection.headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return True
    if "local" not in allowed:
        return False
    page = urlsplit(origin)
    return (
        origin in _FILE_ORIGINS
        or page.hostname in _LOOPBACK_HOSTS
        or page.netloc == connection.headers.get("host", "").lower()
    )
