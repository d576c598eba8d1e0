"""Tokens of our own: made here, checked here."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from app.core.errors import Misconfigured
from app.core.tokens import Algorithm, Key, make_token, read_token
from app.models.account import Claims

_SHORTEST_SECRET = 32
_SHORTEST_RSA = 2048


class LocalIdentity:
    """An ``Identity`` that also makes tokens.

    Args:
        key: Signs and checks.
        issuer: Who makes the tokens.
        audience: Whom they are for.
    """

    def __init__(self, key: Key, *, issuer: str, audience: str) -> None:
        self._key = key
        self._issuer = issuer
        self._audience = audience

    async def read(self, token: str, *, now: int) -> Claims:
        """See ``Identity``."""
        return read_token(token, self._key, issuer=self._issuer, audience=self._audience, now=now)

    def make(self, claims: Claims, *, token_id: str, now: int) -> str:
        """Return a token that says ``claims``; ``now`` is in milliseconds since the epoch."""
        return make_token(claims, self._key, token_id=token_id, issuer=self._issuer, audience=self._audience, now=now)


def secret_key(secret: SecretStr) -> Key:
    """Return the key of a shared secret.

    Raises:
        ValueError: It is shorter than what it protects (RFC 7518, section 3.2).
    """
    held = secret.get_secret_value().encode()
    if len(held) < _SHORTEST_SECRET:
        raise ValueError(f"must have at least {_SHORTEST_SECRET} bytes")
    return Key("HS256", held, held)


def private_key(file: Path, algorithm: Algorithm) -> Key:
    """Return the key in a PEM file.

    Raises:
        Misconfigured: There is none, or it is not one for ``algorithm``.
    """
    try:
        held = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured(f"JWT_PRIVATE_KEY_FILE cannot be read: {error}") from error
    match algorithm, held:
        case "RS256", RSAPrivateKey() if held.key_size >= _SHORTEST_RSA:
            return Key(algorithm, held.public_key(), held)
        case "ES256", EllipticCurvePrivateKey() if isinstance(held.curve, SECP256R1):
            return Key(algorithm, held.public_key(), held)
        case "EdDSA", Ed25519PrivateKey():
            return Key(algorithm, held.public_key(), held)
    raise Misconfigured(f"JWT_PRIVATE_KEY_FILE is no private key for {algorithm}")
