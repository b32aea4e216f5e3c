"""The user's own call backs: reminders to call somebody at a time."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import mixins, serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ..calls import call_backs, orders, subjects
from ..models import CallBack
from ..models.call_backs import NOTE_LENGTH
from ..protocol.numbers import MAX_EXTENSION, MAX_TEXT_LENGTH
from ..shared.rest import FilterBackend, NewestFirst, primary_key
from .fields import ClosedSerializer, MomentField, TextField
from .filters import CallBackFilter
from .openapi import WITH_BODY, component, operation, returns
from .resources import MayPlace, Resource
from .serializers import ReferenceSerializer, SubjectSerializer, subject_of


@component
class CallBackSerializer(serializers.ModelSerializer[CallBack]):
    """A call back. `after` is the call that it follows, `placed` the call that was placed from it;
    each is null if there is none.
    """

    subject = serializers.SerializerMethodField()
    metadata = serializers.DictField(read_only=True)
    due_at = MomentField(read_only=True)
    is_due = serializers.BooleanField(read_only=True, help_text="Not done, and its time has come.")
    created_at = MomentField(read_only=True)
    done_at = MomentField(read_only=True, allow_null=True)

    class Meta:
        model = CallBack
        fields = (
            "id",
            "to_number",
            "to_extension",
            "subject",
            "metadata",
            "note",
            "due_at",
            "is_due",
            "after",
            "placed",
            "created_at",
            "done_at",
        )
        read_only_fields = fields

    @returns(SubjectSerializer(allow_null=True))
    def get_subject(self, call_back: CallBack) -> dict[str, str] | None:
        return subject_of(call_back)


@component
class NewCallBackSerializer(ClosedSerializer):
    """Whom to call, and when. All fields but `to_number` and `due_at` may be missing."""

    to_number = TextField(
        max_length=MAX_TEXT_LENGTH,
        help_text="Callee's phone, any notation, such as `020 7946 0123 ext. 12`.",
    )
    to_extension = TextField(max_length=MAX_EXTENSION, required=False, allow_blank=True)
    due_at = MomentField()
    note = TextField(max_length=NOTE_LENGTH, required=False, allow_blank=True)
    subject = ReferenceSerializer(required=False, allow_null=True)
    metadata = serializers.DictField(required=False, allow_null=True)


@component
class CallBackChangeSerializer(ClosedSerializer):
    """What to change. The time and the note of a call back that is done stay as they are."""

    due_at = MomentField(required=False)
    note = TextField(max_length=NOTE_LENGTH, required=False, allow_blank=True)
    done = serializers.BooleanField(required=False, help_text="False: it is not done after all.")


class CallBackViewSet(Resource, mixins.ListModelMixin, GenericViewSet[CallBack]):
    """The user's own call backs. Those of others do not exist here."""

    permission_classes = (IsAuthenticated, MayPlace)
    serializer_class = CallBackSerializer
    filter_backends = (FilterBackend,)
    filterset_class = CallBackFilter
    pagination_class = NewestFirst
    lookup_value_regex = "[^/]+"
    queryset = CallBack.objects.none()

    def get_queryset(self) -> QuerySet[CallBack]:
        user: Any = self.request.user
        return CallBack.objects.filter(user=user)

    def get_object(self) -> CallBack:
        return get_object_or_404(self.get_queryset(), pk=primary_key(self.kwargs["pk"]))

    def paginate_queryset(self, queryset: Any) -> Any:
        """The page, with all its subjects loaded at once."""
        page = super().paginate_queryset(queryset)
        subjects.load(page or ())
        return page

    @operation("list_call_backs", {200: CallBackSerializer(many=True)}, 400)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @operation("retrieve_call_back", {200: CallBackSerializer}, 404)
    def retrieve(self, request: Request, pk: str) -> Response:
        """One call back."""
        return Response(self.get_serializer(self.get_object()).data)

    @operation(
        "add_call_back", {201: CallBackSerializer}, 422, *WITH_BODY, request=NewCallBackSerializer
    )
    def create(self, request: Request) -> Response:
        """Remind the user to call somebody. To make the phones ring by themselves, request a call
        with `not_before` instead.
        """
        body = NewCallBackSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        given = wanted.get("subject")
        subject = given and orders.subject_for(request.user, given["type"], given["id"])
        made = call_backs.remind_about(
            request.user,
            wanted["to_number"],
            wanted["due_at"],
            to_extension=wanted.get("to_extension", ""),
            subject=subject,
            metadata=wanted.get("metadata"),
            note=wanted.get("note", ""),
        )
        location = self.reverse_action("detail", args=[made.pk])
        return Response(self.get_serializer(made).data, 201, headers={"Location": location})

    @operation(
        "change_call_back",
        {200: CallBackSerializer},
        *(404, 422),
        *WITH_BODY,
        request=CallBackChangeSerializer,
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Move it, change its note, or mark it as done."""
        found = self.get_object()
        body = CallBackChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted, now = body.validated_data, timezone.now()
        due_at = call_backs.within_a_year(wanted.get("due_at", found.due_at))
        note = {"note": wanted["note"]} if "note" in wanted else {}
        with transaction.atomic():
            if wanted.get("done") is False:
                found.reopen()
            found.move(due_at, **note)
            if wanted.get("done"):
                found.finish(now)
        return Response(self.get_serializer(found).data)

    @operation("delete_call_back", {204: None}, 404)
    def destroy(self, request: Request, pk: str) -> Response:
        """Cancel it: there will be no reminder."""
        self.get_object().delete()
        return Response(status=204)
