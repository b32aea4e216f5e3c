"""The parameters of the lists. An invalid value is an error, never ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django_filters.fields import IsoDateTimeField

from .. import permissions
from ..conf import DEFAULT_SERVICE
from ..forms import PhoneNumberField, validate_year
from ..models import BlacklistedNumber, CallBack, CallRequest, Placement, Status
from ..models.indexes import IS_OF_ANOTHER_SERVICE
from ..models.states import IS_OPEN, OPEN_BY_INDEX
from ..models.wrap_ups import KEY_LENGTH
from ..protocol import numbers
from ..protocol.numbers import MAX_TEXT_LENGTH

TRUE_OR_FALSE = {"true": True, "1": True, "false": False, "0": False}


class MomentFormField(IsoDateTimeField):
    """ISO 8601, within `YEARS`. The value is in UTC, since PostgreSQL accepts no offset of 16 hours
    or more.
    """

    def clean(self, value: Any) -> datetime | None:
        if value and not str(value).isascii():
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        moment: datetime | None = super().clean(value)
        if moment is not None:
            validate_year(moment)
        return moment and moment.astimezone(UTC)


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentFormField


class TrueOrFalseField(forms.NullBooleanField):
    """`true` or `false` in any case, or `1` or `0`."""

    widget = forms.TextInput  # the default widget reads unknown values as none

    def to_python(self, value: Any) -> Any:
        text = str(value or "").lower()
        if text and text not in TRUE_OR_FALSE:
            raise ValidationError(RegexValidator.message, code="invalid")
        return TRUE_OR_FALSE.get(text)


class TrueOrFalseFilter(django_filters.BooleanFilter):
    field_class = TrueOrFalseField


class NumberFilter(django_filters.CharFilter):
    """A number in any usual notation, looked up as E.164 without its extension."""

    field_class = PhoneNumberField


class EitherPhoneField(PhoneNumberField):
    """Also an internal number, whether or not it may still be a caller's phone."""

    def clean(self, value: Any) -> str:
        digits = numbers.clean(str(value or "")).strip()
        return digits if numbers.is_internal(digits) else super().clean(value)


class EitherPhoneFilter(NumberFilter):
    field_class = EitherPhoneField


class PrimaryKeyField(forms.CharField):
    """A user's primary key, of the type that it has in this project."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        if not text.isascii():
            raise ValidationError(_("This is not a primary key."), code="invalid")
        field = get_user_model()._meta.pk
        key = field.to_python(text)
        field.run_validators(key)  # which refuse integers that the database cannot hold
        return key


class UserFilter(django_filters.CharFilter):
    field_class = PrimaryKeyField


class CallForm(forms.Form):
    """Rules for several parameters together."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("subject_id") and not cleaned.get("subject_type"):
            self.add_error("subject_id", _("Also set subject_type."))
        return cleaned


class CallFilter(django_filters.FilterSet):
    """The parameters of the list of calls."""

    status = django_filters.MultipleChoiceFilter(choices=Status.choices)
    placement = django_filters.MultipleChoiceFilter(choices=Placement.choices)
    service = django_filters.CharFilter(
        method="by_service", max_length=40, help_text="Alias of the service."
    )
    open = TrueOrFalseFilter(
        method="by_open", help_text="Whether it is waiting, ringing or answered."
    )
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    user = UserFilter(field_name="user_id", max_length=64, help_text="Primary key.")
    subject_type = django_filters.CharFilter(
        method="by_subject_type", max_length=201, help_text="As `app_label.model`."
    )
    subject_id = django_filters.CharFilter(field_name="subject_id", max_length=64)
    disposition = django_filters.CharFilter(
        field_name="wrap_up__disposition", max_length=KEY_LENGTH, help_text="Key of the result."
    )
    number = EitherPhoneFilter(
        method="by_number",
        extension="ignored",
        max_length=MAX_TEXT_LENGTH,
        help_text="Either phone's number, in any usual notation. Only searches calls whose numbers"
        " the user may see.",
    )

    class Meta:
        model = CallRequest
        form = CallForm
        fields: tuple[str, ...] = ()

    def by_service(self, calls: QuerySet[CallRequest], name: str, value: str) -> Any:
        found = calls.filter(service=value)
        # Names the condition of the index, so that each database uses it.
        return found if value == DEFAULT_SERVICE else found.filter(IS_OF_ANOTHER_SERVICE)

    def by_open(self, calls: QuerySet[CallRequest], name: str, value: bool) -> Any:
        return calls.filter(OPEN_BY_INDEX) if value else calls.exclude(IS_OPEN)

    def by_subject_type(self, calls: QuerySet[CallRequest], name: str, value: str) -> Any:
        app, _dot, model = value.lower().partition(".")
        try:
            subject_type = ContentType.objects.get_by_natural_key(app, model)
        except ContentType.DoesNotExist:
            return calls.none()
        return calls.filter(subject_type=subject_type)

    def by_number(self, calls: QuerySet[CallRequest], name: str, value: str) -> Any:
        # A search must not reveal a number that the user may not see.
        user: Any = self.request and self.request.user
        if not permissions.may_see_numbers(user):
            calls = calls.filter(user_id=user.pk)
        return calls.filter(Q(from_number=value) | Q(to_number=value))


class CallBackFilter(django_filters.FilterSet):
    """The parameters of the list of call backs."""

    due = TrueOrFalseFilter(
        method="by_due", help_text="Whether it is not done, and its time has come."
    )
    done = TrueOrFalseFilter(method="by_done", help_text="Whether it is done.")

    class Meta:
        model = CallBack
        fields: tuple[str, ...] = ()

    def by_due(self, found: QuerySet[CallBack], name: str, value: bool) -> Any:
        is_due = Q(done_at=None, due_at__lte=timezone.now())
        return found.filter(is_due if value else ~is_due)

    def by_done(self, found: QuerySet[CallBack], name: str, value: bool) -> Any:
        return found.filter(done_at__isnull=not value)


class BlacklistFilter(django_filters.FilterSet):
    """The parameters of the blacklist."""

    is_prefix = TrueOrFalseFilter()
    number = NumberFilter(
        method="by_number",
        extension="ignored",
        max_length=MAX_TEXT_LENGTH,
        help_text="The exact number. Finds nothing for users who may not see numbers.",
    )

    class Meta:
        model = BlacklistedNumber
        fields = ("direction",)

    def by_number(self, entries: QuerySet[BlacklistedNumber], name: str, value: str) -> Any:
        user: Any = self.request and self.request.user
        if not permissions.may_see_numbers(user):
            return entries.none()
        return entries.filter(number=value)
