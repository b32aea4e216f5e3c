"""The user's own phones. The default phone rings first."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ..calls import verification
from ..forms import MyPhoneForm, OwnNumberForm
from ..models import Phone
from ..models.phones import LABEL_LENGTH, one_change_at_a_time, users_keep_their_own
from ..protocol.numbers import MAX_TEXT_LENGTH
from ..shared.problems import Problem
from ..shared.rest import form_errors, primary_key
from .fields import MomentField, TextField
from .openapi import WITH_BODY, component, operation
from .resources import MayPlace, Resource, save

READING = ("GET", "HEAD", "OPTIONS")


@component
class PhoneSerializer(serializers.ModelSerializer[Phone]):
    """One of the user's own phones. `id` is null if the project keeps the phones elsewhere."""

    id = serializers.IntegerField(read_only=True, allow_null=True)
    label = TextField(  # type: ignore[assignment]
        max_length=LABEL_LENGTH, required=False, allow_blank=True
    )
    number = TextField(
        max_length=MAX_TEXT_LENGTH, help_text="E.164, or an internal number of 2 to 6 digits."
    )
    is_default = serializers.BooleanField(
        required=False, help_text="Rings first. True replaces the default phone."
    )
    may_ring = serializers.BooleanField(
        read_only=True, help_text="False until it is verified, if the site requires that."
    )
    verified_at = MomentField(read_only=True, allow_null=True)

    class Meta:
        model = Phone
        fields = ("id", "label", "number", "is_default", "may_ring", "verified_at")
        validators: tuple[Any, ...] = ()  # the form checks the number as it is stored

    def validate_is_default(self, is_default: bool) -> bool:
        """Another phone has to become the default one instead."""
        if not is_default and self.instance is not None and self.instance.is_default:
            sentence = _("Make another phone the default one instead.")
            raise serializers.ValidationError(sentence, "default_required")
        return is_default

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The phone as the page's form validates and stores it."""
        phone = self.instance or Phone(user=self.context["request"].user)
        data = {"label": phone.label, "number": phone.number} | attrs
        form = MyPhoneForm(data, instance=copy.copy(phone))
        if not form.is_valid():
            raise serializers.ValidationError(form_errors(form))
        return {**attrs, "label": data["label"], "number": form.cleaned_data["number"]}

    def to_representation(self, instance: Phone) -> Any:
        """A phone is the default one or not; the column has null for not."""
        return {**super().to_representation(instance), "is_default": bool(instance.is_default)}


@component
class CodeSerializer(serializers.Serializer[Any]):
    """The code that was sent to a phone."""

    code = TextField(max_length=MAX_TEXT_LENGTH)


@component
class OwnNumberSerializer(serializers.Serializer[Phone]):
    """The number of the user's default phone, which rings first."""

    number = TextField(max_length=MAX_TEXT_LENGTH)


class OwnPhones(Resource):
    """Writes are refused if the site does not let users change their phones."""

    permission_classes = (IsAuthenticated, MayPlace)

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        if request.method not in READING and not users_keep_their_own():
            sentence = _("Your phones cannot be changed here. Ask your administrator.")
            raise Problem(403, "phones_kept_elsewhere", sentence)


class PhoneViewSet(OwnPhones, GenericViewSet[Phone]):
    """The user's own phones. Other users' phones do not exist here."""

    queryset = Phone.objects.none()
    serializer_class = PhoneSerializer
    lookup_value_regex = "[^/]+"
    pagination_class = None

    @classmethod
    def as_view(cls, *args: Any, **options: Any) -> Any:
        """The view, outside of `ATOMIC_REQUESTS`: a refusal must not undo the count of attempts."""
        return transaction.non_atomic_requests(super().as_view(*args, **options))

    def get_object(self) -> Phone:
        user: Any = self.request.user
        stored = Phone.objects.filter(user=user)
        return get_object_or_404(stored, pk=primary_key(self.kwargs["pk"]))

    @operation("list_phones", {200: PhoneSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """All of them, the default one first."""
        phones = Phone.objects.for_user(request.user)
        return Response(self.get_serializer(phones, many=True).data)

    @operation("add_phone", {201: PhoneSerializer}, *WITH_BODY)
    def create(self, request: Request) -> Response:
        """Add a phone. The first one becomes the default one."""
        serializer = self.get_serializer(data=request.data)
        save(serializer, user=request.user)
        return Response(serializer.data, 201)

    @operation("change_phone", {200: PhoneSerializer}, 404, *WITH_BODY)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the fields in the body. A new number has to be verified again."""
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        save(serializer)
        return Response(serializer.data)

    @operation("delete_phone", {204: None}, 404)
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete it. If it was the default phone, the oldest one that is left becomes it."""
        self.get_object().delete()
        return Response(status=204)

    @operation("send_code", {200: PhoneSerializer}, 404, 422, request=None)
    @action(detail=True, methods=["post"], url_path="send-code")
    def send_code(self, request: Request, pk: str) -> Response:
        """Send a code to the phone, unless it is verified. 404 if the site sends no codes."""
        return self._verified_by(verification.send_code, self.get_object())

    @operation("verify_phone", {200: PhoneSerializer}, 404, 422, *WITH_BODY, request=CodeSerializer)
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Verify the phone with the code that was sent to it. 404 if the site sends no codes."""
        body = CodeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        code: str = body.validated_data["code"]
        return self._verified_by(
            lambda phone: verification.enter_code(phone, code), self.get_object()
        )

    def _verified_by(self, step: Callable[[Phone], None], phone: Phone) -> Response:
        if not verification.sends_codes():
            raise Http404
        if not phone.is_verified:
            step(phone)
        return Response(self.get_serializer(phone).data)


class OwnNumberView(OwnPhones):
    """The number of the user's default phone, which rings first in their calls."""

    @operation("get_own_number", {200: OwnNumberSerializer}, 404)
    def get(self, request: Request) -> Response:
        """The number, or 404 if none is set."""
        return Response(OwnNumberSerializer(self._own(request)).data)

    @operation(
        "set_own_number", {200: OwnNumberSerializer}, *WITH_BODY, request=OwnNumberSerializer
    )
    def put(self, request: Request) -> Response:
        """Set or replace it."""
        serializer = OwnNumberSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        form = OwnNumberForm(serializer.validated_data, user=request.user)
        with one_change_at_a_time(request.user.pk):
            if not form.is_valid():
                raise serializers.ValidationError(form_errors(form))
            form.save()
        return Response(OwnNumberSerializer(self._own(request)).data)

    @operation("delete_own_number", {204: None})
    def delete(self, request: Request) -> Response:
        """Delete the default phone."""
        for phone in Phone.objects.for_user(request.user)[:1]:
            phone.delete()
        return Response(status=204)

    def _own(self, request: Request) -> Phone:
        phones = Phone.objects.for_user(request.user)
        if not phones:
            raise Http404
        return phones[0]
