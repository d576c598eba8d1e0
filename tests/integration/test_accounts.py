"""Logging in, staying logged in, and being thrown out."""

from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from app.core.errors import Conflict, InvalidCredentials, InvalidToken, NotFound, TokenExpired
from app.engines.identity.local import LocalIdentity, secret_key
from app.services.accounts import AccountService, name_key
from app.stores.memory import MemoryAccountStore

pytestmark = pytest.mark.integration

CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}


class Counting(PasswordHasher):
    """A hasher that counts what it compares."""

    compared = 0

    def verify(self, *given: Any) -> Any:
        """Compare."""
        self.compared += 1
        return super().verify(*given)


class Office:
    """Accounts with a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000
        self.ids = iter(range(10_000))
        self.store = MemoryAccountStore()
        self.hasher = Counting(**CHEAP)
        self.accounts = self.service()

    def service(self, hasher: PasswordHasher | None = None, *, makes_tokens: bool = True) -> AccountService:
        """Return the service over the same accounts."""
        identity = LocalIdentity(secret_key(SecretStr("s" * 32)), issuer="voztaxi", audience="voztaxi")
        return AccountService(
            accounts=self.store,
            reader=identity,
            maker=identity if makes_tokens else None,
            now_ms=lambda: self.now,
            new_id=lambda: f"id-{next(self.ids)}",
            access_seconds=900,
            refresh_seconds=86_400,
            hasher=hasher or self.hasher,
        )


@pytest.fixture
async def office() -> Office:
    made = Office()
    await made.accounts.add("Ana", "correct horse")
    return made


async def test_who_knows_the_password_is_let_in_and_known_by_the_token(office: Office) -> None:
    login = await office.accounts.log_in(" ANA ", "correct horse")
    claims = await office.accounts.authenticate(login.access_token)
    account = await office.store.by_name("ana")
    assert account is not None
    assert (claims.account_id, claims.name, login.expires_in) == (account.account_id, "Ana", 900)
    office.now += 911_000
    with pytest.raises(TokenExpired):
        await office.accounts.authenticate(login.access_token)


@pytest.mark.parametrize(
    ("name", "password"), [("Ana", "wrong"), ("Eva", "correct horse"), ("\0", "x"), ("Ana", "\ud800")]
)
async def test_a_wrong_name_and_a_wrong_password_look_alike_and_cost_alike(
    office: Office, name: str, password: str
) -> None:
    office.hasher.compared = 0
    with pytest.raises(InvalidCredentials) as refused:
        await office.accounts.log_in(name, password)
    assert refused.value.message == InvalidCredentials.default
    assert office.hasher.compared == 1


async def test_a_refresh_token_is_traded_for_the_next_one_and_so_on(office: Office) -> None:
    login = await office.accounts.log_in("ana", "correct horse")
    for _ in range(5):
        office.now += 3_600_000
        login = await office.accounts.refresh(login.refresh_token)
        assert (await office.accounts.authenticate(login.access_token)).name == "Ana"


async def test_a_refresh_token_that_is_used_again_ends_the_login_for_whoever_has_it(office: Office) -> None:
    stolen = await office.accounts.log_in("ana", "correct horse")
    elsewhere = await office.accounts.log_in("ana", "correct horse")
    mine = await office.accounts.refresh(stolen.refresh_token)
    office.now += 60_000
    with pytest.raises(InvalidToken):
        await office.accounts.refresh(stolen.refresh_token)
    with pytest.raises(InvalidToken):
        await office.accounts.refresh(mine.refresh_token)
    await office.accounts.refresh(elsewhere.refresh_token)


async def test_a_refresh_whose_answer_was_lost_may_be_repeated_at_once(office: Office) -> None:
    login = await office.accounts.log_in("ana", "correct horse")
    await office.accounts.refresh(login.refresh_token)
    office.now += 5_000
    again = await office.accounts.refresh(login.refresh_token)
    office.now += 60_000
    last = await office.accounts.refresh(again.refresh_token)
    assert (await office.accounts.authenticate(last.access_token)).name == "Ana"


async def test_a_login_that_is_not_used_runs_out(office: Office) -> None:
    login = await office.accounts.log_in("ana", "correct horse")
    office.now += 86_400_000
    with pytest.raises(InvalidToken):
        await office.accounts.refresh(login.refresh_token)


async def test_who_logs_out_is_out(office: Office) -> None:
    login = await office.accounts.log_in("ana", "correct horse")
    later = await office.accounts.refresh(login.refresh_token)
    await office.accounts.log_out(later.refresh_token)
    await office.accounts.log_out("nothing")
    with pytest.raises(InvalidToken):
        await office.accounts.refresh(later.refresh_token)


@pytest.mark.parametrize("change", ["password", "removed"])
async def test_another_password_and_a_closed_account_end_every_login(office: Office, change: str) -> None:
    login = await office.accounts.log_in("ana", "correct horse")
    if change == "password":
        await office.accounts.change_password("ana", "battery staple")
        assert await office.accounts.log_in("ana", "battery staple")
    else:
        await office.accounts.remove("ana")
    with pytest.raises(InvalidToken):
        await office.accounts.refresh(login.refresh_token)
    with pytest.raises(InvalidCredentials):
        await office.accounts.log_in("ana", "correct horse")


async def test_a_password_that_was_hashed_more_cheaply_is_hashed_anew_when_it_is_next_used(office: Office) -> None:
    before = await office.store.by_name("ana")
    dearer = office.service(PasswordHasher(**CHEAP | {"time_cost": 2}))
    await dearer.log_in("ana", "correct horse")
    after = await office.store.by_name("ana")
    assert before is not None
    assert after is not None
    assert before.password_hash != after.password_hash
    await dearer.log_in("ana", "correct horse")
    assert await office.store.by_name("ana") == after


@pytest.mark.parametrize("name", ["ana", "ANA", " ana ", "a\uff4ea"])
async def test_one_name_has_one_account_however_it_is_written(office: Office, name: str) -> None:
    with pytest.raises(Conflict):
        await office.accounts.add(name, "correct horse")


@pytest.mark.parametrize(("name", "password"), [("", "x" * 8), (" ", "x" * 8), ("a\nb", "x" * 8), ("x" * 65, "x" * 8)])
async def test_a_name_that_cannot_be_seen_is_none(office: Office, name: str, password: str) -> None:
    assert name_key(name) == ""
    with pytest.raises(ValueError, match="name"):
        await office.accounts.add(name, password)


@pytest.mark.parametrize("password", ["", "x" * 7, "x" * 257])
async def test_a_password_has_its_bounds(office: Office, password: str) -> None:
    with pytest.raises(ValueError, match="password"):
        await office.accounts.add("eva", password)
    with pytest.raises(ValueError, match="password"):
        await office.accounts.change_password("ana", password)


async def test_where_tokens_are_made_elsewhere_nobody_logs_in_here(office: Office) -> None:
    here = office.service(makes_tokens=False)
    for ask in (here.log_in("ana", "correct horse"), here.refresh("x")):
        with pytest.raises(NotFound):
            await ask
