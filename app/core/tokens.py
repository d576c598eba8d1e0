"""Access tokens: JSON Web Tokens (RFC 7519), signed and checked. Pure: key and clock are given.

The algorithm is the key's, never the token's: one that names another algorithm, or ``none``, is not
genuine (RFC 8725, section 3.1).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import jwt

from app.core.errors import InvalidToken, TokenExpired
from app.models.account import Claims

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]

_LEEWAY_MS = 10_000
"""How far two clocks may be apart."""
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Key:
    """A key that checks tokens, and may sign them.

    Args:
        algorithm: What it is for.
        verifying: A secret of 32 bytes or more, or a public key.
        signing: The same secret, or the private key; None where tokens are made elsewhere.
    """

    algorithm: str
    verifying: Any = field(repr=False)
    signing: Any = field(default=None, repr=False)


def make_token(claims: Claims, key: Key, *, token_id: str, issuer: str, audience: str, now: int) -> str:
    """Return a signed token.

    Args:
        claims: What it says.
        key: One that signs.
        token_id: Its own name.
        issuer: Who makes it.
        audience: Whom it is for.
        now: Milliseconds since the epoch.
    """
    payload: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": claims.account_id,
        "jti": token_id,
        "iat": now // 1000,
        "exp": claims.expires_at // 1000,
    }
    if claims.name is not None:
        payload["name"] = claims.name
    return jwt.encode(payload, key.signing, algorithm=key.algorithm)


def read_token(token: str, key: Key, *, issuer: str, audience: str, now: int) -> Claims:
    """Return what a token says.

    Raises:
        TokenExpired: It was genuine once.
        InvalidToken: It is not genuine, not ours, or not yet good.
    """
    try:
        said = jwt.decode(
            token,
            key.verifying,
            algorithms=[key.algorithm],
            issuer=issuer,
            audience=audience,
            options={
                "require": ["exp", "sub", "iss", "aud"],
                # Time is compared below, by our own clock.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise InvalidToken from error
    expires_at, not_before = _milliseconds(said["exp"]), _milliseconds(said.get("nbf", 0))
    if now < not_before - _LEEWAY_MS or not said["sub"]:
        raise InvalidToken
    if now >= expires_at + _LEEWAY_MS:
        raise TokenExpired
    name = said.get("name") or said.get("preferred_username")
    return Claims(said["sub"], name if isinstance(name, str) else None, expires_at)


def key_id(token: str) -> str | None:
    """Return which key a token says it was signed with; None where it does not say.

    Raises:
        InvalidToken: It is no token at all.
    """
    if len(token) > _LONGEST:
        raise InvalidToken
    try:
        named = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise InvalidToken from error
    return named if isinstance(named, str) else None


def _milliseconds(seconds: object) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidToken
    try:
        return int(seconds * 1000)
    except (OverflowError, ValueError) as error:
        raise InvalidToken from error
