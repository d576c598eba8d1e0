"""What is computed from events by watching. Stages and engines hold no such code."""

from collections.abc import Collection

import structlog

from app.core import metrics
from app.models.conversation import TurnInput
from app.models.events import (
    AgentChunk,
    AgentError,
    AgentName,
    ModelUsage,
    SttChunk,
    SttOutput,
    ThreadEvent,
    ToolCall,
    ToolResult,
    TtsChunk,
    TurnEnd,
)

log = structlog.stdlib.get_logger("voztaxi.turn")


class LogObserver:
    """Tells the log what happens in a turn."""

    def __init__(self, said: TurnInput) -> None:
        self._log = log.bind(thread_id=said.thread_id, turn_id=said.turn_id)
        self._received_at = said.received_at
        self._first_word_ms: int | None = None

    def observe(self, event: ThreadEvent) -> None:
        """See ``Observer``."""
        match event:
            case SttOutput():
                self._log.info("heard", stage="stt", characters=len(event.text), pii_text=event.text)
            case AgentChunk() if self._first_word_ms is None:
                self._first_word_ms = event.ts - self._received_at
            case ToolCall():
                self._log.info("tool called", stage=event.agent, tool=event.name, pii_args=event.args)
            case ToolResult():
                failed = failure_of(event) is not None
                self._log.info("tool answered", tool=event.name, failed=failed, pii_result=event.result)
            case AgentError():
                self._log.warning("turn failed", code=event.code)
            case TurnEnd():
                self._log.info(
                    "turn ended",
                    status=event.status,
                    booking_id=event.booking_id,
                    first_word_ms=self._first_word_ms,
                    total_ms=event.ts - self._received_at,
                    pii_text=event.text,
                )
            case _:
                pass


class MetricsObserver:
    """Counts what happens in a turn.

    Times begin when the input was received, and are noted when the turn ends. A turn whose process died took as
    long as it took to notice, and one that was interrupted ended when its rider wished: neither has a time for its
    end, nor the first any other.

    Args:
        said: The turn's input.
        tools: The tools that there are; a chat model may ask for others.
    """

    def __init__(self, said: TurnInput, *, tools: Collection[str]) -> None:
        self._received_at = said.received_at
        self._tools = tools
        self._first: dict[str, int] = {}
        self._chunks: dict[AgentName, int] = {}
        self._characters: dict[AgentName, int] = {}
        self._code = ""

    def observe(self, event: ThreadEvent) -> None:
        """See ``Observer``."""
        match event:
            case AgentChunk(agent=agent):
                self._first.setdefault("first_token", event.ts)
                self._chunks[agent] = self._chunks.get(agent, 0) + 1
                self._characters[agent] = self._characters.get(agent, 0) + len(event.text)
            case TtsChunk():
                self._first.setdefault("first_audio", event.ts)
            case SttChunk() | SttOutput():
                self._first.setdefault("first_event", event.ts)
            case ToolResult():
                failure = failure_of(event)
                outcome = "completed" if failure is None else "interrupted" if failure == "interrupted" else "failed"
                metrics.TOOL_CALLS.labels(known_tool(event.name, self._tools), outcome).inc()
            case ModelUsage():
                metrics.MODEL_TOKENS.labels(event.agent, "input").inc(event.input_tokens)
                metrics.MODEL_TOKENS.labels(event.agent, "output").inc(event.output_tokens)
            case AgentError():
                self._code = event.code if event.code in metrics.FAILURE_CODES else metrics.OTHER
            case TurnEnd():
                self._end(event)
            case _:
                pass

    def _end(self, event: TurnEnd) -> None:
        metrics.TURNS.labels(event.status, self._code).inc()
        for agent, chunks in self._chunks.items():
            metrics.ANSWER_CHUNKS.labels(agent).inc(chunks)
            metrics.ANSWER_CHARACTERS.labels(agent).inc(self._characters[agent])
        if self._code == "worker_lost" or "first_event" not in self._first:
            return
        if event.status != "interrupted":
            self._first["end"] = event.ts
        for stage, at in self._first.items():
            metrics.TURN_SECONDS.labels(stage).observe(max(0, at - self._received_at) / 1000)


def failure_of(result: ToolResult) -> str | None:
    """Return the code of a tool call that failed; None where it did not."""
    if isinstance(result.result, dict) and result.result.get("status") == "failed":
        return str(result.result.get("code", metrics.OTHER))
    return None


def known_tool(name: str, tools: Collection[str]) -> str:
    """Return the name of a tool; of one that does not exist, which a chat model made up, only that it is another."""
    return name if name in tools else metrics.OTHER
