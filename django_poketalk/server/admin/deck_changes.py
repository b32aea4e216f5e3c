"""How changes of rates are displayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..billing.rate_decks.columns import PRICE, TERMS
from ..billing.rate_decks.comparison import CHANGED, DELETED, NEW, Change, plain
from ..models import ALWAYS


def rows(changes: Sequence[Change], reasons: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The changes as rows of a table, with the reasons why they are marked."""
    kinds = {NEW: _("new"), CHANGED: _("changed"), DELETED: _("deleted")}
    return [
        {
            "kind": kinds[change.kind],
            "prefix": change.prefix,
            "is_internal": change.key.is_internal,
            "valid_from": day_text(change.key.valid_from),
            "cells": [_cell(change, name) for name in TERMS],
            "reason": reason,
        }
        for change, reason in zip_longest(changes, reasons, fillvalue="")
        if isinstance(change, Change)
    ]


def deleted_list(changes: Iterable[Change]) -> SafeString:
    """Prefix, destination, price and first day of deleted rates, as items of a list."""
    return format_html_join(
        "\n",
        '<li><bdi dir="ltr">{}</bdi> {} <bdi dir="ltr">{}</bdi>{}</li>',
        (
            (
                *(change.prefix, change.terms.destination, plain(change.terms.price_per_minute)),
                f" {day}" if (day := day_text(change.key.valid_from)) else "",
            )
            for change in changes
        ),
    )


def day_text(day: date) -> str:
    """The first day of a rate; "" for one that was not announced for a day."""
    return "" if day == ALWAYS else date_format(day, "SHORT_DATE_FORMAT")


def _cell(change: Change, name: str) -> SafeString:
    """The value; if it changes, the old one and the new one, with the difference of a price."""
    before, now = (getattr(terms, name) for terms in (change.old or change.terms, change.terms))
    if before == now:
        return format_html('<bdi dir="{}">{}</bdi>', _direction(name), _text(now))
    difference = change.difference() if name == PRICE else None
    return format_html(
        '<span dir="{}"><del>{}</del> → <ins>{}</ins></span>{}',
        _direction(name),
        _text(before),
        _text(now),
        "" if difference is None else format_html(" <bdi>({})</bdi>", percent(difference)),
    )


def percent(difference: Decimal) -> str:
    """A difference such as +12.5 %."""
    sign = "+" if difference > 0 else "−" if difference < 0 else ""
    return f"{sign}{number_format(round(abs(difference), 1), 1, force_grouping=True)} %"


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def _direction(name: str) -> str:
    return "auto" if name == "destination" else "ltr"
