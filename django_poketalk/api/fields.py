"""Fields that parse JSON strictly, and format money and times the same in every project."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from ..shared.periods import YEARS

LARGEST_INTEGER = 2**31 - 1  # what every database's integer column holds


class ClosedSerializer(serializers.Serializer[Any]):
    """A body that may have no other fields: one may be misspelled, and would have no effect."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse unknown fields."""
        if unknown := sorted(self.initial_data.keys() - self.fields.keys()):
            sentence = gettext("There is no field “%s”.")
            raise serializers.ValidationError([sentence % name for name in unknown], "unknown")
        return attrs


class TextField(serializers.CharField):
    """A JSON string. Numbers are refused: 0044 would lose its zeros."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class IntegerField(serializers.IntegerField):
    """An integer, or a string of ASCII digits; Python itself accepts those of every script."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": -LARGEST_INTEGER, "max_value": LARGEST_INTEGER, **options})

    def to_internal_value(self, data: Any) -> int:
        if not str(data).isascii():
            self.fail("invalid")
        return super().to_internal_value(data)


class MoneyField(serializers.DecimalField):
    """An amount of up to nine digits and six decimals. A string, as numbers may be inexact."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=15, decimal_places=6, coerce_to_string=True, **options)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or not str(data).isascii():
            self.fail("invalid")
        return super().to_internal_value(data)


class MomentField(serializers.DateTimeField):
    """ISO 8601. Output is in UTC; input without an offset is in the current time zone."""

    default_error_messages = {"years": _("The year must be between 2000 and 2999.")}

    def __init__(self, **options: Any) -> None:
        super().__init__(format="iso-8601", input_formats=["iso-8601"], **options)

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not value.isascii():
            self.fail("invalid", format="ISO 8601")
        try:
            moment = super().to_internal_value(value)
        except OverflowError:
            self.fail("years")
        if moment.year not in YEARS:
            self.fail("years")
        return moment

    def to_representation(self, value: Any) -> Any:
        moment = value.astimezone(UTC) if isinstance(value, datetime) else value
        return moment and moment.isoformat().replace("+00:00", "Z")
