from django.contrib import admin
from unfold.admin import ModelAdmin

from django_poketalk.admin.inlines import CallInline
from django_poketalk.admin.mixin import CallsAdminMixin

from .models import Contact


@admin.register(Contact)
class ContactAdmin(CallsAdminMixin, ModelAdmin):
    inlines = (CallInline,)
