"""The columns of a rate deck, and the values of their cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from django_poketalk.server.models import ALWAYS, Gateway, PriceList, Rate
from django_poketalk.server.models.gateways import validate_prefix
from django_poketalk.shared import csv_export

Owner = PriceList | Gateway

PREFIX, PRICE, INTERNAL = "prefix", "price_per_minute", "is_internal"
VALID_FROM = "valid_from"
ALL = "*"  # the prefix of a rate for all numbers, which is stored as ""
YES, NO = ("1", "yes", "true"), ("", "0", "no", "false")


class Key(NamedTuple):
    """What a deck has one rate for: whether it is internal, the prefix, and its first day."""

    is_internal: bool
    prefix: str
    valid_from: date = ALWAYS


class Terms(NamedTuple):
    """What a rate says about calls to its prefix."""

    destination: str
    price_per_minute: Decimal
    connect_fee: Decimal
    initial_increment: int
    subsequent_increment: int
    minimum_charge: Decimal = Decimal(0)


KEY = tuple(Key.__annotations__)
TERMS = tuple(Terms.__annotations__)
COLUMNS = (PREFIX, *TERMS, VALID_FROM, INTERNAL)
REQUIRED = (PREFIX, PRICE)
MONEY = (PRICE, "connect_fee", "minimum_charge")

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,2})?", re.IGNORECASE)
MAX_TEXT = 50  # characters of a number
_PREFIX_FIELD: Any = Rate._meta.get_field(PREFIX)


class WrongCell(ValueError):
    """The text of a cell is not valid in its column. The message says why."""

    column = PREFIX


class WrongFlag(WrongCell):
    """The same, in the column `is_internal`."""

    column = INTERNAL


class WrongDay(WrongCell):
    """The same, in the column `valid_from`."""

    column = VALID_FROM


def read_prefix(text: str, *, is_internal: bool) -> str:
    """The prefix as it is stored: digits, or "" for `*`, which is for all numbers. Raises
    `WrongCell` if no number of this kind begins so.
    """
    text = text.strip()
    digits = text.removeprefix("+")
    if text == ALL:
        return ""
    if not digits:
        raise WrongCell(_("The prefix is missing. Only * is for all numbers."))
    if not re.fullmatch(r"[0-9]+", digits):
        words = _("“%s” is not a prefix. Enter digits, or * alone for all numbers.")
        raise WrongCell(words % text[:MAX_TEXT])
    if len(digits) > _PREFIX_FIELD.max_length:
        raise WrongCell(_("The prefix has more than %d digits.") % _PREFIX_FIELD.max_length)
    if digits.startswith("0") and not is_internal:
        words = _("“%s” is not a prefix: a prefix begins with a country code, never with 0.")
        raise WrongCell(words % text)
    try:
        validate_prefix(digits, is_internal=is_internal)
    except ValidationError as error:
        raise WrongCell(" ".join(error.messages)) from None
    return digits


def read_flag(text: str) -> bool:
    """Whether a cell says yes."""
    if (said := text.strip().lower()) not in (*YES, *NO):
        raise WrongFlag(_("Enter 1 for yes or 0 for no."))
    return said in YES


@lru_cache
def read_day(text: str) -> date:
    """The day in a cell, such as 2026-11-30; `ALWAYS` if it is empty."""
    if not text.strip():
        return ALWAYS
    try:
        found = datetime.strptime(text.strip(), "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        found = date.min
    if found < ALWAYS:
        raise WrongDay(
            _("“%s” is not a day such as 2026-11-30, from the year 2000 on.") % text[:MAX_TEXT]
        )
    return found


def cell_reader(name: str, decimal: str) -> Callable[[str], Any]:
    """Reads the cells of one of the columns in `Terms`, and remembers them: many rows have the same
    values. `decimal` is the decimal separator.
    """
    field: Any = Rate._meta.get_field(name)
    other = "," if decimal == "." else "."

    @cache
    def read(text: str) -> Any:
        try:
            if isinstance(field, models.CharField):
                return field.clean(csv_export.text_of(text), None)
            if not text.strip():
                return _default(field)
            plain = text.strip()
            number = "" if other in plain else plain.replace(decimal, ".")
            if len(number) > MAX_TEXT or not _NUMBER.fullmatch(number):
                raise WrongCell(_("“%s” is not a number.") % plain[:MAX_TEXT])
            return field.clean(_number(field, Decimal(number), plain), None)
        except ValidationError as error:
            raise WrongCell(" ".join(error.messages)) from None

    return read


def _default(field: Any) -> Any:
    """The value of an empty cell."""
    if not field.has_default():
        raise WrongCell(_("The price is missing."))
    return field.get_default()


def _number(field: Any, number: Decimal, text: str) -> Decimal | int:
    """The number, without needless zeros after the decimals that the column stores. -0 is 0."""
    if isinstance(field, models.IntegerField):
        if number != int(number):
            raise WrongCell(_("“%s” is not a whole number.") % text)
        return int(number)
    try:
        exact: Decimal = round(number, field.decimal_places)
    except InvalidOperation:  # too large for any column
        return number
    if not number:
        return abs(exact)
    return exact if exact == number else number
