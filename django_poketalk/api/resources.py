"""What all views of the API share.

Who somebody is, the project's own REST settings say (`DEFAULT_AUTHENTICATION_CLASSES`); everything
else is named here, so that they do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.http import Http404
from django.utils.cache import add_never_cache_headers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import problems
from .parsers import SmallJSONParser

_PRIMARY_KEY = re.compile(r"[0-9]{1,18}")


class Resource(APIView):
    """JSON in and out, for users who are logged in; errors are problem details."""

    permission_classes: tuple[type[BasePermission], ...] = (IsAuthenticated,)
    throttle_classes: Any = ()
    renderer_classes = (JSONRenderer,)
    parser_classes = (SmallJSONParser,)
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = None
    http_method_names = [name for name in APIView.http_method_names if name != "options"]
    versioning_class = None

    def get_exception_handler(self) -> Callable[..., Response | None]:
        """Ours, whatever the project's is."""
        return problems.handle

    def get_authenticate_header(self, request: Request) -> str:
        """The first challenge that any way to log in has: 401 wherever there is one. With sessions
        alone there is none, and it is 403.
        """
        challenges = (each.authenticate_header(request) for each in self.get_authenticators())
        return next(filter(None, challenges), "")  # which is none to REST framework

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Answers are one user's, and true for a moment."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        add_never_cache_headers(answer)
        return answer


class NewestFirst(CursorPagination):
    """The newest first; a page costs the same however many rows there are."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """As the base does; but a place that is no primary key is told, not run into."""
        cursor = super().decode_cursor(request)
        place = None if cursor is None else cursor.position
        if place is not None and not _PRIMARY_KEY.fullmatch(str(place)):
            raise problems.InvalidParameter({"cursor": [self.invalid_cursor_message]})
        return cursor


def primary_key(text: str) -> int:
    """The primary key that a URL names; 404 for what is none."""
    if not _PRIMARY_KEY.fullmatch(text):
        raise Http404
    return int(text)
