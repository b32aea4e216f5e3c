"""The currencies of ISO 4217 to choose from, with their names from the Unicode CLDR."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import get_language

from django_poketalk.shared.cldr import locale_of

from ..models.currencies import CURRENCIES


def currency_field(model: type[models.Model]) -> forms.ChoiceField:
    """The form's field for the model's `currency`. Nothing is chosen for a currency that has left
    the list, so that saving the form does not change it to another one.
    """
    column: Any = model._meta.get_field("currency")
    return forms.ChoiceField(
        label=capfirst(column.verbose_name),
        help_text=column.help_text,
        choices=choices,
    )


def choices() -> list[tuple[str, str]]:
    """The codes with their names in the current language, after an empty choice."""
    names = locale_of(get_language()).currencies
    return [("", "---------"), *((c, f"{c} – {names.get(c, c)}") for c in sorted(CURRENCIES))]
