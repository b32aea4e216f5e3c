"""Providers, gateways and rates in the admin."""

from __future__ import annotations

from django.contrib import admin

from ..models import Gateway, Rate, ServiceProvider


class GatewayInline(admin.TabularInline):  # type: ignore[type-arg]
    """A provider's ways out."""

    model = Gateway
    extra = 0


@admin.register(ServiceProvider)
class ServiceProviderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Carriers with their gateways; rates have a page of their own, as there are many."""

    inlines = (GatewayInline,)
    list_display = ("name", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)


@admin.register(Gateway)
class GatewayAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """All ways out, in the order in which they are tried."""

    list_display = ("name", "provider", "kind", "prefixes", "priority", "is_active")
    list_filter = ("kind", "is_active")
    list_select_related = ("provider",)
    search_fields = ("name", "provider__name")
    autocomplete_fields = ("provider",)


@admin.register(Rate)
class RateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Prices by prefix."""

    list_display = (
        "prefix",
        "destination",
        "provider",
        "price_per_minute",
        "connect_fee",
        "initial_increment",
        "subsequent_increment",
    )
    list_display_links = ("prefix", "destination")
    list_select_related = ("provider",)
    search_fields = ("prefix__startswith", "destination", "provider__name")
    autocomplete_fields = ("provider",)
