"""A second admin site of the project, with calls on its pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from django_poketalk.admin.mixin import CallsAdminMixin
from tests.urls import urlpatterns as usual

from .models import Company, Contact

site = admin.AdminSite(name="crm")


@admin.register(Contact, site=site)
class ContactAdmin(CallsAdminMixin, admin.ModelAdmin):
    list_display = ("name", "phone")
    list_editable = ("phone",)
    search_fields = ("name",)


@admin.register(Company, site=site)
class CompanyAdmin(admin.ModelAdmin):
    """Without calls."""


urlpatterns = [path("crm/", site.urls), *usual]
