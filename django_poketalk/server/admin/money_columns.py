"""Money in the columns and read-only fields of the service's admin: with its currency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib import admin
from django.utils.formats import number_format

from django_poketalk.shared.number_names import left_to_right

from .display import ExplainedColumns

Column = Callable[[Any, Any], str]


def money(amount: Decimal, currency: str) -> str:
    """An amount in the current language, with three decimals and the currency."""
    return f"{number_format(amount, 3, use_l10n=True, force_grouping=True)} {currency}"


def money_cell(amount: Decimal, currency: str) -> str:
    """The same as HTML, on one line and left to right in every language."""
    return left_to_right(money(amount, currency))


def money_column(field: str, description: Any, currency: str = "account.currency") -> Column:
    """A column with the amount in this field, or the admin's empty value, sorted by it. `currency`
    is the path from the row to the currency; the list or page must have fetched it with the row.
    """
    currency_of = attrgetter(currency)

    @admin.display(description=description, ordering=field)
    def column(page: Any, row: Any) -> str:
        amount = getattr(row, field)
        if amount is None:  # which a page of read-only fields would display
            return str(page.get_empty_value_display())
        return money_cell(amount, currency_of(row))

    return column


class MoneyColumns(ExplainedColumns):
    """Displays amounts with their currency, as `amounts` maps their fields to columns. Inputs
    contain the amount only.
    """

    amounts: ClassVar[Mapping[str, str]] = {}

    def columns_of_fields(self) -> Mapping[str, str]:
        return {**super().columns_of_fields(), **self.amounts}

    def with_currency(self, names: Any) -> list[Any]:
        """The names of columns or read-only fields, with the columns of amounts."""
        return [self.amounts.get(name, name) for name in names]
