"""Logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.api.callers import AccountDep
from app.api.deps import ServicesDep
from app.api.rate_limit import take_login
from app.services.accounts import LONGEST_PASSWORD, Login, name_key

router = APIRouter(prefix="/auth", tags=["auth"])

_SECRET = {"Cache-Control": "no-store"}
"""No cache may keep a token (RFC 6749, section 5.1)."""


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)


class Credentials(_Body):
    """Who wants in."""

    username: Annotated[str, Field(min_length=1, max_length=256)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_PASSWORD)]


class RefreshRequest(_Body):
    """A refresh token."""

    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=256)]


class Tokens(BaseModel):
    """What shows who a client is, and what it gets the next ones with."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - a kind of token
    expires_in: int
    """Seconds."""
    refresh_token: str
    refresh_expires_in: int
    """Seconds."""


class Me(BaseModel):
    """Who is logged in."""

    user_id: str
    username: str | None
    expires_at: int
    """When the access token runs out; milliseconds since the epoch."""


@router.post("/login")
async def log_in(credentials: Credentials, request: Request, services: ServicesDep, response: Response) -> Tokens:
    """Trade a name and a password for tokens."""
    await take_login(request, services, name_key(credentials.username))
    login = await services.accounts.log_in(credentials.username, credentials.password.get_secret_value())
    return _tokens(login, response)


@router.post("/refresh")
async def refresh(request: RefreshRequest, services: ServicesDep, response: Response) -> Tokens:
    """Trade a refresh token for new tokens. It is good once."""
    return _tokens(await services.accounts.refresh(request.refresh_token.get_secret_value()), response)


@router.post("/logout", status_code=204)
async def log_out(request: RefreshRequest, services: ServicesDep) -> None:
    """End the login that a refresh token belongs to. The access token runs out by itself."""
    await services.accounts.log_out(request.refresh_token.get_secret_value())


@router.get("/me")
async def me(claims: AccountDep) -> Me:
    """Return who is logged in."""
    return Me(user_id=claims.account_id, username=claims.name, expires_at=claims.expires_at)


def _tokens(login: Login, response: Response) -> Tokens:
    response.headers.update(_SECRET)
    return Tokens(
        access_token=login.access_token,
        expires_in=login.expires_in,
        refresh_token=login.refresh_token,
        refresh_expires_in=login.refresh_expires_in,
    )
