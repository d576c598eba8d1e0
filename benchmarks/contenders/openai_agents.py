"""OpenAI's agents SDK behind FastAPI, as its examples write it; conversations in its own SQLite session, in memory.

``python benchmarks/contenders/openai_agents.py PORT``, with OPENAI_BASE_URL, OPENAI_API_KEY and MODEL.
"""

import os
import sys

import uvicorn
from agents import Agent, OpenAIChatCompletionsModel, Runner, SQLiteSession, set_tracing_disabled
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent

set_tracing_disabled(disabled=True)  # else it sends what is said to its maker
agent = Agent(
    name="assistant", model=OpenAIChatCompletionsModel(model=os.environ["MODEL"], openai_client=AsyncOpenAI())
)
sessions: dict[str, SQLiteSession] = {}
app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that it is there."""
    return {"status": "healthy"}


@app.websocket("/ws")
async def chat(websocket: WebSocket) -> None:
    """Serve one WebSocket."""
    await websocket.accept()
    try:
        while True:
            said = await websocket.receive_json()
            thread = said["thread_id"]
            session = sessions.setdefault(thread, SQLiteSession(thread))
            result = Runner.run_streamed(agent, said["text"], session=session)
            async for event in result.stream_events():
                if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
                    await websocket.send_json({"type": "token", "text": event.data.delta})
            await websocket.send_json({"type": "end"})
    except WebSocketDisconnect:
        return


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
