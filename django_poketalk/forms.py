"""Forms with phone numbers. They accept any usual format and store E.164."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .conf import settings
from .models import BlacklistedNumber, CallerNumber, ManualResolution
from .protocol import numbers
from .shared.number_errors import explain
from .shared.periods import YEARS


def validate_year(moment: datetime) -> None:
    """`ValidationError` for times that overflow in some clocks and databases."""
    if moment.year not in YEARS:
        raise ValidationError(_("The year must be between 2000 and 2999."), code="years")


class PhoneNumberField(forms.CharField):
    """Converts a number in any usual format to E.164. A number without a country code is read as a
    number of `settings.default_region`.
    """

    widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "dir": "ltr"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": numbers.MAX_TEXT_LENGTH, **options})

    def clean(self, value: Any) -> str:
        written: str = super().clean(value)
        if not written:
            return ""
        try:
            return numbers.normalize(written, settings.default_region)
        except numbers.InvalidNumber as error:
            raise ValidationError(explain(error), code="number_invalid") from error


class OwnNumberForm(forms.Form):
    """A user's own phone number. An empty number deletes it."""

    number = PhoneNumberField(label=_("Your phone number"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        region = settings.default_region
        self.fields["number"].help_text = (
            _(
                "This phone rings first when you place a call. Numbers without + and country"
                " code are taken as numbers in %(country)s. Leave empty to remove the number."
            )
            % {"country": region}
            if region
            else _(
                "This phone rings first when you place a call. Enter the number with + and"
                " country code. Leave empty to remove it."
            )
        )

    def save(self, user: Any) -> None:
        number = self.cleaned_data["number"]
        if number:
            CallerNumber.objects.update_or_create(user=user, defaults={"number": number})
        else:
            CallerNumber.objects.filter(user=user).delete()


class CallerNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form for a user's own phone number."""

    number = PhoneNumberField(label=_("Number"), help_text=_("With + and country code."))

    class Meta:
        model = CallerNumber
        fields = ("user", "number")


class BlacklistedNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form for a blacklisted number or prefix."""

    number = forms.CharField(
        label=_("Number or prefix"),
        max_length=numbers.MAX_TEXT_LENGTH,
        help_text=_("With + and country code, such as +4420."),
        widget=PhoneNumberField.widget,
    )

    class Meta:
        model = BlacklistedNumber
        fields = ("number", "is_prefix", "direction", "reason", "until")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].validators.append(validate_year)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "number" in cleaned and not cleaned.get("is_prefix"):
            try:
                cleaned["number"] = PhoneNumberField().clean(cleaned["number"])
            except ValidationError as error:
                self.add_error("number", error)
        elif "number" in cleaned:
            try:
                cleaned["number"] = numbers.normalize_prefix(cleaned["number"])
            except numbers.InvalidNumber as error:
                self.add_error("number", explain(error))
        return cleaned


class ResolveForm(forms.Form):
    """Resolves a call to which the service gave no clear answer."""

    result = forms.ChoiceField(
        label=_("Outcome"), choices=ManualResolution.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=200,
        help_text=_(
            "How you found out: whom you asked and what they said. The note is kept in the history."
        ),
        widget=forms.TextInput(attrs={"size": 60}),
    )

    @property
    def outcome(self) -> ManualResolution:
        return ManualResolution(self.cleaned_data["result"])

    @property
    def log_message(self) -> str:
        """The message for the history, which is not translated."""
        return f"Resolved manually ({self.outcome.value}): {self.cleaned_data['note']}"
