"""What all views of the API have in common.

The project's REST framework settings decide who the user is (`DEFAULT_AUTHENTICATION_CLASSES`), and
nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import IO, Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .. import permissions
from ..exceptions import CallRefused, IdempotencyConflict, VerificationRefused
from ..shared import problems
from ..shared.rest import JSONView
from . import idempotency

MAX_BODY = 16 * 1024  # bytes; the longest sensible order has less than one thousand


class SmallJSONParser(BaseParser):
    """UTF-8 JSON of at most `MAX_BODY` bytes, without NaN and infinities, which are not JSON."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The parsed body. 413 if it is too large, `ParseError` if it is not JSON."""
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise problems.too_large()
        try:
            parsed = json.loads(body.decode(), parse_constant=_refuse)
            json.dumps(parsed, ensure_ascii=False).encode()  # refuses lone surrogates
            return parsed
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is not JSON in UTF-8.")) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


class MayPlace(BasePermission):
    """The permission to place calls."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return permissions.may_place(request.user)


class Resource(JSONView):
    """JSON in and out, for logged-in users."""

    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated,)
    parser_classes = (SmallJSONParser,)

    def get_exception_handler(self) -> Callable[..., Response | None]:
        """Problem details, refused calls included."""
        return handle

    def get_authenticate_header(self, request: Request) -> str:
        """The first challenge of any authentication class, so that the status is 401 if there is
        one. Sessions have none; with them alone it is 403.
        """
        challenges = (each.authenticate_header(request) for each in self.get_authenticators())
        return next(filter(None, challenges), "")  # REST framework reads "" as none


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """The problem for an error of a view: 422 for a call or a code that is refused."""
    match error:
        case CallRefused():
            members = {"field": error.field} if error.field else {}
            error = problems.Problem(422, error.code, str(error), **members)
        case VerificationRefused():
            error = problems.Problem(422, error.code, str(error))
        case IdempotencyConflict():
            sentence = _("This Idempotency-Key was used for another call.")
            error = problems.Problem(
                422, "idempotency_conflict", sentence, header=idempotency.HEADER
            )
    return problems.handle(error, context)


def save(serializer: Any, **more: Any) -> None:
    """Validate and save. If another request was first, its row is an error of the input."""
    serializer.is_valid(raise_exception=True)
    try:
        with transaction.atomic():
            serializer.save(**more)
    except IntegrityError:
        serializer.run_validation(serializer.initial_data)
        raise
