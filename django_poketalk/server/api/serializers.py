"""Accounts and calls as JSON. Numbers are digits, as on the wire; money has three decimals."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from rest_framework import serializers

from ..billing import ledger
from ..billing.rating import FREE
from ..models import Account, Call, EventDelivery, Leg
from .openapi import component


def money(**options: Any) -> serializers.DecimalField:
    """An amount as a string, since floats are inexact; independent of the project's defaults."""
    return serializers.DecimalField(
        max_digits=15, decimal_places=3, coerce_to_string=True, read_only=True, **options
    )


def moment() -> serializers.DateTimeField:
    """A time in ISO 8601 and UTC, independent of the project's defaults."""
    return serializers.DateTimeField(format="iso-8601", default_timezone=UTC, read_only=True)


@component
class BalanceSerializer(serializers.ModelSerializer[Account]):
    """An account's money in its `currency`. `spendable` is what new calls can still hold: within
    the credit limit and the limit per day, and never below 0. `low`: see `low_balance_at`.
    """

    balance = money()
    held = money()
    spendable = serializers.SerializerMethodField()
    credit_limit = money()
    low = serializers.BooleanField(source="is_low", read_only=True)
    low_balance_at = money(allow_null=True)

    class Meta:
        model = Account
        fields = (
            "currency",
            "balance",
            "held",
            "spendable",
            "credit_limit",
            "low",
            "low_balance_at",
        )
        read_only_fields = fields

    def get_spendable(self, account: Account) -> str:
        """The amount, as the other amounts."""
        return f"{max(FREE, account.spendable(ledger.today())):.3f}"


@component
class LegSerializer(serializers.ModelSerializer[Leg]):
    """One attempt to ring a phone. `duration` is in seconds from its answer."""

    initiated_at = moment()
    ringing_at = moment()
    answered_at = moment()
    ended_at = moment()
    cost = money()

    class Meta:
        model = Leg
        fields = (
            "side",
            "attempt",
            "number",
            "initiated_at",
            "ringing_at",
            "answered_at",
            "ended_at",
            "duration",
            "cost",
            "hangup_cause",
        )
        read_only_fields = fields


@component
class EventDeliverySerializer(serializers.ModelSerializer[EventDelivery]):
    """One request to the EventURL, and its response: an HTTP status, or null and an error."""

    sent_at = moment()
    cost = money()

    class Meta:
        model = EventDelivery
        fields = ("sequence", "status", "duration", "cost", "sent_at", "seconds", "answer", "error")
        read_only_fields = fields


@component
class CallSerializer(serializers.ModelSerializer[Call]):
    """A call with its legs. `duration` is in seconds from leg A's answer."""

    cost = money()
    currency = serializers.CharField(source="account.currency", read_only=True)
    created_at = moment()
    ended_at = moment()
    legs = LegSerializer(many=True, read_only=True)

    class Meta:
        model = Call
        fields: tuple[str, ...] = (
            "id",
            "custom",
            "from_number",
            "to_number",
            "to_extension",
            "presented_number",
            "state",
            "status",
            "duration",
            "max_duration",
            "cost",
            "currency",
            "hangup_cause",
            "eventurl",
            "created_at",
            "ended_at",
            "legs",
        )
        read_only_fields: tuple[str, ...] = fields


@component
class CallDetailSerializer(CallSerializer):
    """A call with its legs and every event that was sent."""

    final_event_due_at = moment()
    events = EventDeliverySerializer(source="deliveries", many=True, read_only=True)

    class Meta(CallSerializer.Meta):
        fields = (*CallSerializer.Meta.fields, "final_event_due_at", "events")
        read_only_fields = fields
