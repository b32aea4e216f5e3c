"""Providers, price lists and rates in the admin."""

from __future__ import annotations

from datetime import date
from importlib.util import find_spec
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.admin.widgets import AdminDateWidget
from django.core.paginator import Paginator
from django.core.validators import MinValueValidator
from django.db import connections
from django.db.models import F
from django.db.models.functions import Collate
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.changelist import LongList, SafeLookups, ScanPaginator

from ..billing.rate_decks.columns import ALL
from ..models import ALWAYS, BuyRate, Gateway, PriceList, Rate, ServiceProvider
from ..models.rates import PrefixRate
from .currency_choices import currency_field
from .filters import ValidityFilter

if find_spec("import_export"):
    from .decks import RateDecks
else:  # as without the extra "server"

    class RateDecks(SafeLookups, admin.ModelAdmin):  # type: ignore[no-redef,type-arg]
        """Rates without import and export."""


class GatewayInline(admin.TabularInline):  # type: ignore[type-arg]
    """A provider's gateways."""

    model = Gateway
    extra = 0
    fields = ("name", "kind", "numbers", "prefixes", "priority", "ring_timeout", "is_active")
    show_change_link = True


@admin.register(ServiceProvider)
class ServiceProviderAdmin(SafeLookups, admin.ModelAdmin):  # type: ignore[type-arg]
    """Carriers with their gateways. Rates have pages of their own, because there are many."""

    inlines = (GatewayInline,)
    list_display = ("name", "leg_a_billed", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}


class PriceListForm(forms.ModelForm):  # type: ignore[type-arg]
    """A price list in one of the currencies of ISO 4217."""

    currency = currency_field(PriceList)


@admin.register(PriceList)
class PriceListAdmin(SafeLookups, admin.ModelAdmin):  # type: ignore[type-arg]
    """What accounts pay. Rates have pages of their own, because there are many."""

    form = PriceListForm
    list_display = ("name", "currency")
    search_fields = ("name",)


PRICE = (
    *("price_per_minute", "connect_fee", "initial_increment", "subsequent_increment"),
    "minimum_charge",
)


class RateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rate. Without a day, it applies at once."""

    valid_from = forms.DateField(
        label=_("valid from"),
        required=False,
        validators=[MinValueValidator(ALWAYS)],
        widget=AdminDateWidget,
        help_text=_(
            "From midnight in the service’s time zone, until a later rate of the prefix applies."
            " Leave empty for a rate that applies at once."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("valid_from") == ALWAYS:
            del self.initial["valid_from"]

    def clean_valid_from(self) -> date:
        """An empty field is the first day of all."""
        day: date | None = self.cleaned_data["valid_from"]
        return day or ALWAYS


def _prefix(searched: str) -> str:
    """The digits, if somebody searches for rates by the beginning of a prefix, also with `+`."""
    digits = searched.strip().removeprefix("+")
    return digits if digits.isdecimal() else ""


class RatePage(RateDecks, LongList):
    """What the pages of both kinds of rates share. The lists are sorted as the index of the owners'
    rates is, and searched by the beginning of a prefix or by destination.
    """

    form = RateForm
    list_display_links = ("deck_prefix", "destination")
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("name",)  # the destination; see `get_search_results`

    def get_paginator_class(self, request: HttpRequest) -> type[Paginator[Any]]:
        """No index finds parts of a destination, nor rates that others have not replaced."""
        searched = request.GET.get(SEARCH_VAR, "")
        is_scan = (
            searched and not _prefix(searched)
        ) or ValidityFilter.parameter_name in request.GET
        return ScanPaginator if is_scan else self.paginator

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        if digits := _prefix(search_term):
            return queryset.filter(prefix__startswith=digits), False
        if connections[queryset.db].vendor == "postgresql" and search_term.isascii():
            # Halves the time: the collation C changes the case of ASCII letters only.
            queryset = queryset.alias(name=Collate("destination", "C"))
        else:
            queryset = queryset.alias(name=F("destination"))
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("prefix"), ordering="prefix")
    def deck_prefix(self, rate: PrefixRate) -> str:
        """The prefix as in a deck, where `*` is for all numbers."""
        return rate.prefix or ALL

    @admin.display(description=_("valid from"), ordering="valid_from", empty_value="")
    def first_day(self, rate: PrefixRate) -> date | None:
        """The first day; None for a rate that was not announced for a day."""
        return None if rate.valid_from == ALWAYS else rate.valid_from


@admin.register(Rate)
class RateAdmin(RatePage):
    """Sell rates: the prices for a price list's accounts, by prefix."""

    list_display = ("deck_prefix", "is_internal", "destination", "price_list", "first_day", *PRICE)
    list_select_related = ("price_list",)
    list_filter = ("is_internal", ValidityFilter, "price_list")
    ordering = ("price_list_id", "is_internal", "prefix", "valid_from")
    autocomplete_fields = ("price_list",)


@admin.register(BuyRate)
class BuyRateAdmin(RatePage):
    """Buy rates: the prices that a gateway charges us, by prefix."""

    list_display = ("deck_prefix", "is_internal", "destination", "gateway", "first_day", *PRICE)
    list_select_related = ("gateway",)
    list_filter = ("is_internal", ValidityFilter, "gateway")
    ordering = ("gateway_id", "is_internal", "prefix", "valid_from")
    autocomplete_fields = ("gateway",)
