"""How often something was done, in all processes together."""

from limits.aio.storage import RedisStorage

from app.models.rate import Rate, Verdict, Window
from app.stores.redis.client import RedisClient, redis_errors

_PREFIX = "voztaxi:rate"


class RedisRateCounter:
    """Counts in Redis, by the scripts of ``limits``. Its keys run out by themselves, after two windows.

    Args:
        redis: The connections.
    """

    def __init__(self, redis: RedisClient) -> None:
        # The address is not used where there are connections, so it need not be ours, with its password.
        self._storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=_PREFIX,
            connection_pool=redis.pool,  # type: ignore[arg-type]  # documented, and not in the annotation
        )

    async def hit(self, rate: Rate, key: str) -> Verdict:
        """See ``RateCounter``."""
        name = _name(rate, key)
        with redis_errors():
            allowed = await self._storage.acquire_sliding_window_entry(name, rate.amount, rate.seconds)
            window = await self._window(name, rate)
        return window.verdict(rate, allowed=allowed)

    async def look(self, rate: Rate, key: str) -> Verdict:
        """See ``RateCounter``."""
        with redis_errors():
            window = await self._window(_name(rate, key), rate)
        return window.outlook(rate)

    async def _window(self, name: str, rate: Rate) -> Window:
        previous, _, current, expires = await self._storage.get_sliding_window(name, rate.seconds)
        # The counter of a window lives for one window more.
        return Window(previous, current, max(0.0, expires - rate.seconds))


def _name(rate: Rate, key: str) -> str:
    """Return what a key is counted under: processes with other settings, while they are changed, have their own."""
    return f"{key}:{rate.amount}:{rate.seconds}"
