"""pipecat over FastAPI's WebSocket, text in and text out: its own transport, aggregators and OpenAI service.

``python benchmarks/contenders/pipecat_text.py PORT``, with OPENAI_BASE_URL, OPENAI_API_KEY and MODEL. The conversation
is its context, one for each connection; another ``thread_id`` begins it anew. What pipecat has for speech and what it
would send besides is off: its own protocol for clients, RTVI, would say each token a second time.
"""

import json
import os
import sys

os.environ.setdefault("PIPECAT_LOG_LEVEL", "WARNING")

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger

logger.remove()
logger.add(sys.stderr, level="WARNING")

from pipecat.frames.frames import (  # noqa: E402 - after its logger is told to be quiet
    Frame,
    LLMContextAssistantTurnFrame,
    LLMMessagesAppendFrame,
    LLMMessagesUpdateFrame,
    LLMTextFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.worker import PipelineWorker  # noqa: E402
from pipecat.processors.aggregators.llm_context import LLMContext  # noqa: E402
from pipecat.processors.aggregators.llm_response_universal import (  # noqa: E402
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # noqa: E402
from pipecat.serializers.base_serializer import FrameSerializer  # noqa: E402
from pipecat.services.openai.llm import OpenAILLMService  # noqa: E402
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport  # noqa: E402
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies  # noqa: E402
from pipecat.workers.runner import WorkerRunner  # noqa: E402


class JsonSerializer(FrameSerializer):
    """Texts in, messages out."""

    thread = ""
    """Whose conversation the context holds."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """See ``FrameSerializer``."""
        if isinstance(frame, OutputTransportMessageUrgentFrame):
            return json.dumps(frame.message, separators=(",", ":"))
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """See ``FrameSerializer``."""
        said = json.loads(data)
        messages = [{"role": "user", "content": said["text"]}]
        if said["thread_id"] == self.thread:
            return LLMMessagesAppendFrame(messages=messages, run_llm=True)
        self.thread = said["thread_id"]
        return LLMMessagesUpdateFrame(messages=messages, run_llm=True)


class Tokens(FrameProcessor):
    """Sends the client each token, and the end once the context holds the answer: the next turn builds on it."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See ``FrameProcessor``."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            await self.push_frame(OutputTransportMessageUrgentFrame(message={"type": "token", "text": frame.text}))
        elif isinstance(frame, LLMContextAssistantTurnFrame) and direction is FrameDirection.UPSTREAM:
            await self.push_frame(OutputTransportMessageUrgentFrame(message={"type": "end"}))
        await self.push_frame(frame, direction)


app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "healthy"}


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    """Hold a conversation."""
    await websocket.accept()
    transport = FastAPIWebsocketTransport(
        websocket=websocket, params=FastAPIWebsocketParams(serializer=JsonSerializer())
    )
    llm = OpenAILLMService(
        api_key="none",
        base_url=os.environ["OPENAI_BASE_URL"],
        settings=OpenAILLMService.Settings(model=os.environ["MODEL"]),
    )
    # The default would load a model of its own that hears whether somebody has finished speaking.
    typed = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())
    user, assistant = LLMContextAggregatorPair(LLMContext(), user_params=typed)
    pipeline = Pipeline([transport.input(), user, llm, Tokens(), assistant, transport.output()])
    worker = PipelineWorker(pipeline, idle_timeout_secs=None, enable_rtvi=False, enable_turn_tracking=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_disconnected")
    async def gone(_transport: object, _client: object) -> None:
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
