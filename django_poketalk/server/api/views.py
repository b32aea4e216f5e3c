"""The views: an account reads its calls."""

from __future__ import annotations

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from django_poketalk.shared.rest import FilterBackend, JSONView, NewestFirst, primary_key

from ..admission import CUSTOM_LENGTH
from ..models import ApiKey, Call
from .authentication import ApiKeyAuthentication, HasApiKey
from .serializers import CallDetailSerializer, CallSerializer


class CallQueryView(JSONView, GenericAPIView[Call]):
    """Base class of both views: authentication, and the account's calls."""

    authentication_classes = (ApiKeyAuthentication,)
    permission_classes = (HasApiKey,)
    parser_classes = ()
    filter_backends: Any = ()

    def get_queryset(self) -> QuerySet[Call]:
        key = cast("ApiKey", self.request.auth)  # HasApiKey requires it
        return (
            Call.objects.filter(account=key.account)
            .select_related("account")
            .prefetch_related("legs")
        )


class CallFilter(django_filters.FilterSet):
    """`custom`: the caller's id of the call, exactly. `state`: one of `Call.State`."""

    custom = django_filters.CharFilter(max_length=CUSTOM_LENGTH, strip=False)

    class Meta:
        model = Call
        fields = ("custom", "state")


class CallListView(CallQueryView, ListAPIView[Call]):
    """The account's calls, newest first, 50 on a page. `?custom=` finds one by the caller's id."""

    serializer_class = CallSerializer
    filter_backends = (FilterBackend,)
    filterset_class = CallFilter
    pagination_class = NewestFirst


class CallDetailView(CallQueryView):
    """One call with its legs and its events."""

    serializer_class = CallDetailSerializer

    def get(self, request: Request, pk: str) -> Response:
        """The call, or 404."""
        calls = self.get_queryset().prefetch_related("deliveries")
        call = get_object_or_404(calls, pk=primary_key(pk))
        return Response(self.get_serializer(call).data)
