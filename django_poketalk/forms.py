"""The forms of the caller's side, except those for what follows a call. Fields for phone numbers
accept any usual format, and return E.164.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conf import settings
from .models import BlacklistedNumber, ManualResolution, Phone
from .models.call_backs import NOTE_LENGTH as BACK_NOTE_LENGTH
from .models.phones import MOST_PHONES, read_phone
from .protocol import numbers
from .shared import countries
from .shared.number_errors import explain
from .shared.periods import YEARS


def validate_year(moment: datetime) -> None:
    """`ValidationError` for times that overflow in some clocks and databases."""
    if moment.year not in YEARS:
        raise ValidationError(_("The year must be between 2000 and 2999."), code="years")


class PhoneNumberField(forms.CharField):
    """Converts a number in any usual format to E.164. A number without a country code is read as a
    number of the field's `region`: by default that of `settings.default_region`.

    An `extension` is refused, ignored, or kept behind the number, as `numbers.display` writes it.
    """

    widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "dir": "ltr"})

    def __init__(
        self, *, extension: Literal["refused", "ignored", "kept"] = "refused", **options: Any
    ) -> None:
        super().__init__(**{"max_length": numbers.MAX_TEXT_LENGTH, **options})
        self.extension = extension
        self.region: Callable[[], str | None] = lambda: settings.default_region

    def clean(self, value: Any) -> str:
        written: str = super().clean(value)
        if not written:
            return ""
        try:
            if self.extension == "refused":
                return numbers.normalize(written, self.region())
            reading = numbers.read(written, self.region())
        except numbers.InvalidNumber as error:
            raise ValidationError(explain(error), code="number_invalid") from error
        if reading.extension and self.extension == "kept":
            return numbers.display(reading.e164, reading.extension)
        return reading.e164


class CallerPhoneField(PhoneNumberField):
    """A caller's phone: E.164, or the digits of an internal number that `INTERNAL_NUMBERS`
    allows.
    """

    def clean(self, value: Any) -> str:
        written: str = forms.CharField.clean(self, value)
        if not written:
            return ""
        try:
            return read_phone(written)
        except numbers.InvalidNumber as error:
            raise ValidationError(explain(error), code="number_invalid") from error


class DialForm(forms.Form):
    """The number to call, the one of the user's `phones` that rings first, and the signed token of
    the call.
    """

    USED = _("This form has already placed a call. Open the page again to place another one.")

    to_number = PhoneNumberField(label=_("Number to call"), extension="kept")
    order = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, phones: Sequence[Phone], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["to_number"].help_text = _("With + and country code, or as you dial it here.")
        if phones:
            choices = [(phone.number, phone.name) for phone in phones]
            self.fields["phone"] = forms.ChoiceField(
                label=_("Your phone"), choices=choices, required=False
            )


class OwnNumberForm(forms.Form):
    """The number of a user's default phone. An empty number deletes the phone."""

    number = CallerPhoneField(label=_("Your phone number"), required=False)

    def __init__(self, *args: Any, user: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user

    def clean_number(self) -> str:
        number: str = self.cleaned_data["number"]
        others = Phone.objects.for_user(self.user)[1:]
        if any(phone.number == number for phone in others):
            raise ValidationError(_("You already have a phone with this number."), "phone_exists")
        return number

    def save(self) -> None:
        number = self.cleaned_data["number"]
        default = next(iter(Phone.objects.for_user(self.user)), None)
        if not number and default is not None:
            default.delete()
        elif number:
            phone = default or Phone(user=self.user)
            phone.number = number
            phone.save()


class MyPhoneForm(forms.ModelForm):  # type: ignore[type-arg]
    """One of a user's own phones. The instance has the user."""

    number = CallerPhoneField(label=_("Phone number"))

    class Meta:
        model = Phone
        fields = ("label", "number")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            self.initial["number"] = self.instance.display
        region = settings.default_region
        written = (
            _("Numbers without + and country code are taken as numbers in %(country)s.")
            % {"country": countries.with_name(region)}
            if region
            else _("Enter the number with + and country code.")
        )
        internal = _("The numbers of internal phones are accepted too.")
        self.fields["number"].help_text = (
            f"{written} {internal}" if settings.internal_numbers else f"{written}"
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        phones = Phone.objects.filter(user=self.instance.user).exclude(pk=self.instance.pk)
        if phones.filter(number=cleaned.get("number", "")).exists():
            sentence = _("You already have a phone with this number.")
            self.add_error("number", ValidationError(sentence, "phone_exists"))
        if self.instance.pk is None and phones.count() >= MOST_PHONES:
            most = _("You can have up to %(most)s phones.") % {"most": MOST_PHONES}
            self.add_error(None, ValidationError(most, "too_many_phones"))
        return cleaned


class PhoneForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form for a user's phone."""

    number = CallerPhoneField(label=_("Number"), help_text=_("With + and country code."))
    default = forms.BooleanField(
        label=_("Default"),
        required=False,
        help_text=_("Rings first unless the user chooses another phone."),
    )
    verified = forms.BooleanField(
        label=_("Verified"),
        required=False,
        help_text=_(
            "The phone belongs to this user. A new number or user has to be verified again."
        ),
    )

    class Meta:
        model = Phone
        fields = ("user", "label", "number")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # What the user may not change is not in the form.
        for name, value in (
            ("default", bool(self.instance.is_default)),
            ("verified", self.instance.is_verified),
        ):
            if name in self.fields:
                self.initial[name] = value

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        same = Phone.objects.filter(user=cleaned.get("user"), number=cleaned.get("number"))
        if same.exclude(pk=self.instance.pk).exists():
            self.add_error("number", _("This user already has a phone with this number."))
        return cleaned

    def save(self, commit: bool = True) -> Phone:
        phone: Phone = self.instance
        if self.cleaned_data.get("default"):
            phone.is_default = True
        if "verified" in self.changed_data:
            phone.verified_at = timezone.now() if self.cleaned_data["verified"] else None
        return super().save(commit)  # type: ignore[no-any-return]


class BlacklistedNumberForm(forms.ModelForm):  # type: ignore[type-arg]
    """The admin's form for a blacklisted number or prefix. `ignored_extension` was entered behind
    the number, but is not part of the entry.
    """

    ignored_extension = ""

    number = forms.CharField(
        label=_("Number or prefix"),
        max_length=numbers.MAX_TEXT_LENGTH,
        help_text=_("With + and country code, such as +4420. An extension is ignored."),
        widget=PhoneNumberField.widget,
    )

    class Meta:
        model = BlacklistedNumber
        fields = ("number", "is_prefix", "direction", "reason", "until")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "until" in self.fields:  # not for those who may only read it
            self.fields["until"].validators.append(validate_year)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        try:
            if "number" in cleaned and cleaned.get("is_prefix"):
                cleaned["number"] = numbers.normalize_prefix(cleaned["number"])
            elif "number" in cleaned:
                reading = numbers.read(cleaned["number"], settings.default_region)
                cleaned["number"], self.ignored_extension = reading.e164, reading.extension
        except numbers.InvalidNumber as error:
            self.add_error("number", ValidationError(explain(error), code="number_invalid"))
        return cleaned


class MomentField(forms.DateTimeField):
    """A time in the browser's own input, in the current time zone."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})
        super().__init__(**{"widget": widget, "validators": [validate_year], **options})


class LaterForm(forms.Form):
    """When to call back, from a page about the callee."""

    due_at = MomentField(label=_("Call back at"))
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=BACK_NOTE_LENGTH,
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    ring = forms.BooleanField(
        label=_("Ring my phone at that time"),
        required=False,
        help_text=_("Otherwise you are reminded."),
    )

    def clean_due_at(self) -> datetime:
        at: datetime = self.cleaned_data["due_at"]
        if at < timezone.now():
            raise forms.ValidationError(_("Choose a time in the future."))
        return at


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
        """The message for the history, which is not translated. Numbers in it are masked, because
        others can read the history.
        """
        note = numbers.mask_within(self.cleaned_data["note"])
        return f"Resolved manually ({self.outcome.value}): {note}"
