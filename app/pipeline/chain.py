"""The stages in a row: speech-to-text > agent > text-to-speech."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from app.models.conversation import Message, TurnInput
from app.models.events import EventSource, ThreadEvent
from app.pipeline.agent import AgentGraph, AgentTurn
from app.pipeline.playback import Playback
from app.pipeline.stt import stt_stage
from app.pipeline.tts import Speech


class ChainPipeline:
    """Makes the stages of each turn from one set of engines and one graph."""

    def __init__(self, *, agent: AgentGraph, speech: Speech | None = None) -> None:
        self._agent = agent
        self._speech = speech

    def playback(self) -> Playback | None:
        """Return what follows one spoken answer; None where nothing speaks."""
        return None if self._speech is None else Playback(time.monotonic)

    def prepare(self, said: TurnInput, source: EventSource, playback: Playback | None = None) -> "ChainStages":
        """Return the stages of one turn, not yet open; with ``playback`` its answer is spoken too."""
        return ChainStages(said, source, AgentTurn(self._agent, said, source))


class ChainStages:
    """The stages of one turn."""

    def __init__(self, said: TurnInput, source: EventSource, agent: AgentTurn) -> None:
        self._said = said
        self._source = source
        self._agent = agent

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterable[ThreadEvent]]:
        """Open the stages; nothing of them outlives the block."""
        async with (
            aclosing(stt_stage(self._said, self._source)) as transcripts,
            self._agent.open(transcripts) as replies,
        ):
            yield replies

    def undelivered(self) -> Sequence[ThreadEvent]:
        """Return what the agent still had to say when it was stopped."""
        return self._agent.undelivered()

    async def reconcile(self, lines: Sequence[Message]) -> None:
        """Make the agent's memory agree with ``lines``."""
        await self._agent.reconcile(lines)
