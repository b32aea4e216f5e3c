"""Base classes for the views of both REST APIs. They name every class that they use, so that a
project's REST framework defaults do not change them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.forms import BaseForm
from django.http import Http404
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, NotFound
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from . import problems

_PRIMARY_KEY = re.compile(r"[0-9]{1,19}")


class JSONView(APIView):
    """Responds with JSON that is never cached; errors are problem details."""

    throttle_classes: Any = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = None
    http_method_names = [name for name in APIView.http_method_names if name != "options"]
    versioning_class = None

    def get_exception_handler(self) -> Callable[..., Response | None]:
        """Problem details, whatever the project's own handler does."""
        return problems.handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        add_never_cache_headers(final)
        return final


class DefaultRate(SimpleRateThrottle):
    """A throttle whose rate has a default. The project's `DEFAULT_THROTTLE_RATES` come first; None
    there means no limit.
    """

    scope: str
    default_rate: str

    def get_rate(self) -> str | None:
        """The rate, read for each request."""
        rates: dict[str, Any] = api_settings.DEFAULT_THROTTLE_RATES or {}
        rate: str | None = rates.get(self.scope, self.default_rate)
        return rate


class NewestFirst(CursorPagination):
    """Pages of the newest rows first. The cost of a page does not depend on the number of rows."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-id"

    def get_page_size(self, request: Request) -> int:
        """The page's size. `InvalidParameter` if it is not a number from 1 to the maximum."""
        text = request.query_params.get(self.page_size_query_param)
        if text is None:
            return self.page_size
        if not _PRIMARY_KEY.fullmatch(text) or not 1 <= int(text) <= self.max_page_size:
            sentence = _("Enter a whole number from 1 to %(most)d.") % {"most": self.max_page_size}
            raise problems.InvalidParameter({self.page_size_query_param: [sentence]})
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The cursor. `InvalidParameter` if it is invalid or its position is not a primary key."""
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise problems.InvalidParameter({"cursor": [self.invalid_cursor_message]}) from error
        position = None if cursor is None else cursor.position
        if position is not None and not _PRIMARY_KEY.fullmatch(str(position)):
            raise problems.InvalidParameter({"cursor": [self.invalid_cursor_message]})
        return cursor


class FilterBackend(DjangoFilterBackend):
    """Filters by the query. `InvalidParameter` for an invalid value."""

    def filter_queryset(self, request: Any, queryset: Any, view: APIView) -> Any:
        filterset = self.get_filterset(request, queryset, view)
        if filterset is None:
            return queryset
        if not filterset.is_valid():
            raise problems.InvalidParameter(form_errors(filterset.form))
        return filterset.qs


def form_errors(form: BaseForm) -> dict[str, list[ErrorDetail]]:
    """A form's errors in REST framework's form, each with its code."""
    return {
        "non_field_errors" if name == "__all__" else name: [
            ErrorDetail(sentence, error.code or "invalid")
            for error in errors
            for sentence in error.messages
        ]
        for name, errors in form.errors.as_data().items()
    }


def primary_key(text: str) -> int:
    """The primary key in a URL. 404 if it is not an ASCII number of up to 19 digits."""
    if not _PRIMARY_KEY.fullmatch(text):
        raise Http404
    return int(text)
