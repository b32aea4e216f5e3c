"""Calls: request, quote, list, watch and end them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.viewsets import GenericViewSet

from .. import permissions
from ..calls import orders, requesting, subjects, wrapping_up
from ..calls.throttling import PlaceThrottle, QuoteThrottle
from ..models import CallRequest
from ..models.related_rows import RELATED_ROWS
from ..shared.rest import FilterBackend, NewestFirst, primary_key
from . import idempotency
from .filters import CallFilter
from .openapi import WITH_BODY, operation
from .resources import MayPlace, Resource
from .serializers import CallDetailSerializer, CallSerializer, OrderSerializer, QuoteSerializer
from .wrap_ups import WrapUpChangeSerializer

THROTTLES: dict[str, type[BaseThrottle]] = {"create": PlaceThrottle, "quote": QuoteThrottle}


class CallViewSet(Resource, mixins.ListModelMixin, GenericViewSet[CallRequest]):
    """The calls that the user may see: their own, or all."""

    permission_classes = (IsAuthenticated,)
    serializer_class = CallSerializer
    filter_backends = (FilterBackend,)
    filterset_class = CallFilter
    pagination_class = NewestFirst
    lookup_value_regex = "[^/]+"
    queryset = CallRequest.objects.none()

    def get_queryset(self) -> QuerySet[CallRequest]:
        return permissions.visible_calls(self.request.user).select_related("user")

    def get_permissions(self) -> list[Any]:
        """Calls and quotes also require the permission to place calls."""
        needed = [MayPlace()] if self.action in THROTTLES else []
        return [*super().get_permissions(), *needed]

    def get_throttles(self) -> list[Any]:
        """One for calls, one for quotes, none for the rest."""
        throttle = THROTTLES.get(self.action or "")
        return [throttle()] if throttle else []

    @operation("list_calls", {200: CallSerializer(many=True)}, 400)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def paginate_queryset(self, queryset: Any) -> Any:
        """The page, with all its subjects loaded at once."""
        page = super().paginate_queryset(queryset.prefetch_related(*RELATED_ROWS))
        subjects.load(page or ())
        return page

    @operation("retrieve_call", {200: CallDetailSerializer}, 404)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One call with its events."""
        return self._respond(self._visible(pk), CallDetailSerializer)

    @operation(
        "place_call",
        {201: CallSerializer},
        *(400, 413, 415, 422, 429),
        keyed=True,
        request=OrderSerializer,
    )
    def create(self, request: Request) -> Response:
        """Request a call. The same Idempotency-Key with the same body returns the same call, in its
        current state.
        """
        order = self._order(request)
        call = orders.place(order, request.user, idempotency.key(request))
        response = self._respond(call, CallSerializer, 201)
        response["Location"] = self.reverse_action("detail", args=[call.pk])
        if call.repeated:
            response["Idempotent-Replayed"] = "true"
        return response

    @operation(
        "quote_call", {200: QuoteSerializer}, *(400, 413, 415, 422, 429), request=OrderSerializer
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def quote(self, request: Request) -> Response:
        """The call that the same body would request now, or why it would be refused.

        No phone rings, and nothing is saved.
        """
        quote = orders.quote(self._order(request), request.user)
        for refusal in quote.refusals:
            raise refusal
        return self._respond(quote.call, QuoteSerializer)

    @operation("hang_up_call", {200: CallSerializer}, 404, request=None)
    @action(
        detail=True, methods=["post"], url_path="hang-up", filter_backends=(), pagination_class=None
    )
    def hang_up(self, request: Request, pk: str) -> Response:
        """End a call at any stage. A call that has ended stays as it is."""
        call = self._visible(pk)
        if not permissions.may_hang_up(request.user, call):
            raise PermissionDenied(_("You are not allowed to end this call."))
        requesting.hang_up(call, request.user)
        return self._respond(call, CallSerializer)

    @operation(
        "wrap_up_call",
        {200: CallSerializer},
        *(404, 422),
        *WITH_BODY,
        request=WrapUpChangeSerializer,
    )
    @action(
        detail=True, methods=["put"], url_path="wrap-up", filter_backends=(), pagination_class=None
    )
    def wrap_up(self, request: Request, pk: str) -> Response:
        """Write the call's result and note, and set or remove its call back. Fields that the body
        does not name stay as they are.
        """
        call = self._visible(pk)
        if not permissions.may_wrap_up(request.user, call):
            raise PermissionDenied(_("You are not allowed to change the wrap-up of this call."))
        body = WrapUpChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        sets_call_back = body.validated_data.get("follow_up_at") is not None
        if sets_call_back and not permissions.may_follow_up(request.user, call):
            raise PermissionDenied(_("You are not allowed to see the numbers of this call."))
        wrapping_up.wrap_up(call, request.user, **body.validated_data)
        return self._respond(call, CallSerializer)

    def _order(self, request: Request) -> Any:
        """The body as a `UserOrder`."""
        body = OrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        order = {name: value for name, value in body.validated_data.items() if value is not None}
        if subject := order.get("subject"):
            order["subject"] = orders.subject_for(request.user, subject["type"], subject["id"])
        return order

    def _visible(self, pk: str) -> CallRequest:
        """The call. 404 if it does not exist, or if this user may not see it."""
        call = get_object_or_404(
            CallRequest.objects.select_related("user", *RELATED_ROWS), pk=primary_key(pk)
        )
        if not permissions.may_see(self.request.user, call):
            raise Http404
        return call

    def _respond(self, call: CallRequest, serializer: Any, status: int = 200) -> Response:
        subjects.load([call])
        return Response(serializer(call, context=self.get_serializer_context()).data, status)
