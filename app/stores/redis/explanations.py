"""Where users are in explanations, for all processes together."""

from app.models.explanations import ExplanationSession
from app.stores.redis.client import RedisClient
from app.stores.redis.keys import session_key


class RedisExplanationSessions:
    """An ``ExplanationSessionStore``: a key for each user, which runs out by itself.

    Args:
        redis: Open for longer than this.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def get(self, user_id: str) -> ExplanationSession | None:
        """See ``ExplanationSessionStore``."""
        found = await self._redis.call(lambda redis: redis.get(session_key(user_id)))
        return None if found is None else ExplanationSession.model_validate_json(found)

    async def put(self, session: ExplanationSession, *, seconds: float) -> None:
        """See ``ExplanationSessionStore``."""
        document, life = session.model_dump_json(), max(1, int(seconds * 1000))
        await self._redis.call(lambda redis: redis.set(session_key(session.user_id), document, px=life))

    async def forget(self, user_id: str) -> None:
        """See ``ExplanationSessionStore``."""
        await self._redis.call(lambda redis: redis.delete(session_key(user_id)))
