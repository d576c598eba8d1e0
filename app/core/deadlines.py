"""Stores do not get for ever, nor are they disturbed before."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from app.core.errors import AppError, StoreError


@contextmanager
def store_deadline(seconds: float) -> Iterator[None]:
    """Bound a store's work, and make whatever goes wrong in it a ``StoreError``."""
    try:
        # A scope, not ``fail_after`` around one: a turn does this four times.
        with anyio.CancelScope(deadline=anyio.current_time() + seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise TimeoutError
    except AppError:
        raise
    except TimeoutError as error:
        raise StoreError("El almacenamiento no respondió a tiempo.") from error
    except Exception as error:
        raise StoreError from error


@contextmanager
def undisturbed(deadline: float) -> Iterator[None]:
    """Let no cancellation into the block until ``deadline``, which raises ``TimeoutError``."""
    with anyio.CancelScope(shield=True, deadline=deadline) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError
