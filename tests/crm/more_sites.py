"""Two more admin sites: one with every page of the default site, one with half of the models."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from django_poketalk import models as caller
from django_poketalk.admin.inlines import CallInline
from django_poketalk.admin.mixin import CallsAdminMixin
from django_poketalk.server import models as service
from tests.urls import urlpatterns as usual

from .models import Contact, Lead


class ContactAdmin(CallsAdminMixin, admin.ModelAdmin):
    list_display = ("name", "phone")


class LeadAdmin(admin.ModelAdmin):
    inlines = (CallInline,)


staff = admin.AdminSite(name="staff")
half = admin.AdminSite(name="half")
HALF = {
    caller.BlacklistedNumber,
    service.Account,
    service.Gateway,
    service.LedgerEntry,
    service.Leg,
    service.Switch,
}
for model, model_admin in admin.site._registry.items():
    staff.register(model, type(model_admin))
    if model in HALF:
        half.register(model, type(model_admin))
for site in (staff, half):
    site.register(Contact, ContactAdmin)

staff.register(Lead, LeadAdmin)

urlpatterns = [path("staff/", staff.urls), path("half/", half.urls), *usual]
