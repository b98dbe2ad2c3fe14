"""Errors as clients see them: RFC 9457 problem+json. One table says which error class is which status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from starlette.exceptions import HTTPException
from starlette.responses import Response

from factory.api.answers import json_bytes
from factory.api.rate_limits import limit_headers
from factory.errors import (
    Capacity,
    Conflict,
    DatabaseDown,
    FactoryError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Problem,
    QueueFull,
    Refused,
    TooLarge,
    Transient,
    Unauthorized,
    UnsupportedMedia,
)
from factory.intake.field_problems import field_problems
from factory.logs import get_logger

STATUS: dict[type[FactoryError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    QueueFull: HTTPStatus.TOO_MANY_REQUESTS,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refused: HTTPStatus.UNPROCESSABLE_ENTITY,
    Transient: HTTPStatus.SERVICE_UNAVAILABLE,
    Capacity: HTTPStatus.SERVICE_UNAVAILABLE,
    FactoryError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
HTTP_CODES = {404: "no_such_route", 405: "method_not_allowed"}
RETRYABLE = frozenset({429, 502, 503, 504})
log = get_logger(__name__)


def status_of(fault: FactoryError) -> HTTPStatus:
    return next(STATUS[kind] for kind in type(fault).__mro__ if kind in STATUS)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    errors: Iterable[Problem] = (),
    warnings: Iterable[dict[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer. `code` is stable and for programs; `detail` is for people and names field, value and remedy."""
    retryable = status in RETRYABLE or code == "request_in_flight"
    body: dict[str, Any] = {
        "type": f"urn:content-factory:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "errors": [found.as_dict() for found in errors],
        "retryable": retryable,
        "request_id": request_id,
        **({"warnings": told} if (told := list(warnings)) else {}),
    }
    extra = {"Retry-After": "1"} if retryable else {}
    return Response(json_bytes(body), int(status), {**extra, **(headers or {})}, media_type="application/problem+json")


def of_fault(request: Request, fault: FactoryError) -> Response:
    """An error of ours. A refusal names its rule, the words it hit and what to do; a passing fault says nothing of our machines."""
    detail = str(fault)
    if isinstance(fault, Transient):
        log.warning("http.unavailable", code=fault.code, detail=detail)
        detail = f"{type(fault).__doc__} Try again in a second."
    errors: tuple[Problem, ...] = fault.problems if isinstance(fault, Invalid) else ()
    if isinstance(fault, Refused):
        errors = (Problem(fault.code, str(fault), "/prompt", fault.detail.get("matched"), dict(fault.detail)),)
    headers = {"WWW-Authenticate": 'Bearer realm="content-factory"'} if isinstance(fault, Unauthorized) else None
    if isinstance(fault, QueueFull):
        headers = limit_headers(limit=fault.detail["limit"], room=0, seconds=fault.detail["retry_after"])
    warnings = fault.detail.get("warnings", ())
    return problem(status_of(fault), fault.code, detail, request_id=_id(request), errors=errors, warnings=warnings, headers=headers)


def answer_faults(app: FastAPI) -> None:
    """Give every error that can leave a route its problem+json."""

    @app.exception_handler(FactoryError)
    async def ours(request: Request, fault: FactoryError) -> Response:
        return of_fault(request, fault)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, fault: RequestValidationError) -> Response:
        return of_fault(request, Invalid(None, *field_problems(fault.errors(), strip=1)))

    @app.exception_handler(HTTPException)
    async def routing(request: Request, fault: HTTPException) -> Response:
        code = HTTP_CODES.get(fault.status_code, "http_error")
        return problem(fault.status_code, code, str(fault.detail), request_id=_id(request), headers=fault.headers)

    @app.exception_handler(PoolExhausted)
    async def crowded(request: Request, _: PoolExhausted) -> Response:
        return of_fault(request, DatabaseDown())


def _id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))
