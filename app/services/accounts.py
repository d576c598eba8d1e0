"""Accounts: passwords, tokens, and who a token belongs to."""

import secrets
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import anyio
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from app.core.clock import NewId, NowMs
from app.core.errors import Conflict, InvalidCredentials, InvalidToken, NotFound
from app.models.account import Account, Caller, Claims, RefreshToken
from app.stores.base import AccountStore

SHORTEST_PASSWORD = 8
"""Characters."""
LONGEST_PASSWORD = 256
"""Characters; hashing costs more the longer it is."""

_HASHED_AT_ONCE = 2
"""Each takes a core and 64 MiB for some tens of milliseconds; whoever comes meanwhile waits."""
_GRACE_MS = 10_000
"""How long a refresh token that was used may be used again: its answer may have been lost."""


class TokenMaker(Protocol):
    """Makes access tokens."""

    def make(self, claims: Claims, *, token_id: str, now: int) -> str:
        """Return a token that says ``claims``; ``now`` is in milliseconds since the epoch."""
        ...


class TokenReader(Protocol):
    """Checks access tokens; see ``engines/identity/base.py``."""

    async def read(self, token: str, *, now: int) -> Claims:
        """Return what a token says."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """What a client gets to show who it is."""

    access_token: str
    expires_in: int
    """Seconds."""
    refresh_token: str
    refresh_expires_in: int
    """Seconds."""


class AccountService:
    """Lets people in.

    Args:
        accounts: Where accounts are kept.
        reader: Checks access tokens.
        maker: Makes them; None where somebody else does, and nobody can log in here.
        now_ms: The clock.
        new_id: Makes ids.
        access_seconds: How long an access token is good.
        refresh_seconds: How long a login lasts that is not used.
        hasher: Hashes passwords.
    """

    def __init__(
        self,
        *,
        accounts: AccountStore,
        reader: TokenReader,
        maker: TokenMaker | None,
        now_ms: NowMs,
        new_id: NewId,
        access_seconds: int,
        refresh_seconds: int,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._accounts = accounts
        self._reader = reader
        self._maker = maker
        self._now_ms = now_ms
        self._new_id = new_id
        self._access_seconds = access_seconds
        self._refresh_seconds = refresh_seconds
        self._passwords = Passwords(hasher or PasswordHasher())

    async def authenticate(self, token: str) -> Claims:
        """Return what an access token says.

        Raises:
            TokenExpired, InvalidToken, IdentityUnavailable: See ``Identity``.
        """
        return await self._reader.read(token, now=self._now_ms())

    async def log_in(self, name: str, password: str) -> Login:
        """Let somebody in. A name that nobody has takes as long as a wrong password.

        Raises:
            InvalidCredentials: There is no such account, or it is another password.
            NotFound: Nobody can log in here.
        """
        maker = self._require_maker()
        key = name_key(name)
        account = await self._accounts.by_name(key) if key else None
        is_right = await self._passwords.are_equal(account.password_hash if account else None, password)
        if account is None or not is_right:
            raise InvalidCredentials
        if self._passwords.is_outdated(account.password_hash):
            await self._accounts.set_password(account.account_id, await self._passwords.hash(password))
        return await self._issue(maker, account, family=self._new_id())

    async def refresh(self, token: str) -> Login:
        """Trade a refresh token for new ones. Each is good once: used again it ends the whole login.

        Raises:
            InvalidToken: It is not known, ran out, was used before, or its account is gone.
            NotFound: Nobody can log in here.
        """
        maker = self._require_maker()
        now = self._now_ms()
        used = await self._accounts.use_refresh_token(_hash(token), now=now)
        if used is None or used.expires_at <= now:
            raise InvalidToken
        if used.used_at is not None and now - used.used_at > _GRACE_MS:
            # One of the two who have it is not who logged in (RFC 9700, section 4.14.2).
            await self._accounts.revoke_family(used.family)
            raise InvalidToken
        account = await self._accounts.get(used.account_id)
        if account is None:
            raise InvalidToken
        return await self._issue(maker, account, family=used.family)

    async def log_out(self, token: str) -> None:
        """End the login that a refresh token belongs to. One that is not known ends nothing."""
        used = await self._accounts.use_refresh_token(_hash(token), now=self._now_ms())
        if used is not None:
            await self._accounts.revoke_family(used.family)

    async def add(self, name: str, password: str) -> Account:
        """Open an account.

        Raises:
            Conflict: The name is taken.
            ValueError: The name or the password cannot be taken; the text says why.
        """
        if not name_key(name):
            raise ValueError("a name needs 1 to 64 characters that can be seen")
        account = Account(
            account_id=self._new_id(),
            name=name.strip(),
            password_hash=await self._passwords.hash(_checked(password)),
            created_at=self._now_ms(),
        )
        if not await self._accounts.add(account, name_key(name)):
            raise Conflict("Ya existe un usuario con ese nombre.")
        return account

    async def change_password(self, name: str, password: str) -> None:
        """Set another password and end every login of the account.

        Raises:
            NotFound: There is no such account.
            ValueError: The password cannot be taken; the text says why.
        """
        account = await self._known(name)
        await self._accounts.set_password(account.account_id, await self._passwords.hash(_checked(password)))
        await self._accounts.revoke_all(account.account_id)

    async def remove(self, name: str) -> None:
        """Close an account and end its logins; access tokens run out by themselves. Its threads stay.

        Raises:
            NotFound: There is no such account.
        """
        await self._accounts.remove((await self._known(name)).account_id)

    async def _known(self, name: str) -> Account:
        account = await self._accounts.by_name(name_key(name))
        if account is None:
            raise NotFound("No existe ese usuario.")
        return account

    def _require_maker(self) -> TokenMaker:
        if self._maker is None:
            raise NotFound("Las cuentas de este servicio se llevan en otra parte.")
        return self._maker

    async def _issue(self, maker: TokenMaker, account: Account, *, family: str) -> Login:
        now = self._now_ms()
        claims = Claims(account.account_id, account.name, now + self._access_seconds * 1000)
        refresh_token = secrets.token_urlsafe(32)
        await self._accounts.add_refresh_token(
            RefreshToken(
                token_hash=_hash(refresh_token),
                account_id=account.account_id,
                family=family,
                expires_at=now + self._refresh_seconds * 1000,
            ),
            now=now,
        )
        return Login(
            access_token=maker.make(claims, token_id=self._new_id(), now=now),
            expires_in=self._access_seconds,
            refresh_token=refresh_token,
            refresh_expires_in=self._refresh_seconds,
        )


class Passwords:
    """Hashes and compares passwords, off the event loop and a few at a time.

    Args:
        hasher: Does it.
    """

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._places = anyio.CapacityLimiter(_HASHED_AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        return await anyio.to_thread.run_sync(self._hasher.hash, _bytes(password), limiter=self._places)

    async def are_equal(self, kept: str | None, password: str) -> bool:
        """Return whether it is the password; where none is kept that takes as long."""
        if self._nobodys is None:
            self._nobodys = await self.hash(secrets.token_urlsafe())
        compared = self._nobodys if kept is None else kept
        are_equal = await anyio.to_thread.run_sync(self._verify, compared, password, limiter=self._places)
        return are_equal and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Return whether it was hashed more cheaply than is done now."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _bytes(password))
        except (Argon2Error, InvalidHashError):
            return False


def name_key(name: str) -> str:
    """Return what two spellings of one name have in common; '' where it can be none."""
    key = unicodedata.normalize("NFKC", name).strip().casefold()
    is_visible = all(unicodedata.category(letter)[0] not in "C" for letter in key)
    return key if is_visible and len(key) <= 64 else ""


def caller_of(claims: Claims) -> Caller:
    """Return who a token proves somebody to be."""
    return Caller(account_id=claims.account_id)


def _checked(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"a password needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return password


def _hash(token: str) -> str:
    """Return what is kept of a refresh token; it is random, so that a quick hash does."""
    return sha256(_bytes(token)).hexdigest()


def _bytes(text: str) -> bytes:
    """Return a text as bytes, also one that is none: JSON can name half a character."""
    return text.encode("utf-8", "surrogatepass")
