"""Read an account's calls. Every class is named: a project's REST defaults do not matter."""

from __future__ import annotations

import re
from typing import cast

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from ..models import ApiKey, Call
from .authentication import ApiKeyAuthentication, HasApiKey
from .filters import CallFilter
from .serializers import CallDetailSerializer, CallSerializer

_PRIMARY_KEY = re.compile(r"[0-9]{1,19}")


class CallPagination(CursorPagination):
    """The newest first; pages cost the same however many calls there are."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        """As the base does; but a place that is no primary key is told, not run into."""
        cursor = super().decode_cursor(request)
        place = None if cursor is None else cursor.position
        if place is not None and not _PRIMARY_KEY.fullmatch(str(place)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class CallQueryView(GenericAPIView[Call]):
    """What both views share: who may ask, in what form, and for whose calls."""

    authentication_classes = (ApiKeyAuthentication,)
    permission_classes = (HasApiKey,)
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)
    parser_classes = (JSONParser,)
    content_negotiation_class = DefaultContentNegotiation
    versioning_class = None

    def get_queryset(self) -> QuerySet[Call]:
        """The calls of the key's own account."""
        key = cast("ApiKey", self.request.auth)  # HasApiKey saw to it
        return (
            Call.objects.filter(account=key.account)
            .select_related("account")
            .prefetch_related("legs")
        )


class CallListView(CallQueryView, ListAPIView[Call]):
    """The account's calls, newest first, fifty a page; `?custom=` finds one by the caller's id."""

    serializer_class = CallSerializer
    filter_backends = (DjangoFilterBackend,)
    filterset_class = CallFilter
    pagination_class = CallPagination


class CallDetailView(CallQueryView, RetrieveAPIView[Call]):
    """One call with its legs and its events."""

    serializer_class = CallDetailSerializer
    filter_backends = ()
    pagination_class = None

    def get_queryset(self) -> QuerySet[Call]:
        """The calls with their events in order."""
        return super().get_queryset().prefetch_related("deliveries")
