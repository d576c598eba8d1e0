"""The stages in a row: speech-to-text > agent > text-to-speech."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from app.models.conversation import Message, TurnInput
from app.models.events import EventSource, ThreadEvent
from app.pipeline.agent import AgentGraph, AgentTurn
from app.pipeline.playback import Playback
from app.pipeline.stt import stt_stage
from app.pipeline.tts import Speech, SpokenAnswer


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
        agent = AgentTurn(self._agent, said, source)
        if playback is None:
            return ChainStages(said, source, agent)
        if self._speech is None:
            playback.finish()  # nothing speaks: the answer is read
            return ChainStages(said, source, agent)
        return ChainStages(said, source, agent, SpokenAnswer(self._speech, source, playback))


class ChainStages:
    """The stages of one turn."""

    def __init__(
        self, said: TurnInput, source: EventSource, agent: AgentTurn, spoken: SpokenAnswer | None = None
    ) -> None:
        self._said = said
        self._source = source
        self._agent = agent
        self._spoken = spoken

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterable[ThreadEvent]]:
        """Open the stages; nothing of them outlives the block."""
        async with (
            aclosing(stt_stage(self._said, self._source)) as transcripts,
            self._agent.open(transcripts) as replies,
        ):
            if self._spoken is None:
                yield replies
            else:
                async with self._spoken.open(replies) as events:
                    yield events

    def undelivered(self) -> Sequence[ThreadEvent]:
        """Return what the stages still had to say when they were stopped, in order."""
        ahead = [] if self._spoken is None else self._spoken.undelivered()
        return [*ahead, *self._agent.undelivered()]

    async def reconcile(self, lines: Sequence[Message]) -> None:
        """Make the agent's memory agree with ``lines``."""
        await self._agent.reconcile(lines)
