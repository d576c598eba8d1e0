"""What a client of the guaranteed answers may send over Socket.IO."""

from typing import Annotated

from pydantic import ConfigDict, Field

from app.models.inputs import ClientMessage, ThreadId

Token = Annotated[str, Field(max_length=8192, repr=False)]
"""An access token; empty where nobody is logged in."""


class ChatMessage(ClientMessage):
    """What the messages about a chat share."""

    model_config = ConfigDict(populate_by_name=True)

    chat_id: ThreadId = Field(alias="chatId")


class JoinChat(ChatMessage):
    """``join-chat``: follow a chat, from now on or from where a lost connection left off."""

    token: Token = ""
    message_id: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(default=None, alias="messageId")
    """The message whose answer the client was reading; alone, one whose answer it has whole."""
    chunk_index: Annotated[int, Field(ge=-1, le=2**53)] | None = Field(default=None, alias="chunkIndex")
    """The last chunk that it has; -1 is none."""
    position: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """The characters that it has."""


class LeaveChat(ChatMessage):
    """``leave-chat``: follow it no longer."""
