"""Who is calling: the one place where a transport learns it."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPBearer

from app.api.deps import Services, ServicesDep
from app.api.rate_limit import address_of, take_account
from app.core.errors import InvalidToken, Unauthenticated
from app.models.account import ANYONE, Caller, Claims
from app.services.accounts import caller_of

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="access token", bearerFormat="JWT", description="From `POST /auth/login`."
)
SUBPROTOCOL = "voztaxi.v1"
"""What a WebSocket speaks, for a client that must name something beside its token."""
_BEARING = "bearer."


def given_token(connection: HTTPConnection) -> str | None:
    """Return the access token in the ``Authorization`` header; None where there is no such header.

    Raises:
        InvalidToken: The header holds something else.
    """
    header = connection.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken
    return token.strip()


def offered_token(subprotocols: list[str]) -> str | None:
    """Return the access token among the subprotocols that a browser offers, ``bearer.TOKEN``."""
    return next((each.removeprefix(_BEARING) for each in subprotocols if each.startswith(_BEARING)), None)


async def identify(services: Services, token: str | None) -> Claims | None:
    """Return what a token says; None where there is none and none is needed.

    Raises:
        Unauthenticated: It is not good, or there is none and one is needed.
    """
    if token is not None:
        return await services.accounts.authenticate(token)
    if services.settings.auth_required:
        raise Unauthenticated
    return None


def caller_at(connection: HTTPConnection, claims: Claims | None = None) -> Caller:
    """Return who calls over a connection: where from, and what a token says of who it is."""
    caller = ANYONE if claims is None else caller_of(claims)
    return replace(caller, address=address_of(connection))


async def _caller(request: Request, services: ServicesDep, _shown: Annotated[object, Security(_BEARER)]) -> Caller:
    claims = await identify(services, given_token(request))
    caller = caller_at(request, claims)
    await take_account(request, services, caller)
    return caller


async def _account(request: Request, services: ServicesDep, _shown: Annotated[object, Security(_BEARER)]) -> Claims:
    token = given_token(request)
    if token is None:
        raise Unauthenticated
    claims = await services.accounts.authenticate(token)
    await take_account(request, services, caller_at(request, claims))
    return claims


CallerDep = Annotated[Caller, Depends(_caller)]
"""Who calls; somebody who is not logged in only where that is allowed."""
AccountDep = Annotated[Claims, Depends(_account)]
"""Who is logged in, whatever the settings say."""
