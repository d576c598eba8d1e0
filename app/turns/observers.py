"""What is computed from events by watching. Stages and engines hold no such code."""

import structlog

from app.models.conversation import TurnInput
from app.models.events import AgentChunk, AgentError, SttOutput, ThreadEvent, ToolCall, ToolResult, TurnEnd

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
                failed = isinstance(event.result, dict) and event.result.get("status") == "failed"
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
