"""Whose trace a request belongs to, as its ``traceparent`` header says (W3C Trace Context)."""

import re
from collections.abc import Iterable
from contextvars import ContextVar

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The header of the request or the WebSocket that is being served; None where there is none, or no well-formed one."""

_WELL_FORMED = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def read_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the one well-formed ``traceparent`` among ``headers``, or None."""
    given = [value for name, value in headers if name == b"traceparent"]
    return given[0].decode() if len(given) == 1 and _WELL_FORMED.fullmatch(given[0]) else None
