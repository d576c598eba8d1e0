"""Tokens of an identity provider, checked with the keys that it publishes (RFC 7517)."""

from typing import Any

import anyio
import httpx
import jwt
import structlog

from app.core.errors import IdentityUnavailable, InvalidToken
from app.core.tokens import Key, key_id, read_token
from app.models.account import Claims

log = structlog.stdlib.get_logger("voztaxi.identity")

_KEPT_MS = 600_000
_AGAIN_MS = 10_000
"""No more often is it asked because of a key that it did not publish: anybody can name one."""
_LARGEST = 262_144
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"})


class JwksIdentity:
    """An ``Identity``.

    Args:
        client: Asks for the keys.
        url: Where they are published.
        issuer: Who makes the tokens.
        audience: Whom they are for.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, *, issuer: str, audience: str) -> None:
        self._client = client
        self._url = url
        self._issuer = issuer
        self._audience = audience
        self._keys: dict[str | None, Key] = {}
        self._asked_at: int | None = None
        self._had_at: int | None = None
        self._asking = anyio.Lock()

    async def read(self, token: str, *, now: int) -> Claims:
        """See ``Identity``."""
        key = await self._key(key_id(token), now)
        return read_token(token, key, issuer=self._issuer, audience=self._audience, now=now)

    async def _key(self, named: str | None, now: int) -> Key:
        async with self._asking:
            is_old = self._had_at is None or now - self._had_at >= _KEPT_MS
            if (is_old or self._find(named) is None) and (self._asked_at is None or now - self._asked_at >= _AGAIN_MS):
                self._asked_at = now
                await self._fetch(now)
        key = self._find(named)
        if key is not None:
            return key
        raise IdentityUnavailable if self._had_at is None else InvalidToken

    def _find(self, named: str | None) -> Key | None:
        if named is None:  # it need not be named where there is one only
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(named)

    async def _fetch(self, now: int) -> None:
        """Ask for the keys; where that fails, those that are known stay good."""
        try:
            answer = await self._client.get(self._url)
            answer.raise_for_status()
            if len(answer.content) > _LARGEST:
                raise ValueError("too large")
            found = _read_keys(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            log.warning("keys of the identity provider could not be had", exc_info=error)
            return
        self._keys, self._had_at = found, now


def _read_keys(published: Any) -> dict[str | None, Key]:
    """Return the keys that sign tokens; of others nothing is said.

    Raises:
        ValueError: It is no set of keys.
    """
    if not isinstance(published, dict) or not isinstance(published.get("keys"), list):
        raise ValueError("no set of keys")
    found: dict[str | None, Key] = {}
    for each in published["keys"]:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(each)
        except jwt.PyJWTError:
            continue
        # A shared secret has no place among keys that everybody can read.
        if key.algorithm_name in _ALGORITHMS:
            found[key.key_id] = Key(key.algorithm_name, key.key)
    return found
