"""Checkpoints that only who has a thread's lane may write."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from app.core.errors import LaneLost

Saver = BaseCheckpointSaver[Any]


class FencedSaver(Saver):
    """Another saver behind a question: is the thread still ours?

    A process that stood still wakes up in the middle of a turn that another one has ended meanwhile.
    What it remembers of the thread is old, and must not become the newest.

    Args:
        saver: Keeps the checkpoints; for ``async`` use.
        holds: Whether this process has the lane of a thread. It must know without asking anybody.
    """

    def __init__(self, saver: Saver, holds: Callable[[str], bool]) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver
        self._holds = holds

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint; anybody may."""
        return await self._saver.aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """List checkpoints; anybody may."""
        async for found in self._saver.alist(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint.

        Raises:
            LaneLost: Another process may have the thread.
        """
        self._check(config)
        return await self._saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a step has done so far. Raises as ``aput`` does."""
        self._check(config)
        await self._saver.aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread. Raises as ``aput`` does."""
        self._check({"configurable": {"thread_id": thread_id}})
        await self._saver.adelete_thread(thread_id)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """Return the version that follows, as the saver counts them."""
        return self._saver.get_next_version(current, channel)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "FencedSaver":
        """Return one that may also read objects of these types."""
        return FencedSaver(self._saver.with_allowlist(extra_allowlist), self._holds)

    def _check(self, config: RunnableConfig) -> None:
        if not self._holds(config["configurable"]["thread_id"]):
            raise LaneLost
