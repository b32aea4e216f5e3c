"""Errors of the REST APIs as problem details (RFC 9457).

Each has `type`, `title`, `status`, `detail` (a sentence for people) and `code` (for programs).
Extension members contain further details.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from .logs import get_logger
from .text import on_one_line

MEDIA_TYPE = "application/problem+json"
MAX_REASON = 200  # characters of the database's error in the log
RETRY_AFTER = 5  # seconds to wait before the next request to an unavailable database
UNREADABLE = (BadRequest, MultiPartParserError, SuspiciousOperation, UnreadablePostError)
# RFC 9110's names; HTTPStatus has them as of Python 3.13.
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}

logger = get_logger(__name__)


class Problem(exceptions.APIException):
    """An error with its HTTP status, code, sentence and extension members."""

    def __init__(self, status: int, code: str, detail: str, **members: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.members = members
        self.wait: int | None = None  # seconds, for Retry-After


class InvalidParameter(exceptions.ValidationError):
    """Errors by the names of the query's parameters."""


def too_large() -> Problem:
    """The error for a body that exceeds the limit."""
    return Problem(413, "too_large", _("The request is too large."))


def unavailable(reason: str) -> HttpResponse:
    """The response to a request whose work is overdue. The reason is logged."""
    problem = handle(_unavailable(reason), {})
    assert problem is not None  # noqa: S101
    return HttpResponse(
        JSONRenderer().render(problem.data),
        status=problem.status_code,
        content_type=MEDIA_TYPE,
        headers={"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"},
    )


def _unavailable(reason: str) -> Problem:
    logger.error("The database is not available to the API: %s", on_one_line(reason)[:MAX_REASON])
    problem = Problem(503, "unavailable", _("The database is not available. Try again."))
    problem.wait = RETRY_AFTER
    return problem


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """An exception handler for views: the problem, or None for an error on our side (HTTP 500)."""
    match error:
        case OperationalError() | InterfaceError():
            # The request may have had an effect: the response to a commit may have been lost.
            error = _unavailable(str(error))
        case RequestDataTooBig():
            error = too_large()
        case _ if isinstance(error, UNREADABLE):
            error = exceptions.ParseError(_("The request cannot be parsed."))
    response = exception_handler(error, context)  # which sets the headers
    if response is None:
        return None
    status = response.status_code
    response.data = {
        "type": "about:blank",
        "title": TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        **_members(error, response.data),
    }
    response.content_type = MEDIA_TYPE
    return response


def _members(error: Exception, data: Any) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        place = "parameter" if isinstance(error, InvalidParameter) else "pointer"
        errors = list(_errors(error.detail, place))
        return {"detail": _("The request is invalid."), "code": "invalid", "errors": errors}
    detail = data.get("detail", "") if isinstance(data, dict) else data
    if isinstance(detail, list):
        detail = next(iter(detail), "")
    code = getattr(detail, "code", "") or getattr(error, "default_code", "error")
    return {"detail": str(detail), "code": str(code), **getattr(error, "members", {})}


def _errors(detail: Any, place: str, path: str = "") -> Iterator[dict[str, str]]:
    """One item for each error, with its place: the parameter's name, or the JSON pointer into the
    body as a fragment (RFC 6901; our fields' names need no escapes).
    """
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else f"/{name}"
            yield from _errors(inner, place, path + step)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _errors(inner, place, path)
    else:
        where = path.removeprefix("/") if place == "parameter" else f"#{path}"
        code = str(getattr(detail, "code", "") or "invalid")
        yield {place: where, "detail": str(detail), "code": code}
