"""Guaranteed answers: a client joins a chat and is sent what comes of its messages, whoever sent them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import anyio
from pydantic import BaseModel

from app.api.dialects.ai_responses import AiResponses, Frame, Had, refusal
from app.api.socketio.base import Connection, Family, Payload
from app.core.errors import AppError, LogTruncated, RateLimited
from app.models.account import Caller
from app.models.chats import ChatMessage, JoinChat, LeaveChat
from app.models.events import Record
from app.stores.base import LogReader

_WINDOWS = (512, 8192)
"""Newest records of a chat in which the beginning of a message is looked for, before all are read."""


class Chats(Family):
    """The chats that a client follows. Each is read from its log, which every process has."""

    events: ClassVar[Mapping[str, type[BaseModel]]] = {"join-chat": JoinChat, "leave-chat": LeaveChat}

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._following: dict[str, _Following] = {}

    async def take(self, message: Any) -> None:
        """See ``Family``. A chat is joined when this returns: what comes then is sent."""
        match message:
            case JoinChat():
                await self._join(message)
            case LeaveChat(chat_id=chat_id):
                await self._leave(chat_id)

    def error(self, error: AppError, about: object) -> Payload:
        """See ``Family``."""
        given = about.chat_id if isinstance(about, ChatMessage) else None
        if isinstance(about, dict) and isinstance(about.get("chatId"), str):
            given = about["chatId"][:128]
        return refusal(given, error)

    async def flush(self) -> None:
        """See ``Family``."""
        for chat_id, following in list(self._following.items()):
            await following.until_sent(await self.connection.services.streaming.position(chat_id))

    async def _join(self, message: JoinChat) -> None:
        services = self.connection.services
        caller = await self.connection.authenticate(message.token)
        await services.threads.authorise(message.chat_id, caller)
        had = Had(message.message_id, message.chunk_index, message.position)
        if message.chat_id in self._following:
            if had == Had():
                return
            await self._leave(message.chat_id)
        if len(self._following) >= services.settings.max_threads_per_connection:
            raise RateLimited("Esta conexión sigue demasiados chats.")
        following = self._following[message.chat_id] = _Following(self.connection, message.chat_id, caller)
        self.start(partial(self._follow, following, had), message)
        await following.opened.wait()

    async def _leave(self, chat_id: str) -> None:
        following = self._following.pop(chat_id, None)
        if following is not None:
            await following.stop()

    async def _follow(self, following: "_Following", had: Had) -> None:
        try:
            await following.run(had)
        finally:
            following.ended()
            if self._following.get(following.chat_id) is following:
                del self._following[following.chat_id]


class _Following:
    """A chat on its way to a client."""

    def __init__(self, connection: Connection, chat_id: str, caller: Caller) -> None:
        self.chat_id = chat_id
        self.opened = anyio.Event()
        """Set when nothing of the chat can be missed any more, or it cannot be followed."""
        self._connection = connection
        self._streaming = connection.services.streaming
        self._caller = caller
        self._dialect = AiResponses(chat_id)
        self._scope = anyio.CancelScope()
        self._stopped = anyio.Event()
        self._sent_seq = 0
        self._progress = anyio.Event()

    async def run(self, had: Had) -> None:
        """Send what the client is owed, and what comes, until it is stopped."""
        with self._scope:
            await self._catch_up(had)
            while True:
                # The log was lost, or has left the client behind: the message under way cannot be told whole.
                await self._send(self._dialect.lose())
                async with self._streaming.subscribe(self.chat_id, caller=self._caller) as reader:
                    await self._pump(reader, reader.position.seq)

    async def stop(self) -> None:
        """Send nothing more."""
        self._scope.cancel()
        await self._stopped.wait()

    def ended(self) -> None:
        """Note that nothing more will be sent."""
        self.opened.set()
        self._stopped.set()
        self._advance(2**63)

    async def until_sent(self, seq: int) -> None:
        """Wait until all up to ``seq`` was sent."""
        while self._sent_seq < seq:
            await self._progress.wait()

    async def _catch_up(self, had: Had) -> None:
        """Find where the client goes on, and send all from there."""
        newest = await self._streaming.position(self.chat_id)
        for after_seq in dict.fromkeys((*(max(0, newest - window) for window in _WINDOWS), 0)):
            async with self._streaming.subscribe(self.chat_id, after_seq=after_seq, caller=self._caller) as reader:
                backlog = await _backlog(reader, after_seq)
                if after_seq == 0 and not reader.recovered and had != Had():
                    raise LogTruncated
                owed = self._dialect.begin(had, backlog, is_whole=after_seq == 0)
                if owed is None:
                    continue
                self.opened.set()
                await self._send(owed)
                await self._pump(reader, reader.position.seq)
                return

    async def _pump(self, reader: LogReader, seq: int) -> None:
        """Send what is logged, until the log is lost."""
        self._advance(seq)
        try:
            while True:
                for record in await reader.read():
                    await self._send(self._dialect.encode(record))
                    self._advance(record.seq)
        except LogTruncated:
            return

    async def _send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            await self._connection.emit(frame.name, frame.payload)

    def _advance(self, seq: int) -> None:
        self._sent_seq = seq
        progress, self._progress = self._progress, anyio.Event()
        progress.set()


async def _backlog(reader: LogReader, after_seq: int) -> list[Record]:
    """Return what was logged when the reader was opened; nothing where the log does not reach back so far."""
    backlog: list[Record] = []
    seq = after_seq if reader.recovered else reader.position.seq
    while seq < reader.position.seq:
        backlog += await reader.read()
        seq = backlog[-1].seq
    return backlog
