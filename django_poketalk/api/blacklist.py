"""The blacklist: lists its entries, and adds, changes and deletes them."""

from __future__ import annotations

import copy
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import mixins, serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from .. import permissions
from ..forms import BlacklistedNumberForm
from ..models import BlacklistedNumber
from ..protocol.numbers import MAX_TEXT_LENGTH
from ..shared.rest import FilterBackend, NewestFirst, form_errors, primary_key
from .fields import MomentField, TextField
from .filters import BlacklistFilter
from .openapi import WITH_BODY, component, operation
from .resources import Resource, save

ACTIONS: dict[str, Any] = {
    "list": "view",
    "retrieve": "view",
    "create": "add",
    "partial_update": "change",
    "destroy": "delete",
}


@component
class BlacklistSerializer(serializers.ModelSerializer[BlacklistedNumber]):
    """A blacklist entry. A number (not a prefix) is masked for users who may not see numbers."""

    number = TextField(max_length=MAX_TEXT_LENGTH)
    reason = TextField(max_length=200, required=False, allow_blank=True)
    until = MomentField(required=False, allow_null=True, help_text="Null: no end.")
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
        validators: tuple[Any, ...] = ()  # the form checks the number as it is stored

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The entry as the admin's form validates and stores it."""
        may_see = permissions.may_see_numbers(self.context["request"].user)
        hidden = {"number", "is_prefix"} & attrs.keys()
        if self.instance is not None and hidden and not may_see:
            sentence = _("You may not change this number, because you may not see it.")
            raise serializers.ValidationError(
                dict.fromkeys(sorted(hidden), sentence), "number_hidden"
            )
        entry = self.instance or BlacklistedNumber()
        data = {name: getattr(entry, name) for name in BlacklistedNumberForm.base_fields} | attrs
        form = BlacklistedNumberForm(data, instance=copy.copy(entry))
        if not form.is_valid():
            raise serializers.ValidationError(form_errors(form))
        return {**attrs, "number": form.cleaned_data["number"]}

    def to_representation(self, instance: BlacklistedNumber) -> Any:
        """The entry, masked if the user may not see numbers."""
        data = super().to_representation(instance)
        if not permissions.may_see_numbers(self.context["request"].user):
            data["number"] = str(instance) if instance.needs_masking else instance.number
            data["reason"] = permissions.display_text(instance.reason, False)
        return data


class MayKeepBlacklist(BasePermission):
    """Each action requires the same permission as in the admin."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        kind = ACTIONS.get(getattr(view, "action", None) or "")
        is_about_one = getattr(view, "detail", False)  # whose permission `get_object` checks
        return kind is None or is_about_one or permissions.may_keep_blacklist(request.user, kind)


class BlacklistViewSet(
    Resource,
    mixins.ListModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[BlacklistedNumber],
):
    """Numbers and prefixes that may not call or be called."""

    permission_classes = (IsAuthenticated, MayKeepBlacklist)
    queryset = BlacklistedNumber.objects.all()
    serializer_class = BlacklistSerializer
    filter_backends = (FilterBackend,)
    filterset_class = BlacklistFilter
    pagination_class = NewestFirst
    lookup_value_regex = "[^/]+"

    def get_object(self) -> BlacklistedNumber:
        """The entry. 403 for users who may not do this to it, or to any if there is none."""
        entry = self.get_queryset().filter(pk=primary_key(self.kwargs["pk"])).first()
        if not permissions.may_keep_blacklist(self.request.user, ACTIONS[self.action], entry):
            self.permission_denied(self.request)
        if entry is None:
            raise Http404
        return entry

    @operation("list_blacklist", {200: BlacklistSerializer(many=True)}, 400)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @operation("retrieve_blacklisted", {200: BlacklistSerializer}, 404)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One entry."""
        return Response(self.get_serializer(self.get_object()).data)

    @operation("add_blacklisted", {201: BlacklistSerializer}, *WITH_BODY)
    def create(self, request: Request) -> Response:
        """Add a number or a prefix."""
        serializer = self.get_serializer(data=request.data)
        save(serializer, created_by=request.user)
        location = self.reverse_action("detail", args=[serializer.data["id"]])
        return Response(serializer.data, 201, headers={"Location": location})

    @operation("change_blacklisted", {200: BlacklistSerializer}, 404, *WITH_BODY)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the fields in the body."""
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        save(serializer)
        return Response(serializer.data)

    @operation("delete_blacklisted", {204: None}, 404)
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)
