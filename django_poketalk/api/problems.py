"""Errors as problem details (RFC 9457), for the views of this API alone.

Each has `type`, `title`, `status`, `detail`, and `code`, a word for programs: that of `CallRefused`
where a call was refused, else REST framework's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, OperationalError
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from ..exceptions import CallRefused, IdempotencyConflict

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5  # seconds that a client shall leave a database that is gone alone
UNREADABLE = (BadRequest, MultiPartParserError, SuspiciousOperation, UnreadablePostError)
RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}  # by RFC 9110; Python 3.13 knows

logger = logging.getLogger(__name__)


class InvalidParameter(exceptions.ValidationError):
    """Something in the query is not as it has to be."""


class InvalidHeader(exceptions.APIException):
    """A header is not as it has to be."""

    status_code = HTTPStatus.BAD_REQUEST

    def __init__(self, header: str, sentence: str) -> None:
        super().__init__(sentence, "invalid_header")
        self.header = header


class TooLarge(exceptions.APIException):
    """The request's body is longer than anything that could be meant."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_detail = gettext_lazy("The request is too large.")
    default_code = "too_large"


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """The problem that an error in one of our views is told as; None for a fault of ours."""
    set_rollback()  # where the project has a transaction for each request
    match error:
        case CallRefused():
            refusal = _problem(422, str(error), error.code)
            if error.field:
                refusal.data["field"] = error.field
            return refusal
        case IdempotencyConflict():
            sentence = _("This Idempotency-Key was used for another call.")
            return _problem(422, sentence, "idempotency_conflict", header="Idempotency-Key")
        case OperationalError() | InterfaceError():
            # Not necessarily nothing was done: a commit may have been lost on its way.
            logger.error("The database did not answer the API: %s", error, exc_info=error)
            sentence = _("The database does not answer. Try again, with the same Idempotency-Key.")
            answer = _problem(503, sentence, "unavailable")
            answer["Retry-After"] = str(RETRY_AFTER)
            return answer
        case RequestDataTooBig():
            error = TooLarge()
        case _ if isinstance(error, UNREADABLE):
            error = exceptions.ParseError(_("The request cannot be read."))
    answered = exception_handler(error, context)  # which sets the headers
    return None if answered is None else _told(error, answered)


def _told(error: Exception, answer: Response) -> Response:
    headers = {name: answer[name] for name in ("WWW-Authenticate", "Retry-After") if name in answer}
    if isinstance(error, exceptions.ValidationError):
        where = "parameter" if isinstance(error, InvalidParameter) else "pointer"
        errors = list(_errors(error.detail, where))
        sentence = _("Something in the request is not as it has to be.")
        return _problem(answer.status_code, sentence, "invalid", headers, errors=errors)
    more = {"header": error.header} if isinstance(error, InvalidHeader) else {}
    told = answer.data
    told = told.get("detail", "") if isinstance(told, dict) else told
    told = told[0] if isinstance(told, list) and told else told
    code = str(getattr(told, "code", "") or getattr(error, "default_code", "error"))
    return _problem(answer.status_code, str(told), code, headers, **more)


def _errors(detail: Any, where: str, path: str = "") -> Iterator[dict[str, str]]:
    """One member of `errors` for each thing that is wrong, with its place in the body (a JSON
    pointer, RFC 6901, as a fragment: our fields' names have nothing to escape) or the parameter's
    name.
    """
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else f"/{name}"
            yield from _errors(inner, where, path + own)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _errors(inner, where, path)
    else:
        place = path.removeprefix("/") if where == "parameter" else f"#{path}"
        yield {
            where: place,
            "detail": str(detail),
            "code": str(getattr(detail, "code", "") or "invalid"),
        }


def _problem(
    status: int, detail: str, code: str, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    body = {
        "type": "about:blank",
        "title": RENAMED.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return Response(body, status, headers=headers, content_type=MEDIA_TYPE)
