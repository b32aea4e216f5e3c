"""The numbers that are stored on a page's objects, found in its HTML and made into buttons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from html import unescape

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from ..conf import settings
from ..protocol import numbers
from . import number_linker, render, signed_call

Sources = dict[str, list[tuple[models.Model, str]]]


@dataclass(frozen=True, slots=True)
class Stored:
    """The numbers of a page's objects: whose each is (E.164 → object and field), and how each may
    be written.
    """

    sources: Sources
    spellings: dict[str, str]


def mark(
    request: HttpRequest,
    html: str,
    objects: Iterable[models.Model],
    fields: str,
    look: render.Look,
) -> str:
    """The HTML with each of the objects' numbers a button; `fields` as in `{% call_buttons %}`.

    The buttons belong to the form `look.form`. Raises `ImproperlyConfigured` for fields that there
    are not, and where none is named and none found.
    """
    stored = read(objects, fields)

    def as_button(digits: str, written: str) -> str | None:
        number = stored.spellings.get(digits)
        return None if number is None else _button(request, stored, number, written, look)

    return number_linker.mark(html, as_button) if stored.sources else html


def read(objects: Iterable[models.Model], fields: str) -> Stored:
    """The objects' numbers. What is no phone number is passed over: it could not be called."""
    sources: Sources = defaultdict(list)
    for each in objects:
        for field in fields_of(type(each), fields):
            try:
                number = numbers.normalize(
                    signed_call.read_field(each, field), settings.default_region
                )
            except numbers.InvalidNumber:
                continue
            if all(owner != each for owner, _field in sources[number]):
                sources[number].append((each, field))
    spellings = {
        spelling: number
        for number in sources
        for spelling in numbers.spellings(number, settings.default_region)
    }
    return Stored(sources, spellings)


def fields_of(model: type[models.Model], fields: str) -> list[str]:
    """The names, separated by commas; without any, those of the model's phone numbers."""
    named = [name.strip() for name in fields.split(",") if name.strip()]
    found = named or signed_call.number_fields(model)
    if not found:
        raise ImproperlyConfigured(
            f'{model._meta.label} has no column for phone numbers: name its fields="...".'
        )
    return found


def _button(
    request: HttpRequest, stored: Stored, number: str, written: str, look: render.Look
) -> str:
    """The button that is labeled with the number as it is written there."""
    owners = stored.sources[number]
    source, field = owners[0] if len(owners) == 1 else (None, "")
    order = signed_call.Button(
        nonce=signed_call.new_nonce(),
        number="" if source else number,
        source=signed_call.Reference.to(source) if source else None,
        field=field,
    )
    # Digits, signs and spaces out of the page's own HTML, which may have the latter as `&nbsp;`.
    label = mark_safe(written)  # noqa: S308
    shown = render.context(request, order, number, source, replace(look, label=label))
    name = _("Call %(number)s") % {
        "number": unescape(written)
    }  # holds what is seen, for WCAG 2.5.3
    return render_to_string("poketalk/call_button.html", {**shown, "number": True, "spoken": name})
