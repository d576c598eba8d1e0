"""FastAPI, LangGraph and langchain-openai as a tutorial puts them together: nothing tuned, nothing left out.

``python benchmarks/contenders/tutorial.py PORT``, with OPENAI_BASE_URL, OPENAI_API_KEY and MODEL.
"""

import os
import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

llm = ChatOpenAI(model=os.environ["MODEL"])


async def agent(state: MessagesState) -> dict[str, list[object]]:
    """Answer."""
    return {"messages": [await llm.ainvoke(state["messages"])]}


builder = StateGraph(MessagesState)
builder.add_node("agent", agent)
builder.add_edge(START, "agent")
graph = builder.compile(checkpointer=InMemorySaver())
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
            asked = {"messages": [{"role": "user", "content": said["text"]}]}
            thread = {"configurable": {"thread_id": said["thread_id"]}}
            async for chunk, _ in graph.astream(asked, thread, stream_mode="messages"):
                if chunk.content:
                    await websocket.send_json({"type": "token", "text": chunk.content})
            await websocket.send_json({"type": "end"})
    except WebSocketDisconnect:
        return


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
