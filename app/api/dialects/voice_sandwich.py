"""What the web client of LangChain's voice-sandwich demo understands: a dozen words of JSON, and sound. Pure.

That client sends 16 kHz mono ``pcm_s16le`` in binary frames and nothing else, and parses whatever it is sent as
JSON, so nothing is ever sent to it but text. It takes no notice of words that it does not know.

Three of its habits decide what it is told:

- A turn begins on its page with an ``stt_chunk``, and with nothing else: so one goes before every ``stt_output``,
  also where a recogniser understands whole utterances only.
- The answer appears on its page with the answer's first ``tts_chunk``: so an answer that was not spoken ends with
  one without sound.
- ``agent_end`` has no case in it; the demo's server sends it where its model is done, ahead of the sound. Clients
  made from it close the answer there, and drop what they know of the turn. So it is made from the turn's terminal
  event: once, last, after the sound, and after the answer was saved.

It works out how long each stage took from the ``ts`` of the stage's first and last event, so those are when a thing
happened, whenever it is sent.
"""

import json
from typing import Any, Literal

from app.core.errors import AppError
from app.models.events import (
    AgentChunk,
    AgentError,
    BaseEvent,
    SttChunk,
    SttOutput,
    ToolCall,
    ToolResult,
    TtsChunk,
    TurnEnd,
)

FrameType = Literal[
    "stt_chunk", "stt_output", "agent_chunk", "tool_call", "tool_result", "agent_end", "tts_chunk", "error"
]


class VoiceSandwichDialect:
    """Events to text frames, for one connection."""

    def __init__(self) -> None:
        self._spoken: str | None = None
        """The turn that was heard last."""

    def encode(self, event: BaseEvent) -> list[str]:
        """Return the frames of an event, in order; none where the client has no word for it."""
        match event:
            case SttChunk(ts=ts, text=text):
                return [_frame("stt_chunk", ts, transcript=text)]
            case SttOutput(ts=ts, text=text):
                return [_frame("stt_chunk", ts, transcript=text), _frame("stt_output", ts, transcript=text)]
            case AgentChunk(ts=ts, text=text):
                return [_frame("agent_chunk", ts, text=text)]
            case ToolCall(ts=ts, tool_call_id=call_id, name=name, args=args):
                return [_frame("tool_call", ts, id=call_id, name=name, args=args)]
            case ToolResult(ts=ts, tool_call_id=call_id, name=name, result=result):
                return [_frame("tool_result", ts, toolCallId=call_id, name=name, result=_as_text(result))]
            case TtsChunk(ts=ts, audio=audio):
                self._spoken = event.turn_id
                return [_frame("tts_chunk", ts, audio=audio)]
            case AgentError(ts=ts, error=message, code=code):
                return [_frame("error", ts, code=code, message=message)]
            case TurnEnd(ts=ts):
                silent = [] if self._spoken == event.turn_id else [_frame("tts_chunk", ts, audio="")]
                return [*silent, _frame("agent_end", ts)]
        return []

    def complain(self, error: AppError, ts: int) -> str:
        """Return the frame that says what went wrong outside a turn."""
        return _frame("error", ts, code=error.error_code, message=error.message)


def _frame(kind: FrameType, ts: int, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields, "ts": ts}, ensure_ascii=False, separators=(",", ":"))


def _as_text(result: str | dict[str, Any]) -> str:
    """Return a tool's result as the client shows it."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
