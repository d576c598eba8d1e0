"""Checkpoints that only who has a thread's lane may write."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig

from app.core.errors import LaneLost
from app.stores.checkpoints.front import Saver, SaverInFront


class FencedSaver(SaverInFront):
    """Another saver behind a question: is the thread still ours?

    A process that stood still wakes up in the middle of a turn that another one has ended meanwhile.
    What it remembers of the thread is old, and must not become the newest. Anybody may read.

    Args:
        saver: Keeps the checkpoints; for ``async`` use.
        holds: Whether this process has the lane of a thread. It must know without asking anybody.
    """

    def __init__(self, saver: Saver, holds: Callable[[str], bool]) -> None:
        super().__init__(saver)
        self._holds = holds

    async def aput(self, config: RunnableConfig, *given: Any, **named: Any) -> RunnableConfig:
        """Write a checkpoint.

        Raises:
            LaneLost: Another process may have the thread.
        """
        self._check(config)
        return await super().aput(config, *given, **named)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a step has done so far. Raises as ``aput`` does."""
        self._check(config)
        await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread. Raises as ``aput`` does."""
        self._check({"configurable": {"thread_id": thread_id}})
        await super().adelete_thread(thread_id)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "FencedSaver":
        """Return one that may also read objects of these types."""
        return FencedSaver(self._saver.with_allowlist(extra_allowlist), self._holds)

    def _check(self, config: RunnableConfig) -> None:
        if not self._holds(config["configurable"]["thread_id"]):
            raise LaneLost
