"""Why the server closes a WebSocket, by number, and whether the client may come back."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Close:
    """A close code of the protocol."""

    code: int
    reason: str
    may_reconnect: bool


SERVICE_RESTART = Close(1012, "service restart", may_reconnect=True)
TRY_AGAIN_LATER = Close(1013, "try again later", may_reconnect=True)
FRAME_TOO_LARGE = Close(1009, "frame too large", may_reconnect=True)
SLOW_CLIENT = Close(4408, "client reads too slowly", may_reconnect=True)
INTERNAL = Close(1011, "internal error", may_reconnect=True)
UNAUTHENTICATED = Close(4401, "authentication failed", may_reconnect=False)
