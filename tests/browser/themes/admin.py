"""A project's contacts in the default admin site. The theme decides on the base class."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin

from django_poketalk.admin.mixin import CallsAdminMixin
from tests.crm.models import Contact

if settings.ADMIN_THEME == "unfold":
    from unfold.admin import ModelAdmin
else:
    from django.contrib.admin import ModelAdmin


@admin.register(Contact)
class ContactAdmin(CallsAdminMixin, ModelAdmin):
    list_display = ("name", "phone")
    search_fields = ("name",)
