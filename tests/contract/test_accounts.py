"""What every account store promises."""

import asyncio

import pytest

from app.models.account import Account, RefreshToken
from app.stores.base import AccountStore

pytestmark = pytest.mark.contract


def account(name: str = "ana", *, at: int = 1) -> Account:
    return Account(account_id=f"id-{name}", name=name, password_hash="$argon2id$…", created_at=at)


def token(name: str = "t", *, family: str = "f", expires_at: int = 100, of: str = "ana") -> RefreshToken:
    return RefreshToken(token_hash=name, account_id=f"id-{of}", family=family, expires_at=expires_at)


async def test_an_account_is_found_by_its_id_and_by_its_name(accounts: AccountStore) -> None:
    assert await accounts.add(account("Ána"), "ána")
    assert await accounts.get("id-Ána") == account("Ána")
    assert await accounts.by_name("ána") == account("Ána")
    assert await accounts.by_name("Ána") is None
    assert await accounts.get("nobody") is None


async def test_a_name_is_taken_once_also_by_many_at_once(accounts: AccountStore) -> None:
    tries = [accounts.add(account(f"ana {number}"), "ana") for number in range(8)]
    assert sorted(await asyncio.gather(*tries)) == [False] * 7 + [True]
    assert len(await accounts.list()) == 1


async def test_accounts_are_listed_oldest_first(accounts: AccountStore) -> None:
    for number in (1, 2, 3):
        await accounts.add(account(f"a{number}", at=number), f"a{number}")
    assert [each.name for each in await accounts.list()] == ["a1", "a2", "a3"]


async def test_a_password_is_changed(accounts: AccountStore) -> None:
    await accounts.add(account(), "ana")
    await accounts.set_password("id-ana", "another")
    await accounts.set_password("nobody", "another")
    found = await accounts.by_name("ana")
    assert found is not None
    assert found.password_hash == "another"


async def test_a_removed_account_is_gone_with_its_logins_and_its_name_is_free(accounts: AccountStore) -> None:
    await accounts.add(account(), "ana")
    await accounts.add_refresh_token(token(), now=0)
    await accounts.remove("id-ana")
    assert await accounts.by_name("ana") is None
    assert await accounts.use_refresh_token("t", now=1) is None
    assert await accounts.add(account(), "ana")


async def test_of_many_who_use_a_token_at_once_one_is_the_first(accounts: AccountStore) -> None:
    await accounts.add(account(), "ana")
    await accounts.add_refresh_token(token(), now=0)
    used = await asyncio.gather(*(accounts.use_refresh_token("t", now=50 + number) for number in range(8)))
    assert [each.used_at for each in used if each is not None].count(None) == 1
    assert len(used) == 8
    again = await accounts.use_refresh_token("t", now=99)
    assert again is not None
    assert again.used_at is not None
    assert 50 <= again.used_at < 58


async def test_a_token_that_nobody_has_is_no_token(accounts: AccountStore) -> None:
    assert await accounts.use_refresh_token("nothing", now=1) is None


async def test_logins_end_by_family_and_by_account(accounts: AccountStore) -> None:
    await accounts.add(account(), "ana")
    await accounts.add(account("eva"), "eva")
    for name, family, of in (("1", "a", "ana"), ("2", "a", "ana"), ("3", "b", "ana"), ("4", "c", "eva")):
        await accounts.add_refresh_token(token(name, family=family, of=of), now=0)
    await accounts.revoke_family("a")
    assert [await accounts.use_refresh_token(name, now=1) is not None for name in "1234"] == [False, False, True, True]
    await accounts.revoke_all("id-ana")
    assert [await accounts.use_refresh_token(name, now=1) is not None for name in "34"] == [False, True]


async def test_tokens_that_ran_out_are_forgotten_as_new_ones_come(accounts: AccountStore) -> None:
    await accounts.add(account(), "ana")
    await accounts.add_refresh_token(token("old", expires_at=10), now=0)
    await accounts.add_refresh_token(token("new", expires_at=30), now=20)
    assert await accounts.use_refresh_token("old", now=20) is None
    assert await accounts.use_refresh_token("new", now=20) is not None


async def test_all_processes_share_the_secret_that_was_proposed_first(accounts: AccountStore) -> None:
    had = await asyncio.gather(*(accounts.secret("jwt", f"secret {number}") for number in range(8)))
    assert len(set(had)) == 1
    assert await accounts.secret("jwt", "too late") == had[0]
    assert await accounts.secret("another", "mine") == "mine"
