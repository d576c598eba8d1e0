"""Signed messages between servers, as Standard Webhooks 1.0 has them. Pure: no clock, no I/O.

What is signed is ``ID.TIMESTAMP.BODY`` with HMAC-SHA256. The header ``webhook-signature`` holds one
``v1,BASE64`` for each key, separated by spaces; a receiver is content with one that it can make itself.
So keys are changed without a gap: give both sides the new one beside the old, then take the old away.
Source: the Standard Webhooks specification, "Signature scheme" and "Webhook headers".
"""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from pydantic import SecretStr

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

TOLERANCE_SECONDS = 300
"""How far a message's time may be from ours: what is older may be somebody's recording."""

_PREFIX = "whsec_"
_SHORTEST_KEY = 24
_LONGEST_ID = 256
_LONGEST_SIGNATURES = 2048


class BadSignatureError(Exception):
    """A message that does not come from who holds a key, or not from now. The text says which, and no secret."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the first of its keys, and takes what was signed with any of them."""

    keys: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Show no key."""
        return f"Signer({len(self.keys)} keys)"

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """Return the three headers of a message.

        Args:
            message_id: What the message is called, the same each time it is sent.
            timestamp: When it is sent; seconds since the epoch.
            body: What is sent, byte for byte.
        """
        return {
            ID_HEADER: message_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: f"v1,{_sign(self.keys[0], message_id, timestamp, body)}",
        }

    def verify(self, headers: Mapping[str, str], body: bytes, *, now: int) -> str:
        """Return the id of a message that is genuine and fresh.

        Args:
            headers: Those of the message, their names in lower case.
            body: What was received, byte for byte.
            now: Seconds since the epoch.

        Raises:
            BadSignatureError: It is not.
        """
        message_id, sent_at, given = (headers.get(name, "") for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER))
        if not message_id or len(message_id) > _LONGEST_ID or not given or len(given) > _LONGEST_SIGNATURES:
            raise BadSignatureError("a signature header is missing or too long")
        if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= len(str(2**63))):
            raise BadSignatureError("the timestamp is no number")
        if abs(now - int(sent_at)) > TOLERANCE_SECONDS:
            raise BadSignatureError("the timestamp is too old or too new")
        signatures = [each.removeprefix("v1,").encode() for each in given.split(" ") if each.startswith("v1,")]
        # Every pair is compared, so that the time it takes does not tell which key or byte was right.
        good = [
            hmac.compare_digest(_sign(key, message_id, int(sent_at), body).encode(), signature)
            for key in self.keys
            for signature in signatures
        ]
        if not any(good):
            raise BadSignatureError("no signature is ours")
        return message_id


def read_signer(secret: SecretStr) -> Signer:
    """Return the signer of one or more secrets, separated by commas.

    Args:
        secret: Each is ``whsec_`` and at least 24 bytes in Base64. The first signs.

    Raises:
        ValueError: One is not. The message does not repeat it.
    """
    keys = _read_keys([part.strip() for part in secret.get_secret_value().split(",") if part.strip()])
    if not keys:
        raise ValueError("no secret is given")
    return Signer(keys)


def _read_keys(secrets: Sequence[str]) -> tuple[bytes, ...]:
    keys = []
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if secret.startswith(_PREFIX) else b""
        except ValueError:
            key = b""
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"a secret must be {_PREFIX} and at least {_SHORTEST_KEY} bytes in Base64")
        keys.append(key)
    return tuple(keys)


def _sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
