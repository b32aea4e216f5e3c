"""The blacklist, and the user's own number."""

from __future__ import annotations

import copy
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import mixins, serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from .. import permissions
from ..forms import WRITTEN_LENGTH, BlacklistedNumberForm, OwnNumberForm
from ..models import BlacklistedNumber, CallerNumber
from .fields import MomentField, TextField
from .filters import BlacklistFilter, FilterBackend, told
from .openapi import WITH_BODY, component, operation
from .resources import NewestFirst, Resource, primary_key

ACTIONS: dict[str, Any] = {
    "list": "view",
    "retrieve": "view",
    "create": "add",
    "partial_update": "change",
    "destroy": "delete",
}


@component
class BlacklistSerializer(serializers.ModelSerializer[BlacklistedNumber]):
    """An entry of the blacklist. A whole number is masked for those who may not see it."""

    number = TextField(max_length=WRITTEN_LENGTH)
    reason = TextField(max_length=200, required=False, allow_blank=True)
    until = MomentField(required=False, allow_null=True, help_text="Null: for good.")
    created_at = MomentField(read_only=True)

    class Meta:
        model = BlacklistedNumber
        fields = (
            "id",
            "number",
            "is_prefix",
            "direction",
            "reason",
            "until",
            "created_at",
            "created_by",
        )
        read_only_fields = ("id", "created_by")
        validators: tuple[Any, ...] = ()  # the form's, which look at the number as it is stored

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What the admin's form would accept, as it would store it."""
        whole = permissions.may_see_numbers(self.context["request"].user)
        hidden = {"number", "is_prefix"} & attrs.keys()
        if self.instance is not None and hidden and not whole:
            sentence = _("You may not see this number, so you may not change it either.")
            raise serializers.ValidationError(
                dict.fromkeys(sorted(hidden), sentence), "number_hidden"
            )
        entry = self.instance or BlacklistedNumber()
        asked = {name: getattr(entry, name) for name in BlacklistedNumberForm.base_fields} | attrs
        form = BlacklistedNumberForm(asked, instance=copy.copy(entry))
        if not form.is_valid():
            raise serializers.ValidationError(told(form))
        return {**attrs, "number": form.cleaned_data["number"]}

    def to_representation(self, instance: BlacklistedNumber) -> Any:
        """As those who may see numbers see it, or masked."""
        shown = super().to_representation(instance)
        if not permissions.may_see_numbers(self.context["request"].user):
            shown["number"] = str(instance) if instance.needs_masking else instance.number
            shown["reason"] = permissions.shown_text(instance.reason, False)
        return shown


class MayKeepBlacklist(BasePermission):
    """The permissions of the admin's page, action by action."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        kind = ACTIONS.get(getattr(view, "action", None) or "")
        return kind is None or permissions.may_keep_blacklist(request.user, kind)


class BlacklistViewSet(
    Resource,
    mixins.ListModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[BlacklistedNumber],
):
    """Numbers and prefixes that may not call, or be called."""

    permission_classes = (IsAuthenticated, MayKeepBlacklist)
    queryset = BlacklistedNumber.objects.all()
    serializer_class = BlacklistSerializer
    filter_backends = (FilterBackend,)
    filterset_class = BlacklistFilter
    pagination_class = NewestFirst
    lookup_value_regex = "[^/]+"

    def get_object(self) -> BlacklistedNumber:
        return get_object_or_404(self.get_queryset(), pk=primary_key(self.kwargs["pk"]))

    @operation("list_blacklist", {200: BlacklistSerializer(many=True)}, 400, 404)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The newest first."""
        return super().list(request, *args, **kwargs)

    @operation("retrieve_blacklisted", {200: BlacklistSerializer}, 404)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One entry."""
        return Response(self.get_serializer(self.get_object()).data)

    @operation("add_blacklisted", {201: BlacklistSerializer}, *WITH_BODY)
    def create(self, request: Request) -> Response:
        """Forbid a number, or all that begin with a prefix."""
        serializer = self.get_serializer(data=request.data)
        _save(serializer, created_by=request.user)
        location = self.reverse_action("detail", args=[serializer.data["id"]])
        return Response(serializer.data, 201, headers={"Location": location})

    @operation("change_blacklisted", {200: BlacklistSerializer}, 404, *WITH_BODY)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change what is given, and leave the rest."""
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        _save(serializer)
        return Response(serializer.data)

    @operation("delete_blacklisted", {204: None}, 404)
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Allow it again."""
        return super().destroy(request, *args, **kwargs)


def _save(serializer: BaseSerializer[BlacklistedNumber], **more: Any) -> None:
    serializer.is_valid(raise_exception=True)
    try:
        with transaction.atomic():
            serializer.save(**more)
    except IntegrityError:
        serializer.run_validation(serializer.initial_data)  # tells that somebody was quicker
        raise


@component
class OwnNumberSerializer(serializers.Serializer[CallerNumber]):
    """The user's own phone, which rings first."""

    number = TextField(max_length=WRITTEN_LENGTH)


class MayHaveNumber(BasePermission):
    """Whoever may place calls has a number of their own."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return permissions.may_place(request.user)


class OwnNumberView(Resource):
    """The user's own phone: leg A of the calls that the user places."""

    permission_classes = (IsAuthenticated, MayHaveNumber)

    @operation("get_own_number", {200: OwnNumberSerializer}, 404)
    def get(self, request: Request) -> Response:
        """The number; 404 as long as there is none."""
        return Response(OwnNumberSerializer(self._own(request)).data)

    @operation(
        "set_own_number", {200: OwnNumberSerializer}, *WITH_BODY, request=OwnNumberSerializer
    )
    def put(self, request: Request) -> Response:
        """Set or replace it."""
        asked = OwnNumberSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        form = OwnNumberForm(asked.validated_data)
        if not form.is_valid():
            raise serializers.ValidationError(told(form))
        form.save(request.user)
        return Response(OwnNumberSerializer(self._own(request)).data)

    @operation("delete_own_number", {204: None})
    def delete(self, request: Request) -> Response:
        """Forget it."""
        self._stored(request).delete()
        return Response(status=204)

    def _own(self, request: Request) -> CallerNumber:
        own = self._stored(request).first()
        if own is None:
            raise Http404
        return own

    def _stored(self, request: Request) -> QuerySet[CallerNumber]:
        user: Any = request.user
        return CallerNumber.objects.filter(user=user)
