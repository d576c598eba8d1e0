"""Who may log in, for operators."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from app.bootstrap import open_users
from app.core.config import Settings
from app.models.account import Account
from app.services.accounts import AccountService

T = TypeVar("T")


def add(settings: Settings, name: str, password: str) -> Account:
    """Open an account. Raises as ``AccountService.add`` does."""
    return _with_accounts(settings, lambda accounts: accounts.add(name, password))


def change_password(settings: Settings, name: str, password: str) -> None:
    """Set another password and end the logins. Raises as ``AccountService.change_password`` does."""
    _with_accounts(settings, lambda accounts: accounts.change_password(name, password))


def remove(settings: Settings, name: str) -> None:
    """Close an account. Raises as ``AccountService.remove`` does."""
    _with_accounts(settings, lambda accounts: accounts.remove(name))


def list_all(settings: Settings) -> Sequence[Account]:
    """Return all accounts, oldest first."""

    async def read() -> Sequence[Account]:
        async with open_users(settings) as (_, store):
            return await store.list()

    return anyio.run(read)


def _with_accounts(settings: Settings, act: Callable[[AccountService], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_users(settings) as (accounts, _):
            return await act(accounts)

    return anyio.run(run)
