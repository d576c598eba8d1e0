"""Checkpoints that the process which wrote them need not read again."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol, runtime_checkable

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)

from app.stores.checkpoints.front import Saver, SaverInFront

Place = tuple[str, str]
"""A thread, and the namespace of a graph in it."""
IsNewest = Callable[[RunnableConfig], Awaitable[bool]]
"""See ``KnowsNewest``."""


@runtime_checkable
class KnowsNewest(Protocol):
    """A saver that can be asked whether somebody else has written meanwhile, for less than reading takes."""

    async def is_newest(self, config: RunnableConfig) -> bool:
        """Return whether the checkpoint that ``config`` names is the newest of its place, with no writes after it."""
        ...


class RememberingSaver(SaverInFront):
    """Another saver, and the newest checkpoint of the threads that were written to last.

    A turn begins where the one before it ended. To read that back takes a visit to a thread and makes every message
    of the conversation anew, while the rider waits for the first word.

    What is remembered is what the graph wrote, not a copy of it: its nodes return what changes and change nothing
    that they are given, as LangGraph asks of them.

    Args:
        saver: Keeps the checkpoints; for ``async`` use.
        threads: So many are remembered.
        is_newest: Asked before what is remembered is given, where others write to ``saver`` too; None is that
            nobody does.
    """

    def __init__(self, saver: Saver, threads: int = 256, *, is_newest: IsNewest | None = None) -> None:
        super().__init__(saver)
        self._threads = threads
        self._is_newest = is_newest
        self._newest: OrderedDict[Place, CheckpointTuple] = OrderedDict()  # the longest unused first

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint."""
        place = _place(config)
        known = self._newest.get(place)
        if known is None or get_checkpoint_id(config) is not None:
            return await super().aget_tuple(config)
        if self._is_newest is not None and not await self._is_newest(known.config):
            if self._newest.get(place) is known:
                del self._newest[place]
            return await super().aget_tuple(config)
        if place in self._newest:
            self._newest.move_to_end(place)
        return known._replace(checkpoint=_copy(known.checkpoint), metadata=known.metadata.copy())

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint, and remember it once it is written."""
        place = _place(config)
        before = self._newest.pop(place, None)
        written = _copy(checkpoint)
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        older = [get_checkpoint_id(config), before and before.checkpoint["id"]]
        # The newest has the largest id, whoever wrote last. One that is not the newest is of no use here.
        if all(each is None or each < written["id"] for each in older):
            self._newest[place] = CheckpointTuple(
                config=saved,
                checkpoint=written,
                metadata=get_checkpoint_metadata(config, metadata),
                parent_config=_named(place, get_checkpoint_id(config)),
                pending_writes=[],
            )
            while len(self._newest) > self._threads:
                self._newest.popitem(last=False)
        return saved

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a step has done so far."""
        self._newest.pop(_place(config), None)
        await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread."""
        try:
            await super().adelete_thread(thread_id)
        finally:  # where it failed it may have happened all the same
            for place in [each for each in self._newest if each[0] == thread_id]:
                del self._newest[place]

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "RememberingSaver":
        """Return one that may also read objects of these types."""
        return RememberingSaver(self._saver.with_allowlist(extra_allowlist), self._threads, is_newest=self._is_newest)


def _place(config: RunnableConfig) -> Place:
    given = config["configurable"]
    return given["thread_id"], given.get("checkpoint_ns", "")


def _named(place: Place, checkpoint_id: str | None) -> RunnableConfig | None:
    if checkpoint_id is None:
        return None
    thread_id, namespace = place
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}


def _copy(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint that a graph may write in; the values of its channels are the same objects."""
    return {
        **checkpoint,
        "channel_values": checkpoint["channel_values"].copy(),
        "channel_versions": checkpoint["channel_versions"].copy(),
        "versions_seen": {node: seen.copy() for node, seen in checkpoint["versions_seen"].items()},
    }
