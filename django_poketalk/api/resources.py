"""What all views of the API have in common.

The project's REST framework settings decide who the user is (`DEFAULT_AUTHENTICATION_CLASSES`), and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from ..exceptions import CallRefused, IdempotencyConflict
from ..shared import problems
from ..shared.rest import JSONView
from . import idempotency
from .parsers import SmallJSONParser


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
    """The problem for an error of a view: 422 for a call that is refused."""
    match error:
        case CallRefused():
            members = {"field": error.field} if error.field else {}
            error = problems.Problem(422, error.code, str(error), **members)
        case IdempotencyConflict():
            sentence = _("This Idempotency-Key was used for another call.")
            error = problems.Problem(
                422, "idempotency_conflict", sentence, header=idempotency.HEADER
            )
    return problems.handle(error, context)
