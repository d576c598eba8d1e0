"""The largest body that is read of a request."""

from collections.abc import Awaitable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import problem
from app.core.errors import BodyTooLarge

_LONGEST_NUMBER = 18


class BodyLimit:
    """Answers 413 to a body that is too large: at once where its length is told, else when that much has come.

    Args:
        app: What reads the body.
        max_bytes: The largest.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, if its body is small enough."""
        serve = self._serve if scope["type"] == "http" else self._app
        return serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = problem(413, BodyTooLarge.code, BodyTooLarge.default)
        told = dict(scope["headers"]).get(b"content-length", b"")
        if told.isdigit() and (len(told) > _LONGEST_NUMBER or int(told) > self._max_bytes):
            await refusal(scope, receive, send)
            return
        taken = 0
        answered = False

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken <= self._max_bytes:
                return message
            if answered:
                return {"type": "http.disconnect"}  # nothing more is heard of who goes on
            raise BodyTooLarge

        async def send_unless_refused(message: Message) -> None:
            nonlocal answered
            if not answered and taken > self._max_bytes:
                return  # whatever was made of the error: the answer is ours
            answered = True
            await send(message)

        with suppress(BodyTooLarge):
            await self._app(scope, receive_counted, send_unless_refused)
        if not answered and taken > self._max_bytes:
            await refusal(scope, receive, send)
