"""Who has an account, and who is calling."""

from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field


class Account(BaseModel):
    """Somebody who may log in."""

    model_config = ConfigDict(frozen=True)

    account_id: str
    name: str
    """As it was given; ``name_key`` says which names are the same."""
    password_hash: str = Field(repr=False)
    """In argon2's own form, with its parameters and its salt."""
    created_at: int
    """Milliseconds since the epoch."""


class RefreshToken(BaseModel):
    """What a client trades for a new access token. The token itself is not kept, its hash is."""

    model_config = ConfigDict(frozen=True)

    token_hash: str
    account_id: str
    family: str
    """All that came from one login; they are revoked together."""
    expires_at: int
    """Milliseconds since the epoch."""
    used_at: int | None = None
    """When it was traded for the next one."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine access token says."""

    account_id: str
    name: str | None
    expires_at: int
    """Milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: what a token proves, and what the caller says of itself."""

    account_id: str | None = None
    user_id: str | None = None
    address: str | None = None
    """Where the call comes from; None where it came by no network."""

    def saying(self, user_id: str | None) -> "Caller":
        """Return this caller with the name it gives itself, where it gives one.

        It is as stores keep it, for Postgres has no NUL in text.
        """
        return self if user_id is None else replace(self, user_id=user_id.replace("\0", "\N{REPLACEMENT CHARACTER}"))


ANYONE = Caller()
"""Somebody of whom nothing is known."""
