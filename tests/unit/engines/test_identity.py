"""What checks access tokens: our own keys, and those of an identity provider."""

import json
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from app.core.errors import IdentityUnavailable, InvalidToken, Misconfigured
from app.engines.identity.jwks import JwksIdentity
from app.engines.identity.local import LocalIdentity, private_key, secret_key
from app.models.account import Claims

pytestmark = pytest.mark.unit

NOW = 1_800_000_000_000
ANA = Claims("ana-id", "Ana", NOW + 900_000)


def pem(key: Any) -> bytes:
    held: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return held


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa.generate_private_key(65537, 2048)),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
async def test_a_private_key_in_a_file_signs_and_checks(tmp_path: Path, algorithm: Any, key: Any) -> None:
    (tmp_path / "key.pem").write_bytes(pem(key))
    identity = LocalIdentity(private_key(tmp_path / "key.pem", algorithm), issuer="i", audience="a")
    assert await identity.read(identity.make(ANA, token_id="t", now=NOW), now=NOW) == ANA


@pytest.mark.parametrize(
    ("algorithm", "held"),
    [
        ("RS256", pem(ed25519.Ed25519PrivateKey.generate())),
        ("EdDSA", pem(rsa.generate_private_key(65537, 2048))),
        ("ES256", pem(ec.generate_private_key(ec.SECP384R1()))),
        ("RS256", pem(rsa.generate_private_key(65537, 1024))),
        ("RS256", b"no key"),
        ("RS256", None),
    ],
)
def test_a_file_without_a_fitting_key_is_the_operators_to_mend(tmp_path: Path, algorithm: Any, held: Any) -> None:
    if held is not None:
        (tmp_path / "key.pem").write_bytes(held)
    with pytest.raises(Misconfigured):
        private_key(tmp_path / "key.pem", algorithm)


def test_a_secret_is_as_long_as_what_it_protects() -> None:
    assert secret_key(SecretStr("x" * 32)).algorithm == "HS256"
    with pytest.raises(ValueError, match="32 bytes"):
        secret_key(SecretStr("x" * 31))


class Provider:
    """An identity provider with knobs."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.extra: list[dict[str, Any]] = []
        self.is_down = False
        self.asked = 0

    def add(self, name: str) -> None:
        """Have another key."""
        self.keys[name] = ed25519.Ed25519PrivateKey.generate()

    def token(self, name: str, *, algorithm: str = "EdDSA", key: Any = None, **changes: Any) -> str:
        """Return a token as the provider makes it."""
        said = {"iss": "provider", "aud": "taxi", "sub": "ana-id", "name": "Ana", "exp": ANA.expires_at // 1000}
        return jwt.encode(said | changes, key or self.keys[name], algorithm=algorithm, headers={"kid": name})

    def answer(self, _request: httpx.Request) -> httpx.Response:
        """Publish the keys."""
        self.asked += 1
        if self.is_down:
            raise httpx.ConnectError("down")
        shown = [
            json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key())) | {"kid": name, "alg": "EdDSA"}
            for name, key in self.keys.items()
        ]
        return httpx.Response(200, json={"keys": [*shown, *self.extra]})

    def identity(self) -> JwksIdentity:
        """Return what checks this provider's tokens."""
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return JwksIdentity(client, "https://provider.example/keys", issuer="provider", audience="taxi")


@pytest.fixture
def provider() -> Provider:
    made = Provider()
    made.add("one")
    return made


async def test_a_providers_token_is_checked_with_its_keys_which_are_asked_for_once(provider: Provider) -> None:
    identity = provider.identity()
    for _ in range(3):
        assert await identity.read(provider.token("one"), now=NOW) == ANA
    assert provider.asked == 1


async def test_a_new_key_is_found_when_it_is_first_used(provider: Provider) -> None:
    identity = provider.identity()
    await identity.read(provider.token("one"), now=NOW)
    provider.add("two")
    assert await identity.read(provider.token("two"), now=NOW + 10_000) == ANA
    assert provider.asked == 2


async def test_tokens_with_invented_keys_do_not_make_us_ask_again_and_again(provider: Provider) -> None:
    identity = provider.identity()
    await identity.read(provider.token("one"), now=NOW)
    for number in range(20):
        with pytest.raises(InvalidToken):
            await identity.read(_invented(number), now=NOW + 1)
    assert provider.asked == 1


def _invented(number: int) -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    return jwt.encode({"sub": "eva"}, key, algorithm="EdDSA", headers={"kid": f"invented-{number}"})


async def test_a_provider_that_is_away_stops_nobody_whose_key_is_known(provider: Provider) -> None:
    identity = provider.identity()
    await identity.read(provider.token("one"), now=NOW)
    provider.is_down = True
    assert await identity.read(provider.token("one"), now=NOW + 700_000) == ANA
    assert provider.asked == 2


async def test_without_any_key_nothing_can_be_checked_until_the_provider_is_there(provider: Provider) -> None:
    provider.is_down = True
    identity = provider.identity()
    with pytest.raises(IdentityUnavailable):
        await identity.read(provider.token("one"), now=NOW)
    provider.is_down = False
    assert await identity.read(provider.token("one"), now=NOW + 10_000) == ANA


async def test_a_shared_secret_among_published_keys_is_no_key(provider: Provider) -> None:
    secret = b"everybody can read me, everybody"
    shown = jwt.algorithms.HMACAlgorithm.to_jwk(secret)
    provider.extra = [json.loads(shown) | {"kid": "shared", "alg": "HS256"}, {"kty": "?"}, 7]  # type: ignore[list-item]
    with pytest.raises(InvalidToken):
        await provider.identity().read(provider.token("shared", algorithm="HS256", key=secret), now=NOW)


@pytest.mark.parametrize("changes", [{"iss": "another"}, {"aud": "another"}, {"exp": 1}])
async def test_a_token_for_somebody_else_is_refused(provider: Provider, changes: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="sesión"):
        await provider.identity().read(provider.token("one", **changes), now=NOW)
