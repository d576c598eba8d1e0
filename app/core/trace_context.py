"""Whose trace a request belongs to, as its ``traceparent`` header says (W3C Trace Context)."""

from collections.abc import Iterable
from contextvars import ContextVar

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The header of the request or the WebSocket that is being served, as it came; None where there is not one."""


def read_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the one ``traceparent`` among ``headers``, or None. Whether it makes sense is for the tracer."""
    given = [value for name, value in headers if name == b"traceparent"]
    return given[0].decode("latin-1") if len(given) == 1 else None
