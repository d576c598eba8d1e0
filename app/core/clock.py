"""Time and ids, injected so that tests can own them."""

import time
import uuid
from collections.abc import Callable

NowMs = Callable[[], int]
"""Milliseconds since the epoch."""
NewId = Callable[[], str]
"""A new id nobody can guess."""


_STABLE = uuid.UUID("6f1c1d5e-5a0b-4b0e-9d0c-3b1a5d7f2c46")
"""The namespace of ids that are made from what they name."""


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def stable_id(*parts: str) -> str:
    """Return the one id that belongs to ``parts``."""
    return str(uuid.uuid5(_STABLE, "\n".join(parts)))


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid.uuid4())
