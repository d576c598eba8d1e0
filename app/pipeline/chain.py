"""The stages in a row: speech-to-text > agent > text-to-speech."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from app.engines.stt.base import SttEngine
from app.engines.tts.base import TtsEngine
from app.models.conversation import Message, TurnInput
from app.models.events import EventSource, ThreadEvent
from app.pipeline.agent import AgentGraph, AgentTurn
from app.pipeline.stt import stt_stage
from app.pipeline.tts import tts_stage


class ChainPipeline:
    """Makes the stages of each turn from one set of engines and one graph."""

    def __init__(self, *, stt: SttEngine, agent: AgentGraph, tts: TtsEngine) -> None:
        self._stt = stt
        self._agent = agent
        self._tts = tts

    def prepare(self, said: TurnInput, source: EventSource) -> "ChainStages":
        """Return the stages of one turn, not yet open."""
        return ChainStages(
            said=said, source=source, stt=self._stt, agent=AgentTurn(self._agent, said, source), tts=self._tts
        )


class ChainStages:
    """The stages of one turn."""

    def __init__(
        self, *, said: TurnInput, source: EventSource, stt: SttEngine, agent: AgentTurn, tts: TtsEngine
    ) -> None:
        self._said = said
        self._source = source
        self._stt = stt
        self._agent = agent
        self._tts = tts

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterable[ThreadEvent]]:
        """Open the stages; nothing of them outlives the block."""
        async with (
            aclosing(stt_stage(self._said.text, self._stt, self._source)) as transcripts,
            self._agent.open(transcripts) as replies,
            aclosing(tts_stage(replies, self._tts)) as events,
        ):
            yield events

    def undelivered(self) -> Sequence[ThreadEvent]:
        """Return what the agent still had to say when it was stopped."""
        return self._agent.undelivered()

    async def reconcile(self, lines: Sequence[Message]) -> None:
        """Make the agent's memory agree with ``lines``."""
        await self._agent.reconcile(lines)
