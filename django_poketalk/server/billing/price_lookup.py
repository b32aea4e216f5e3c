"""The rates for numbers on a day: of an account's price list, or of any."""

from __future__ import annotations

from datetime import date

from django_poketalk.protocol.numbers import is_internal

from ..models import Account, Rate
from ..models.rates import PrefixRateQuerySet
from ..routing import routes


def rates_for(account: Account, day: date, *numbers: str) -> list[Rate | None]:
    """The account's rate for each number (digits), in one query. None for a number without one; for
    all if the account has no price list, or one in another currency.
    """
    if account.price_list_id is None:
        return [None] * len(numbers)
    rates = _matching(day, *numbers).filter(
        price_list=account.price_list_id, price_list__currency=account.currency
    )
    found = {(rate.is_internal, rate.prefix): rate for rate in rates}
    longest = [routes.longest_of_kind(number, found) for number in numbers]
    return [None if prefix is None else found[prefix] for prefix in longest]


def is_priced(day: date, number: str) -> bool:
    """Whether any price list has a rate for the number (digits)."""
    return _matching(day, number).exists()


def _matching(day: date, *numbers: str) -> PrefixRateQuerySet[Rate]:
    """The rates that apply on this day to numbers with one of these numbers' prefixes."""
    found: PrefixRateQuerySet[Rate] = Rate.objects.valid_on(day).filter(
        prefix__in={prefix for number in numbers for prefix in routes.prefixes_of(number)},
        is_internal__in={is_internal(number) for number in numbers},
    )
    return found.order_by()
