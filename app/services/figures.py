"""Figures that are counted when somebody looks, rather than noted as things happen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from app.core import metrics
from app.core.deadlines import store_deadline
from app.core.errors import StoreError
from app.services.dispatch import DispatchService
from app.services.health import HealthService
from app.services.streaming_service import StreamingService
from app.stores.base import EventLog

_FRESH_SECONDS = 5.0


class FigureService:
    """Counts queues, and asks whether the server is ready.

    Args:
        streaming: Has the turns.
        dispatch: Has the deliveries.
        health: Asks the stores.
        event_log: Has a backlog.
        max_connections: WebSockets that this process takes.
        timeout_seconds: A store that takes longer is not there.
    """

    def __init__(
        self,
        *,
        streaming: StreamingService,
        dispatch: DispatchService,
        health: HealthService,
        event_log: EventLog,
        max_connections: int,
        timeout_seconds: float,
    ) -> None:
        self._streaming = streaming
        self._dispatch = dispatch
        self._health = health
        self._log = event_log
        self._max_connections = max_connections
        self._timeout = timeout_seconds

    async def measure(self) -> None:
        """Set the figures. What a store cannot tell keeps its last value."""
        waiting = self._streaming.waiting_turns
        metrics.TURNS_WAITING.set(waiting)
        metrics.TURNS_ACTIVE.set(self._streaming.active_turns - waiting)
        metrics.EVENT_LOG_BACKLOG.set(self._log.backlog)
        metrics.CONNECTIONS_LIMIT.set(self._max_connections)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._measure_readiness)
            tasks.start_soon(self._measure_deliveries)

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Measure again and again within the block, for workers whose figures another one is asked for."""

        async def measure_again() -> None:
            while True:
                await self.measure()
                await anyio.sleep(_FRESH_SECONDS)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(measure_again)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    async def _measure_readiness(self) -> None:
        answers = await self._health.check()
        metrics.READY.set(all(answers.values()) and not self._streaming.draining)

    async def _measure_deliveries(self) -> None:
        with suppress(StoreError), store_deadline(self._timeout):
            await self._dispatch.measure()
