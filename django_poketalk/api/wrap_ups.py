"""Wrap-ups as JSON: the result of a call, a note, and when to call back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from .. import permissions
from ..models import CallRequest, WrapUp
from ..models.wrap_ups import KEY_LENGTH
from .fields import ClosedSerializer, MomentField, TextField
from .openapi import component, returns


@component
class WrapUpSerializer(serializers.ModelSerializer[WrapUp]):
    """What was written about a call. `label` is the result for people; `follow_up_at` is when its
    user is reminded to call back, or null. `user` wrote it last.
    """

    label = serializers.CharField(read_only=True)  # type: ignore[assignment]
    note = serializers.SerializerMethodField()
    follow_up_at = serializers.SerializerMethodField()
    updated_at = MomentField(read_only=True, allow_null=True)

    class Meta:
        model = WrapUp
        fields = ("disposition", "label", "note", "follow_up_at", "user", "updated_at")
        read_only_fields = fields

    def get_note(self, row: WrapUp) -> str:
        return permissions.display_text(row.note, self.context["whole"])

    @returns(MomentField(allow_null=True))
    def get_follow_up_at(self, row: WrapUp) -> Any:
        at: datetime | None = self.context["follow_up_at"]
        return at and MomentField().to_representation(at)


@component
class WrapUpChangeSerializer(ClosedSerializer):
    """What to change; the rest stays as it is."""

    disposition = TextField(
        required=False,
        allow_blank=True,
        max_length=KEY_LENGTH,
        help_text="A key of `DISPOSITIONS`, or empty for none.",
    )
    note = TextField(required=False, allow_blank=True, trim_whitespace=False)
    follow_up_at = MomentField(
        required=False, allow_null=True, help_text="When to call back. Null: no reminder."
    )


def wrap_up_of(call: CallRequest, user: Any) -> Any:
    """The wrap-up of a call for this user, or None if nothing was written."""
    row, follow_up = call.wrapped_up, call.follow_up
    at = follow_up.due_at if follow_up is not None and follow_up.done_at is None else None
    if row is None and at is None:
        return None
    if row is None:
        row = WrapUp()
        row.updated_at = None  # type: ignore[assignment]  # nobody has written it
    context = {"whole": permissions.may_see_numbers(user, call), "follow_up_at": at}
    return WrapUpSerializer(row, context=context).data
