"""Whether the server can do its work."""

from collections.abc import Awaitable, Callable, Mapping

import anyio

Ping = Callable[[], Awaitable[None]]


class HealthService:
    """Pings what the server cannot do without.

    Args:
        pings: By the name of the store.
        timeout_seconds: A store that takes longer is not there.
    """

    def __init__(self, pings: Mapping[str, Ping], *, timeout_seconds: float) -> None:
        self._pings = pings
        self._timeout = timeout_seconds

    async def check(self) -> dict[str, bool]:
        """Return for each store whether it answered."""
        answers = dict.fromkeys(self._pings, False)

        async def ask(name: str, ping: Ping) -> None:
            with anyio.move_on_after(self._timeout):
                try:
                    await ping()
                except Exception:
                    return
                answers[name] = True

        async with anyio.create_task_group() as tasks:
            for name, ping in self._pings.items():
                tasks.start_soon(ask, name, ping)
        return answers
