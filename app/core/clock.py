"""Time and ids, injected so that tests can own them."""

import time
import uuid
from collections.abc import Callable

NowMs = Callable[[], int]
"""Milliseconds since the epoch."""
NewId = Callable[[], str]
"""A new id nobody can guess."""


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())
