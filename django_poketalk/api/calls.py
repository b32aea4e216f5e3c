"""Calls: asked for, quoted, listed, watched, ended."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from .. import permissions
from ..calls import requesting, subjects
from ..models import CallRequest
from . import idempotency, orders
from .filters import CallFilter, FilterBackend
from .openapi import operation
from .resources import NewestFirst, Resource, primary_key
from .serializers import CallDetailSerializer, CallSerializer, OrderSerializer, QuoteSerializer
from .throttles import PlaceThrottle, QuoteThrottle

THROTTLES: dict[str, type[BaseThrottle]] = {"create": PlaceThrottle, "quote": QuoteThrottle}


class MayPlace(BasePermission):
    """Whoever asks for a call, or for a quote of one, may place calls."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        asks = getattr(view, "action", None) in THROTTLES
        return not asks or permissions.may_place(request.user)


class CallViewSet(Resource, mixins.ListModelMixin, GenericViewSet[CallRequest]):
    """The calls that the user may see, which are the user's own or all."""

    permission_classes = (IsAuthenticated, MayPlace)
    serializer_class = CallSerializer
    filter_backends = (FilterBackend,)
    filterset_class = CallFilter
    pagination_class = NewestFirst
    lookup_value_regex = "[^/]+"
    queryset = CallRequest.objects.none()

    def get_queryset(self) -> QuerySet[CallRequest]:
        """The visible calls, each with its user."""
        return permissions.visible_calls(self.request.user).select_related("user")

    def get_throttles(self) -> list[Any]:
        """One for orders, one for quotes, none for the rest."""
        throttle = THROTTLES.get(self.action or "")
        return [throttle()] if throttle else []

    @operation("list_calls", {200: CallSerializer(many=True)}, 400, 404)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The newest first."""
        return super().list(request, *args, **kwargs)

    def paginate_queryset(self, queryset: Any) -> Any:
        """The page, whose subjects are fetched together."""
        page = super().paginate_queryset(queryset)
        subjects.load(page or ())
        return page

    @operation("retrieve_call", {200: CallDetailSerializer}, 404)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One call with its events."""
        return self._tell(self._visible(pk), CallDetailSerializer)

    @operation(
        "place_call",
        {201: CallSerializer},
        *(400, 413, 415, 422, 429),
        keyed=True,
        request=OrderSerializer,
    )
    def create(self, request: Request) -> Response:
        """Ask for a call. The same Idempotency-Key with the same body gives the same call back, as
        it is by now.
        """
        order = self._read(request)
        call = orders.place(order, request.user, idempotency.key(request))
        answer = self._tell(call, CallSerializer, 201)
        answer["Location"] = self.reverse_action("detail", args=[call.pk])
        if call.repeated:
            answer["Idempotent-Replayed"] = "true"
        return answer

    @operation(
        "quote_call", {200: QuoteSerializer}, *(400, 413, 415, 422, 429), request=OrderSerializer
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def quote(self, request: Request) -> Response:
        """The call that the same order would make now, or why it would be refused. Nobody is rung,
        and nothing is written.
        """
        call = orders.quote(self._read(request), request.user)
        return self._tell(call, QuoteSerializer)

    @operation("hang_up_call", {200: CallSerializer}, 404, request=None)
    @action(
        detail=True,
        methods=["post"],
        url_path="hang-up",
        filter_backends=(),
        pagination_class=None,
    )
    def hang_up(self, request: Request, pk: str) -> Response:
        """End a call wherever it stands. One that is over stays as it is."""
        call = self._visible(pk)
        if not permissions.may_hang_up(request.user, call):
            raise PermissionDenied(_("You may not end this call."))
        requesting.hang_up(call, request.user)
        return self._tell(call, CallSerializer)

    def _read(self, request: Request) -> dict[str, Any]:
        order = OrderSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        return {name: value for name, value in order.validated_data.items() if value is not None}

    def _visible(self, pk: str) -> CallRequest:
        return get_object_or_404(self.get_queryset(), pk=primary_key(pk))

    def _tell(self, call: CallRequest, serializer: Any, status: int = 200) -> Response:
        subjects.load([call])
        return Response(serializer(call, context=self.get_serializer_context()).data, status)
