"""Signed messages: the published vector, and everything that must not pass."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.core.signatures import TOLERANCE_SECONDS, BadSignatureError, Signer, read_signer

pytestmark = pytest.mark.unit

# The vector that the libraries of Standard Webhooks test themselves with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
NOW = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(NOW), "webhook-signature": SIGNATURE}
OTHER = f"whsec_{base64.b64encode(b'o' * 32).decode()}"


def signer(*secrets: str) -> Signer:
    return read_signer(SecretStr(", ".join(secrets)))


def test_the_published_message_has_the_published_signature() -> None:
    assert signer(SECRET).headers(ID, NOW, BODY) == HEADERS
    assert signer(SECRET).verify(HEADERS, BODY, now=NOW) == ID


def test_while_a_key_is_changed_either_is_taken_and_the_first_signs() -> None:
    both = signer(OTHER, SECRET)

    assert both.verify(HEADERS, BODY, now=NOW) == ID
    assert both.headers(ID, NOW, BODY) == signer(OTHER).headers(ID, NOW, BODY)
    two = {**HEADERS, "webhook-signature": f"v1a,abc {both.headers(ID, NOW, BODY)['webhook-signature']} {SIGNATURE}"}
    assert signer(SECRET).verify(two, BODY, now=NOW) == ID


@pytest.mark.parametrize("age", [-TOLERANCE_SECONDS, TOLERANCE_SECONDS])
def test_a_message_is_fresh_for_five_minutes_either_way(age: int) -> None:
    assert signer(SECRET).verify(HEADERS, BODY, now=NOW + age) == ID
    with pytest.raises(BadSignatureError):
        signer(SECRET).verify(HEADERS, BODY, now=NOW + age + (1 if age > 0 else -1))


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "another"},
        {"webhook-id": ""},
        {"webhook-id": "m" * 257},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "٣"},
        {"webhook-timestamp": "9" * 4000},
        {"webhook-signature": ""},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": SIGNATURE.replace("v1", "v2")},
        {"webhook-signature": SIGNATURE.replace("g0", "g1")},
        {"webhook-signature": "v1,ñ"},
        {"webhook-signature": f"{SIGNATURE} " * 1000},
    ],
    ids=lambda changed: " ".join(f"{key}={value[:20]}" for key, value in changed.items()),
)
def test_what_was_tampered_with_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(BadSignatureError):
        signer(SECRET).verify({**HEADERS, **changed}, BODY, now=NOW)


@given(st.binary(max_size=64))
def test_no_other_body_has_the_signature(body: bytes) -> None:
    if body != BODY:
        with pytest.raises(BadSignatureError):
            signer(SECRET).verify(HEADERS, body, now=NOW)


def test_a_key_that_is_not_ours_does_not_sign_for_us() -> None:
    with pytest.raises(BadSignatureError):
        signer(OTHER).verify(HEADERS, BODY, now=NOW)


@pytest.mark.parametrize("secret", ["", ",", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_¡no!", SECRET + ",x"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="secret") as refused:
        signer(secret)
    assert not any(part in str(refused.value) for part in ("hunter2", "c2hv", "¡no!", "MfKQ"))


def test_a_signer_shows_no_key() -> None:
    assert repr(signer(SECRET)) == "Signer(1 keys)"
