"""Which pages may talk to the server."""

import pytest
from starlette.requests import HTTPConnection

from app.api.origins import is_allowed_origin

pytestmark = pytest.mark.unit


def connection(origin: str | None, host: str = "taxi.example:8000") -> HTTPConnection:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return HTTPConnection({"type": "http", "headers": headers})


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        (None, ("local",), True),
        ("http://localhost:3000", ("local",), True),
        ("http://127.0.0.1:8000", ("local",), True),
        ("http://[::1]:8000", ("local",), True),
        ("null", ("local",), True),
        ("file://", ("local",), True),
        ("http://taxi.example:8000", ("local",), True),
        ("https://evil.example", ("local",), False),
        ("http://localhost.evil.example", ("local",), False),
        ("http://evil.example/?localhost", ("local",), False),
        ("https://evil.example", ("*",), True),
        ("https://app.example", ("https://app.example",), True),
        ("http://localhost:3000", ("https://app.example",), False),
        ("null", ("https://app.example",), False),
    ],
)
def test_a_page_is_let_in_where_it_is_from_here_or_named(
    origin: str | None, allowed: tuple[str, ...], expected: bool
) -> None:
    assert is_allowed_origin(connection(origin), allowed) is expected
