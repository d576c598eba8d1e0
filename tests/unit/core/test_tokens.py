"""Access tokens: what is genuine, and everything that is not."""

import base64
import json
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidToken, TokenExpired
from app.core.tokens import Key, key_id, make_token, read_token
from app.models.account import Claims

pytestmark = pytest.mark.unit

NOW = 1_800_000_000_000
KEY = Key("HS256", b"k" * 32, b"k" * 32)
ANA = Claims("ana-id", "Ana", NOW + 900_000)
NAMES = {"issuer": "voztaxi", "audience": "voztaxi"}


def token(key: Key = KEY, **changes: Any) -> str:
    return make_token(ANA, key, token_id="t", now=NOW, **{**NAMES, **changes})


def forged(key: Any = b"k" * 32, algorithm: str = "HS256", **changes: Any) -> str:
    said = {"iss": "voztaxi", "aud": "voztaxi", "sub": "ana-id", "exp": NOW // 1000 + 900} | changes
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, algorithm=algorithm)


def read(given: str, key: Key = KEY, now: int = NOW) -> Claims:
    return read_token(given, key, now=now, **NAMES)


def test_a_token_says_what_was_put_into_it() -> None:
    assert read(token()) == ANA


def test_a_private_key_signs_and_its_public_key_checks() -> None:
    private = Ed25519PrivateKey.generate()
    made = token(Key("EdDSA", None, private))
    assert read(made, Key("EdDSA", private.public_key())) == ANA
    with pytest.raises(InvalidToken):
        read(made, Key("EdDSA", Ed25519PrivateKey.generate().public_key()))


@pytest.mark.parametrize(
    ("now", "is_good"), [(ANA.expires_at + 9_000, True), (ANA.expires_at + 10_000, False), (2 * NOW, False)]
)
def test_a_token_runs_out_by_our_clock_with_some_leeway(now: int, is_good: bool) -> None:
    if is_good:
        assert read(token(), now=now) == ANA
    else:
        with pytest.raises(TokenExpired):
            read(token(), now=now)


@pytest.mark.parametrize(
    "given",
    [
        token(issuer="somebody"),
        token(audience="somebody"),
        forged(key=b"x" * 32),
        forged(sub=None),
        forged(sub=""),
        forged(sub=7),
        forged(exp=None),
        forged(exp="soon"),
        forged(exp=float("inf")),
        forged(nbf=NOW // 1000 + 60),
        forged(nbf="later"),
        forged(aud=None),
        forged(iss=None),
        jwt.encode({"sub": "ana-id", "exp": NOW, "iss": "voztaxi", "aud": "voztaxi"}, None, algorithm="none"),
        token()[:-2],
        token() + "x",
        "",
        ".",
        "..",
        "a.b.c",
        "x" * 100_000,
    ],
)
def test_what_is_not_genuine_is_refused(given: str) -> None:
    with pytest.raises(InvalidToken):
        read(given)


def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    private = generate_private_key(65537, 2048)
    shown = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": "ana-id", "exp": NOW, "iss": "voztaxi", "aud": "voztaxi"})
    signed = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, body)
    )
    key = jwt.get_algorithm_by_name("HS256")
    mac = key.sign(signed.encode(), shown)  # as an attacker would, without PyJWT's own guard
    with pytest.raises(InvalidToken):
        read(f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}", Key("RS256", private.public_key()))


@given(st.text(max_size=200) | st.builds(".".join, st.lists(st.text(max_size=40), min_size=3, max_size=3)))
def test_no_text_does_anything_but_be_refused(given: str) -> None:
    with pytest.raises(InvalidToken):
        read(given)


@given(st.text(max_size=200))
def test_of_no_text_anything_is_found_out_but_a_key(given: str) -> None:
    with suppress(InvalidToken):
        assert key_id(given) is None or isinstance(key_id(given), str)


def test_a_key_shows_nothing_of_itself() -> None:
    assert "k" * 8 not in repr(KEY)
