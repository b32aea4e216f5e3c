"""Calls and orders as JSON. Numbers are E.164, or masked; money is a string; times are in UTC."""

from __future__ import annotations

from typing import Any

from django.contrib.contenttypes.models import ContentType
from rest_framework import serializers

from .. import permissions
from ..calls import caller_ids
from ..calls.currencies import currency_of
from ..calls.service_extensions import undialed
from ..models import CallEvent, CallRequest
from ..presentation import call_status
from ..protocol import numbers
from ..protocol.numbers import MAX_EXTENSION, MAX_TEXT_LENGTH
from ..shared.personal_data import mask_json
from .fields import ClosedSerializer, IntegerField, MomentField, MoneyField, TextField
from .openapi import component, returns
from .wrap_ups import WrapUpSerializer, wrap_up_of

PHASES = ("calling", "ringing", "talking", "ending", "unknown", "ended", "failed")
MAX_EVENTS = 200  # of one call; an hour has about seventy


@component
class ReferenceSerializer(serializers.Serializer[Any]):
    """An object of the project: its model as `app_label.model`, and its primary key as text."""

    type = TextField(max_length=201, help_text="The model, as `app_label.model`.")
    id = TextField(max_length=64, help_text="The primary key, as text.")


@component
class SubjectSerializer(ReferenceSerializer):
    """What a call is about. `text` is empty if the object was deleted."""

    text = serializers.CharField()


def subject_of(row: Any) -> dict[str, str] | None:
    """The subject of a call or a call back as JSON, or None. Load it first (`subjects.load`)."""
    if row.subject_type_id is None:
        return None
    model = ContentType.objects.get_for_id(row.subject_type_id)
    text = str(row.subject) if row.subject is not None else ""
    return {"type": f"{model.app_label}.{model.model}", "id": row.subject_id, "text": text}


@component
class OrderSerializer(ClosedSerializer):
    """The request for a call. All fields but `to_number` may be missing or null."""

    to_number = TextField(
        max_length=MAX_TEXT_LENGTH,
        help_text="Callee's phone, any notation, such as `020 7946 0123 ext. 12`.",
    )
    to_extension = TextField(
        max_length=MAX_EXTENSION,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Digits to dial after the callee's answer, unless `to_number` has them.",
    )
    from_number = TextField(
        max_length=MAX_TEXT_LENGTH,
        required=False,
        allow_null=True,
        help_text="The caller's phone. Default: the user's own number.",
    )
    subject = ReferenceSerializer(required=False, allow_null=True)
    metadata = serializers.DictField(
        required=False, allow_null=True, help_text="An object of your own, of at most 1 KiB."
    )
    max_duration = IntegerField(
        required=False, allow_null=True, help_text="The call ends after this many seconds."
    )
    max_cost = MoneyField(
        required=False, allow_null=True, help_text="Cost at which the call is ended."
    )
    not_before = MomentField(
        required=False, allow_null=True, help_text="No phone rings before this. Default: now."
    )
    expires_at = MomentField(required=False, allow_null=True, help_text="No phone rings later.")


@component
class QuotedSerializer(serializers.ModelSerializer[CallRequest]):
    """The fields that calls and quotes have in common."""

    from_number = serializers.SerializerMethodField()
    to_number = serializers.SerializerMethodField()
    to_extension = serializers.SerializerMethodField()
    presented_number = serializers.SerializerMethodField()
    subject = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()
    max_cost = MoneyField(read_only=True, allow_null=True)
    not_before = MomentField(read_only=True)
    expires_at = MomentField(read_only=True)

    def get_from_number(self, call: CallRequest) -> str:
        return self.number(call, call.from_number)

    def get_to_number(self, call: CallRequest) -> str:
        return self.number(call, call.to_number)

    def get_presented_number(self, call: CallRequest) -> str:
        return self.number(call, call.presented_number)

    def get_to_extension(self, call: CallRequest) -> str:
        """The extension behind `to_number`. Masked, it only has its length."""
        return call.to_extension if self.whole(call) else "•" * len(call.to_extension)

    @returns(SubjectSerializer(allow_null=True))
    def get_subject(self, call: CallRequest) -> dict[str, str] | None:
        return subject_of(call)

    @returns(serializers.DictField())
    def get_metadata(self, call: CallRequest) -> Any:
        """Texts in it are masked as other texts."""
        return call.metadata if self.whole(call) else mask_json(call.metadata)

    def number(self, call: CallRequest, number: str) -> str:
        """The number, masked if the user may not see it. Empty if it was erased."""
        return number if self.whole(call) else numbers.mask(number)

    def whole(self, call: CallRequest) -> bool:
        return permissions.may_see_numbers(self.user, call)

    @property
    def user(self) -> Any:
        return self.context["request"].user


QUOTED = (
    "from_number",
    "to_number",
    "to_extension",
    "presented_number",
    "subject",
    "metadata",
    "max_duration",
    "max_cost",
    "not_before",
    "expires_at",
)


@component
class QuoteSerializer(QuotedSerializer):
    """The call that the same body would request now. `presented_number` is empty if the service
    chooses what the callee sees, also because it does not know the field.
    """

    def get_presented_number(self, call: CallRequest) -> str:
        return super().get_presented_number(call) if caller_ids.is_sent(call.service) else ""

    def get_notices(self, call: CallRequest) -> list[str]:
        """What to tell the caller before a phone rings, as sentences."""
        sentence = undialed(call)
        return [sentence] if sentence else []

    notices = serializers.SerializerMethodField()

    class Meta:
        model = CallRequest
        fields = (*QUOTED, "notices")
        read_only_fields = fields


@component
class CallSerializer(QuotedSerializer):
    """A call. `phase` is its stage for programs, `state` for people; `placement` is how far the
    request to the service got, `status` the protocol's call status.
    """

    phase = serializers.SerializerMethodField()
    state = serializers.CharField(read_only=True)
    open = serializers.BooleanField(source="is_open", read_only=True)
    may_hang_up = serializers.SerializerMethodField()
    username = serializers.SerializerMethodField()
    response_code = serializers.CharField(read_only=True, help_text="The service's, or empty.")
    response_detail = serializers.SerializerMethodField()
    veto_reason = serializers.SerializerMethodField()
    hangup_cause = serializers.CharField(
        read_only=True,
        help_text="Why it failed, in the service's words, or empty: see its hang-up causes.",
    )
    cost = MoneyField(read_only=True)
    currency = serializers.SerializerMethodField(help_text="That of the service, or empty.")
    created_at = MomentField(read_only=True)
    sent_at = MomentField(read_only=True, allow_null=True)
    placed_at = MomentField(read_only=True, allow_null=True)
    a_initiated_at = MomentField(read_only=True, allow_null=True)
    a_answered_at = MomentField(read_only=True, allow_null=True)
    b_initiated_at = MomentField(read_only=True, allow_null=True)
    b_answered_at = MomentField(read_only=True, allow_null=True)
    ended_at = MomentField(read_only=True, allow_null=True)
    stale_at = MomentField(read_only=True, allow_null=True)
    hangup_requested_at = MomentField(read_only=True, allow_null=True)
    wrap_up = serializers.SerializerMethodField()

    class Meta:
        model = CallRequest
        fields: tuple[str, ...] = (
            "id",
            "webcallid",
            "phase",
            "state",
            "open",
            "may_hang_up",
            "service",
            "placement",
            "status",
            "user",
            "username",
            *QUOTED,
            "talk_time",
            "duration",
            "cost",
            "currency",
            "response_code",
            "response_detail",
            "veto_reason",
            "hangup_cause",
            "created_at",
            "sent_at",
            "placed_at",
            "a_initiated_at",
            "a_answered_at",
            "b_initiated_at",
            "b_answered_at",
            "ended_at",
            "stale_at",
            "hangup_requested_at",
            "hangup_requested_by",
            "wrap_up",
        )
        read_only_fields: tuple[str, ...] = fields

    @returns(serializers.ChoiceField(choices=PHASES))
    def get_phase(self, call: CallRequest) -> str:
        return call_status.phase(call)

    def get_may_hang_up(self, call: CallRequest) -> bool:
        return permissions.may_hang_up_now(self.user, call)

    def get_currency(self, call: CallRequest) -> str:
        return currency_of(call.service)

    def get_username(self, call: CallRequest) -> str:
        return call.user.get_username() if call.user else ""

    def get_response_detail(self, call: CallRequest) -> str:
        # The service's own text may contain a number.
        return call.response_detail if self.whole(call) else ""

    @returns(WrapUpSerializer(allow_null=True))
    def get_wrap_up(self, call: CallRequest) -> Any:
        return wrap_up_of(call, self.user)

    def get_veto_reason(self, call: CallRequest) -> str:
        return permissions.display_text(call.veto_reason, self.whole(call))


@component
class EventSerializer(serializers.ModelSerializer[CallEvent]):
    """An event from the service, and our answer: 200, or 412 to end the call. If it was repeated,
    `received_at` is the time of the first, the rest is the latest, and `times` counts them.
    """

    received_at = MomentField(read_only=True)
    cost = MoneyField(read_only=True, allow_null=True)
    reason = serializers.SerializerMethodField()

    class Meta:
        model = CallEvent
        fields = (
            "received_at",
            "remote_address",
            "status",
            "duration",
            "cost",
            "answer",
            "reason",
            "times",
        )
        read_only_fields = fields

    def get_reason(self, event: CallEvent) -> str:
        return permissions.display_text(event.reason, self.context["whole"])


@component
class CallDetailSerializer(CallSerializer):
    """A call with its events, oldest first; null if the user may not see them. `events_cut`: there
    are more events, and only the latest are included.
    """

    events = serializers.SerializerMethodField()
    events_cut = serializers.SerializerMethodField()

    class Meta(CallSerializer.Meta):
        fields = (*CallSerializer.Meta.fields, "events", "events_cut")
        read_only_fields = fields

    @returns(EventSerializer(many=True, allow_null=True))
    def get_events(self, call: CallRequest) -> Any:
        latest = self.latest(call)
        if latest is None:
            return None
        events = latest[:MAX_EVENTS][::-1]
        return EventSerializer(events, many=True, context={"whole": self.whole(call)}).data

    def get_events_cut(self, call: CallRequest) -> bool:
        return len(self.latest(call) or ()) > MAX_EVENTS

    def latest(self, call: CallRequest) -> list[CallEvent] | None:
        """Up to `MAX_EVENTS` + 1 events, newest first; None if the user may not see them."""
        if not permissions.may_see_events(self.user, call):
            return None
        if not hasattr(self, "_latest"):
            self._latest = list(call.events.order_by("-id")[: MAX_EVENTS + 1])
        return self._latest
