"""The views: an account reads its balance and its calls, and hangs them up."""

from __future__ import annotations

from typing import Any, cast

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from django_poketalk.shared import problems
from django_poketalk.shared.deadline import Overdue
from django_poketalk.shared.rest import FilterBackend, JSONView, NewestFirst, primary_key

from ..admission import CUSTOM_LENGTH
from ..database.clock import DatabaseNow
from ..models import Account, ApiKey, Call
from ..views import REQUESTS, WAIT
from .authentication import ApiKeyAuthentication, HasApiKey
from .openapi import operation
from .serializers import BalanceSerializer, CallDetailSerializer, CallSerializer
from .throttles import QueryThrottle


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class AccountView(JSONView):
    """Base class of all views: authentication."""

    authentication_classes = (ApiKeyAuthentication,)
    permission_classes = (HasApiKey,)
    throttle_classes = (QueryThrottle,)
    parser_classes = ()

    @property
    def account(self) -> Account:
        """The account of the request's key."""
        return cast("ApiKey", self.request.auth).account  # HasApiKey requires it

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The response; 503 if the database does not respond in time."""
        try:
            key = hash(request.META.get("HTTP_AUTHORIZATION", ""))
            return REQUESTS.within_share(key, WAIT, super().dispatch, request, *args, **kwargs)
        except Overdue:
            return problems.unavailable("no response in time")


class BalanceView(AccountView, GenericAPIView[Account]):
    """The account's money now."""

    serializer_class = BalanceSerializer

    @operation("balance")
    def get(self, request: Request) -> Response:
        """Balance, holds, what new calls can spend, and whether the balance is low."""
        return Response(self.get_serializer(self.account).data)


class CallQueryView(AccountView, GenericAPIView[Call]):
    """Base class of the views of calls."""

    queryset = Call.objects.none()  # for the OpenAPI document; `get_queryset` has the calls
    filter_backends: Any = ()

    def get_queryset(self) -> QuerySet[Call]:
        return (
            Call.objects.filter(account=self.account)
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

    @operation("calls")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The calls, newest first."""
        return super().get(request, *args, **kwargs)


class CallDetailView(CallQueryView):
    """One call with its legs and its events."""

    serializer_class = CallDetailSerializer

    @operation("call")
    def get(self, request: Request, pk: str) -> Response:
        """The call, or 404."""
        calls = self.get_queryset().prefetch_related("deliveries")
        call = get_object_or_404(calls, pk=primary_key(pk))
        return Response(self.get_serializer(call).data)


class HangUpView(CallQueryView):
    """Ends one call."""

    serializer_class = CallSerializer

    @operation("hang_up", request=None, responses={202: CallSerializer})
    def post(self, request: Request, pk: str) -> Response:
        """202: the switch ends the call within a second. 409 if it has ended, 404 if there is none.

        A repeated request changes nothing.
        """
        call = get_object_or_404(self.get_queryset(), pk=primary_key(pk))
        if not call.request_hang_up(DatabaseNow()):
            call.refresh_from_db()
            if call.state not in Call.LIVE:
                raise problems.Problem(409, "call_ended", _("The call has already ended."))
        return Response(self.get_serializer(call).data, status=202)
