"""What the protocols over Socket.IO have in common: a connection, and a family of events on it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus
from pydantic import BaseModel, ValidationError

from app.api.callers import identify
from app.api.deps import Services
from app.core.errors import AppError, BadInput, as_app_error
from app.models.account import ANYONE, Caller
from app.services.accounts import caller_of

log = structlog.stdlib.get_logger("voztaxi.socketio")

Payload = Mapping[str, Any]
Emit = Callable[[str, Payload], Awaitable[None]]


class Connection:
    """One client: what it is sent, who speaks, and the work that goes on for it until it leaves.

    Args:
        connection_id: Names it, in this process.
        services: The services.
        address: Where it comes from.
        emit: Sends it an event; waits where it has much to read, and raises ``ClientGone`` where it reads nothing.
    """

    tasks: TaskGroup
    """What runs here is ended when the client leaves, and when the server stops. See ``Family.start``."""

    def __init__(self, connection_id: str, services: Services, address: str, emit: Emit) -> None:
        self.id = connection_id
        self.services = services
        self.address = address
        self.emit = emit
        self._left = anyio.Event()
        self._ended = anyio.Event()

    async def serve(self, *, task_status: TaskStatus[None]) -> None:
        """Keep the connection's tasks until the client leaves."""
        try:
            with self.services.connections.open("socketio"):
                async with anyio.create_task_group() as self.tasks:
                    task_status.started()
                    await self._left.wait()
                    self.tasks.cancel_scope.cancel()
        finally:
            self._ended.set()

    @property
    def has_left(self) -> bool:
        """Whether nothing more is done for it."""
        return self._left.is_set()

    def leave(self) -> None:
        """End the connection's tasks; its socket is closed, and its client may come back."""
        self._left.set()

    async def close(self) -> None:
        """Leave, and wait until the tasks have ended."""
        self.leave()
        await self._ended.wait()

    async def authenticate(self, token: str) -> Caller:
        """Return who speaks: what the token of an event proves. Empty is somebody who is not logged in.

        Raises:
            Unauthenticated: It is not good, or there is none and one is needed.
            RateLimited: The account says too much.
        """
        claims = await identify(self.services, token or None)
        caller = replace(ANYONE if claims is None else caller_of(claims), address=self.address)
        await self.services.rates.account(caller)
        return caller


class Family(ABC):
    """The events of one protocol, on one connection.

    What is raised while an event is handled reaches the client as an ``error``, and the connection stays open.
    """

    events: ClassVar[Mapping[str, type[BaseModel]]] = {}
    """What a client may send, by name."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @abstractmethod
    async def take(self, message: Any) -> None:
        """Do what a client asks; ``message`` is one of ``events``.

        The client's next event waits for it: what takes long is started (``start``), not awaited.
        """

    def error(self, error: AppError, about: object) -> Payload:
        """Return the ``error`` of this protocol; ``about`` is the message, or what was sent in its place."""
        return {"code": error.error_code, "message": error.message}

    async def flush(self) -> None:
        """Return when the client was sent what it is owed: the server stops. There are two seconds."""
        return

    async def complain(self, reason: BaseException, about: object) -> None:
        """Tell the client what went wrong."""
        error = as_app_error(reason)
        if error.code == AppError.code:
            log.error("event failed unexpectedly", exc_info=reason)
        await self.connection.emit("error", self.error(error, about))

    def start(self, work: Callable[[], Awaitable[None]], about: object) -> None:
        """Let something go on beside other events, until it is done or the client leaves."""

        async def guarded() -> None:
            try:
                await work()
            except ClientGone:
                self.connection.leave()
            except Exception as error:
                await self._complain_if_there(error, about)

        self.connection.tasks.start_soon(guarded)

    async def _complain_if_there(self, reason: Exception, about: object) -> None:
        try:
            await self.complain(reason, about)
        except ClientGone:
            self.connection.leave()


class Unknown(Family):
    """Answers events that no protocol has."""

    async def take(self, message: Any) -> None:
        """Refuse."""
        raise BadInput("No existe ese evento.", code="unknown_type")


class ClientGone(Exception):
    """The client reads nothing, or is not there any more."""


def read_payload(kind: type[BaseModel], arguments: tuple[Any, ...]) -> BaseModel:
    """Return what a client sent with an event; what follows the first argument is ignored.

    Raises:
        BadInput: It is not what the event needs.
    """
    if not arguments or not isinstance(arguments[0], dict):
        raise BadInput("El evento necesita un objeto.")
    try:
        return kind.model_validate(arguments[0])
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise BadInput(f"El campo «{where}» no es válido.") from None
