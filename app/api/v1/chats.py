"""Messages whose answers go out over Socket.IO."""

from typing import Annotated

from fastapi import APIRouter, Header, Path
from pydantic import BaseModel, ConfigDict, Field

from app.api.callers import CallerDep
from app.api.deps import ServicesDep
from app.api.errors import PROBLEMS
from app.api.v1.chat import Text
from app.core.errors import DuplicateMessage
from app.models.inputs import MessageId, MultitaskStrategy, ThreadId

router = APIRouter(prefix="/api/v1/chats", tags=["chats"], responses=PROBLEMS)


class ChatMessage(BaseModel):
    """What a rider says."""

    model_config = ConfigDict(extra="ignore")

    content: Text
    multitask_strategy: MultitaskStrategy = Field(
        default="interrupt", description="What becomes of a message that is being answered."
    )


class Accepted(BaseModel):
    """The message was taken: what comes of it is sent to all who have joined the chat."""

    chatId: str  # noqa: N815 - the wire's spelling
    messageId: str = Field(description="In every event of its answer.")  # noqa: N815


@router.post("/{chatId:path}/messages", status_code=202)
async def send(
    chat_id: Annotated[ThreadId, Path(alias="chatId")],
    said: ChatMessage,
    services: ServicesDep,
    caller: CallerDep,
    idempotency_key: Annotated[
        MessageId | None, Header(description="Sent again with the same key, the message runs no second turn.")
    ] = None,
) -> Accepted:
    """Say something in a chat; the first message opens it. The answer goes to its Socket.IO clients."""
    try:
        turn_id = await services.streaming.submit(
            said.content,
            thread_id=chat_id,
            caller=caller,
            strategy=said.multitask_strategy,
            message_id=idempotency_key,
        )
    except DuplicateMessage as known:
        turn_id = known.turn_id
    return Accepted(chatId=chat_id, messageId=turn_id)
