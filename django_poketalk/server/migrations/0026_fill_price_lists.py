"""The rates of each provider become a price list for its accounts: one for each of their currencies.
Every account pays what it paid.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from django.db import migrations
from django.db.models import Exists, OuterRef
from django.utils import timezone

BATCH = 1000


def fill(apps: Any, schema_editor: Any) -> None:
    """Make the price lists, and assign rates, imports and accounts to them."""
    used: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    for provider, currency in (
        _rows(apps, "Account").exclude(provider=None).values_list("provider", "currency")
    ):
        used[provider][currency] += 1
    priced = set(_rows(apps, "Rate").order_by().values_list("provider", flat=True).distinct())
    for provider in (
        _rows(apps, "ServiceProvider").filter(pk__in=priced | used.keys()).order_by("pk")
    ):
        currencies = [currency for currency, _n in used[provider.pk].most_common()] or ["EUR"]
        for position, currency in enumerate(currencies):
            name = provider.name if len(currencies) == 1 else f"{provider.name} ({currency})"
            made = _rows(apps, "PriceList").create(name=_free(apps, name), currency=currency)
            _rows(apps, "Account").filter(provider=provider, currency=currency).update(
                price_list=made
            )
            if position == 0:
                first = made
                _rows(apps, "DeckImport").filter(provider=provider).update(
                    price_list=first, provider=None
                )
                _rows(apps, "Rate").filter(provider=provider).update(price_list=first)
            else:
                _copy(_rows(apps, "Rate").filter(price_list=first), price_list=made, provider=None)


def empty(apps: Any, schema_editor: Any) -> None:
    """Give the rates that are valid today back to the providers whose accounts have the price list.
    Others are lost.
    """
    today = timezone.localdate(timezone=timezone.get_default_timezone())
    for name, owner in (("Rate", "price_list"), ("BuyRate", "gateway")):
        rates = _rows(apps, name)
        later = rates.filter(
            **{each: OuterRef(each) for each in (owner, "is_internal", "prefix")},
            valid_from__gt=OuterRef("valid_from"),
            valid_from__lte=today,
        )
        _delete(rates, rates.filter(valid_from__gt=today) | rates.filter(Exists(later)))
    owners: defaultdict[Any, list[Any]] = defaultdict(list)
    for provider in _rows(apps, "ServiceProvider").order_by("pk"):
        used = Counter(
            _rows(apps, "Account")
            .filter(provider=provider)
            .exclude(price_list=None)
            .values_list("price_list", flat=True)
        )
        named = _rows(apps, "PriceList").filter(name=provider.name).values_list("pk", flat=True)
        for chosen in [pk for pk, _n in used.most_common(1)] or named:
            owners[chosen].append(provider)
    for price_list, (first, *others) in owners.items():
        originals = _rows(apps, "Rate").filter(price_list=price_list)
        originals.update(provider=first)
        for other in others:
            _copy(originals.filter(provider=first), provider=other)
    _delete(_rows(apps, "Rate"), _rows(apps, "Rate").filter(provider=None))
    _rows(apps, "DeckImport").exclude(price_list=None).delete()


def _rows(apps: Any, model: str) -> Any:
    return apps.get_model("poketalk_server", model).objects


def _free(apps: Any, name: str) -> str:
    """The name, or one like it that no price list has."""
    number, found = 2, name
    while _rows(apps, "PriceList").filter(name=found).exists():
        found, number = f"{name} {number}", number + 1
    return found


def _copy(rates: Any, **changes: Any) -> None:
    """Insert copies of these rates, with these changes."""
    pks = list(rates.order_by().values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        copies = list(rates.model.objects.filter(pk__in=pks[start : start + BATCH]))
        for copy in copies:
            copy.pk = None
            for name, value in changes.items():
                setattr(copy, name, value)
        rates.model.objects.bulk_create(copies)


def _delete(rates: Any, chosen: Any) -> None:
    pks = list(chosen.order_by().values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        rates.filter(pk__in=pks[start : start + BATCH]).delete()


class Migration(migrations.Migration):
    dependencies = [("poketalk_server", "0025_price_lists")]

    operations = [migrations.RunPython(fill, empty)]
