"""Where an explanation that runs is, as others find it written."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import structlog

from app.core.errors import StoreError
from app.models.explanations import ExplanationSession
from app.services.explanation_player import Player
from app.stores.base import Lease

log = structlog.stdlib.get_logger("voztaxi.explanations")

_WRITE_SECONDS = 1.0
"""Where it is, is written so often while it moves."""


class Place:
    """The session of an explanation that runs: moved with each chunk, written when a step is over and now and then.

    Writing never fails and is never cut off: an explanation goes on without. What a process writes that stood still
    for too long could undo what another one wrote, so it writes nothing once its lane may be another's.

    Args:
        session: The session when it begins to run.
        put: Stores one; sets a deadline.
        lease: The user's lane.
    """

    def __init__(
        self, session: ExplanationSession, put: Callable[[ExplanationSession], Awaitable[None]], lease: Lease
    ) -> None:
        self._session = session
        self._step = session.current_step
        self._position = session.pause_position
        self._put = put
        self._lease = lease
        self._lock = anyio.Lock()
        self._is_written = False
        self._step_is_over = anyio.Event()
        self._scope = anyio.CancelScope()

    def move(self, player: Player) -> None:
        """Note that everything before where a player stands was sent."""
        if player.step != self._step:
            self._step_is_over.set()
        self._step, self._position = player.step, player.position
        self._is_written = False

    async def write(self, **changes: Any) -> None:
        """Write where it is, and how it is from now on."""
        with anyio.CancelScope(shield=True):
            async with self._lock:  # the last one that is written is the newest
                place = {"current_step": self._step, "pause_position": self._position}
                self._session = self._session.model_copy(update=place | changes)
                if self._lease.is_lost:
                    return
                self._is_written = True
                try:
                    await self._put(self._session)
                except StoreError as error:
                    log.warning("place of an explanation was not written", exc_info=error)

    async def keep_written(self) -> None:
        """Write what has moved, until ``stop``."""
        with self._scope:
            while True:
                with anyio.move_on_after(_WRITE_SECONDS):
                    await self._step_is_over.wait()
                self._step_is_over = anyio.Event()
                if not self._is_written:
                    await self.write()

    def stop(self) -> None:
        """Write nothing more by itself."""
        self._scope.cancel()
