"""Providers and rates in the admin."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin

from django_poketalk.shared.changelist import SafeLookups

from ..models import BuyRate, Gateway, Rate, ServiceProvider

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


PRICE = ("price_per_minute", "connect_fee", "initial_increment", "subsequent_increment")


@admin.register(Rate)
class RateAdmin(RateDecks):
    """Sell rates: the prices for a provider's accounts, by prefix."""

    list_display = ("prefix", "is_internal", "destination", "provider", *PRICE)
    list_display_links = ("prefix", "destination")
    list_select_related = ("provider",)
    list_filter = ("is_internal", ("provider", admin.RelatedOnlyFieldListFilter))
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("prefix__startswith", "destination", "provider__name")
    autocomplete_fields = ("provider",)


@admin.register(BuyRate)
class BuyRateAdmin(RateDecks):
    """Buy rates: the prices that a gateway charges us, by prefix."""

    list_display = ("prefix", "is_internal", "destination", "gateway", *PRICE)
    list_display_links = ("prefix", "destination")
    list_select_related = ("gateway",)
    list_filter = ("is_internal", ("gateway", admin.RelatedOnlyFieldListFilter))
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("prefix__startswith", "destination", "gateway__name")
    autocomplete_fields = ("gateway",)
