"""What checks access tokens must do. Implementations: ``local.py``, ``jwks.py``."""

from typing import Protocol

from app.models.account import Claims


class Identity(Protocol):
    """Checks access tokens."""

    async def read(self, token: str, *, now: int) -> Claims:
        """Return what a token says.

        Args:
            token: As the client sent it.
            now: Milliseconds since the epoch.

        Raises:
            TokenExpired: It was good once.
            InvalidToken: It is not genuine, or not for this server.
            IdentityUnavailable: It cannot be checked at the moment.
        """
        ...
