"""Errors as HTTP answers: ``application/problem+json``. The only place that knows status codes."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from app.core import metrics
from app.core.errors import (
    AgentError,
    AppError,
    AttachmentsUnsupported,
    BadInput,
    BadSignature,
    BodyTooLarge,
    Conflict,
    Draining,
    DuplicateMessage,
    ForbiddenThread,
    IdentityUnavailable,
    LogTruncated,
    NotFound,
    Overloaded,
    RateLimited,
    StoreError,
    TextTooLong,
    TurnInProgress,
    TurnTimeout,
    Unauthenticated,
)
from app.models.rate import Verdict

log = structlog.stdlib.get_logger("voztaxi.http")

_STATUS: tuple[tuple[type[AppError], int], ...] = (
    (NotFound, 404),
    (BadSignature, 401),
    (Unauthenticated, 401),
    (ForbiddenThread, 403),
    (TurnInProgress, 409),
    (Conflict, 409),
    (DuplicateMessage, 409),
    (TextTooLong, 413),
    (BodyTooLarge, 413),
    (AttachmentsUnsupported, 415),
    (BadInput, 422),
    (Draining, 503),
    (Overloaded, 503),
    (StoreError, 503),
    (LogTruncated, 503),
    (IdentityUnavailable, 503),
    (TurnTimeout, 504),
    (AgentError, 502),
    (AppError, 500),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What a client may ask to be done."""
RETRY_AFTER = {"Retry-After": "5"}
"""Seconds after which a refused client may ask again."""
_CODE = "problem_code"
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: RETRY_AFTER}


class Problem(BaseModel):
    """What went wrong (RFC 9457), with the stable ``code`` of the WebSocket protocol."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


PROBLEMS: dict[int | str, dict[str, object]] = {
    "default": {
        "description": "Problem",
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
}
"""For the OpenAPI document of every route."""


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a problem as a response."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code)
    return _ProblemResponse(body, headers)


class _ProblemResponse(JSONResponse):
    """Notes its code for whoever counts how requests were answered: the last one noted is what went out."""

    media_type = "application/problem+json"

    def __init__(self, body: Problem, headers: dict[str, str] | None) -> None:
        super().__init__(body.model_dump(), body.status, headers)
        self._code = body.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        scope.setdefault("state", {})[_CODE] = self._code
        await super().__call__(scope, receive, send)


def code_of(scope: Scope) -> str | None:
    """Return the code of the problem that a request was answered with; None where it was not."""
    code: str | None = scope.get("state", {}).get(_CODE)
    return code


def count_refusal(code: str) -> None:
    """Count what a client is refused, whatever the transport. How a turn fails is counted when it ends."""
    if code in metrics.REFUSAL_CODES or code not in metrics.FAILURE_CODES:
        metrics.REFUSALS.labels(code if code in metrics.REFUSAL_CODES else metrics.OTHER).inc()


def figures(verdict: Verdict) -> dict[str, str]:
    """Return the fields of draft-ietf-httpapi-ratelimit-headers-06, the last with a field for each figure."""
    return {
        "RateLimit-Limit": str(verdict.rate.amount),
        "RateLimit-Remaining": str(verdict.remaining),
        "RateLimit-Reset": str(verdict.reset_seconds),
        "RateLimit-Policy": f"{verdict.rate.amount};w={verdict.rate.seconds}",
    }


def refused(error: RateLimited) -> JSONResponse:
    """Return the answer to what came too often, with when to come again where that is known."""
    verdict = error.verdict
    headers = RETRY_AFTER if verdict is None else figures(verdict) | {"Retry-After": str(verdict.reset_seconds)}
    return problem(429, error.error_code, error.message, headers)


def _allowed(request: Request) -> list[str]:
    """Return all that may be done at the address of a request; each route by itself knows only its own method."""
    routes = request.app.router.routes
    return [
        method
        for method in sorted(METHODS)
        if any(each.matches({**request.scope, "method": method})[0] is Match.FULL for each in routes)
    ]


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` with a problem."""

    @app.exception_handler(RateLimited)
    async def on_refused(_request: Request, error: RateLimited) -> JSONResponse:
        return refused(error)

    @app.exception_handler(AppError)
    async def on_app_error(_request: Request, error: AppError) -> JSONResponse:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        return problem(status, error.error_code, error.message, _HEADERS.get(status))

    def no_json() -> JSONResponse:
        return problem(422, "invalid_json", "El cuerpo no es JSON.")

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return no_json()
        where = ".".join(str(part) for part in first["loc"])
        return problem(422, "invalid_message", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, (ValueError, RecursionError)):
            return no_json()  # bytes that are no text, or lists in lists in lists
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed(request))
        return problem(error.status_code, code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def on_unforeseen(request: Request, error: Exception) -> JSONResponse:
        # The path as it was asked for may hold the secret of a link.
        route = getattr(request.scope.get("route"), "path", None)
        log.error("request failed unexpectedly", route=route, exc_info=error)
        return problem(500, AppError.code, AppError.default)
