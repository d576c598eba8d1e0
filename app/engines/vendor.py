"""What all cloud engines share: how a vendor fails, and how often it is asked again.

A reason is made of our words, numbers and short codes. What a vendor writes for people is left out: it quotes
keys («Incorrect API key provided: sk-…») and what riders said.
"""

import json
import math
import re
from typing import Any

import stamina

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,39}")
_NOT_NOW = frozenset({408, 409, 425, 429})
"""Client errors that repeating may mend."""
_LONGEST_RETRY_AFTER = 3600.0
_ATTEMPTS = 3
_PATIENCE_SECONDS = 2.0
"""Somebody waits: a vendor that asks for more than this is not waited for."""


class VendorError(Exception):
    """A vendor refused, broke off, hung, or said what cannot be understood.

    Args:
        reason: Why, in words that may be logged.
        retryable: Whether the same may work when it is tried again; a key that is refused stays refused.
        retry_after: How long the vendor asks to be left alone, in seconds.
    """

    def __init__(self, reason: str, *, retryable: bool = True, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.retry_after = retry_after


def read_status(status: int, retry_after: str | None = None) -> VendorError:
    """Return what an HTTP status other than success means.

    Args:
        status: The status.
        retry_after: The value of the header of that name.
    """
    retryable = status >= 500 or status in _NOT_NOW
    return VendorError(f"answered {status}", retryable=retryable, retry_after=read_retry_after(retry_after))


def read_retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``; a date in it counts as none."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def read_code(value: object) -> str:
    """Return a vendor's own code for an error as it may be logged; «unnamed» where it is none."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "unnamed"


def decode(message: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a message.

    Raises:
        VendorError: It is none.
    """
    try:
        decoded = json.loads(message)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise VendorError("a message cannot be read")
    return decoded


def worth_another_try(error: Exception) -> bool | float:
    """Say whether, and after how many seconds where the vendor named them, something is tried again."""
    if not isinstance(error, VendorError) or not error.retryable:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= _PATIENCE_SECONDS else False


def attempts(timeout: float) -> Any:
    """Return stamina's attempts at something, with backoff and jitter between them.

    Args:
        timeout: No attempt begins later than this, in seconds.
    """
    return stamina.retry_context(
        on=worth_another_try, attempts=_ATTEMPTS, timeout=timeout, wait_initial=0.1, wait_max=1.0, wait_jitter=0.2
    )
