"""Forms in which people write phone numbers: in any way, stored as E.164."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .conf import settings
from .models import BlacklistedNumber, CallerNumber
from .protocol import numbers

WRITTEN_LENGTH = 40  # an E.164 number with brackets, spaces and dashes


class PhoneNumberField(forms.CharField):
    """Text in, E.164 out. A number without country code belongs to `settings.default_region`."""

    widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "dir": "ltr"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": WRITTEN_LENGTH, **options})

    def clean(self, value: Any) -> str:
        written: str = super().clean(value)
        if not written:
            return ""
        try:
            return numbers.normalise(written, settings.default_region)
        except numbers.InvalidNumber as error:
            raise ValidationError(
                _("“%(number)s” is not a phone number. Write it with + and country code."),
                code="number_invalid",
                params={"number": written},
            ) from error


class OwnNumberForm(forms.Form):
    """A user's own phone; left empty, it is forgotten."""

    number = PhoneNumberField(
        label=_("Your phone number"),
        required=False,
        help_text=_(
            "It rings first when you place a call. With + and country code, or empty to remove it."
        ),
    )

    def save(self, user: Any) -> None:
        number = self.cleaned_data["number"]
        if number:
            CallerNumber.objects.update_or_create(user=user, defaults={"number": number})
        else:
            CallerNumber.objects.filter(user=user).delete()


class CallerNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form of a user's own phone."""

    number = PhoneNumberField(label=_("Number"), help_text=_("With + and country code."))

    class Meta:
        model = CallerNumber
        fields = ("user", "number")


class BlacklistedNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form of a number, or a prefix of numbers, that may not be used."""

    number = forms.CharField(
        label=_("Number or prefix"),
        max_length=WRITTEN_LENGTH,
        help_text=_("With + and country code, e.g. +4420."),
        widget=PhoneNumberField.widget,
    )

    class Meta:
        model = BlacklistedNumber
        fields = ("number", "is_prefix", "direction", "reason", "until")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "number" in cleaned and not cleaned.get("is_prefix"):
            try:
                cleaned["number"] = PhoneNumberField().clean(cleaned["number"])
            except ValidationError as error:
                self.add_error("number", error)
        elif "number" in cleaned:
            try:
                cleaned["number"] = numbers.normalise_prefix(cleaned["number"])
            except numbers.InvalidNumber:
                self.add_error(
                    "number",
                    _("Write the beginning of the numbers with + and country code, e.g. +4420."),
                )
        return cleaned
