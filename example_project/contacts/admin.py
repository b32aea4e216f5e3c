"""Contacts in the admin, with the buttons and calls of `CallsAdminMixin`."""

from __future__ import annotations

from django import forms
from django.contrib import admin

from django_poketalk.admin.mixin import CallsAdminMixin
from django_poketalk.forms import PhoneNumberField

from .models import Contact


class ContactForm(forms.ModelForm):
    phone = PhoneNumberField(
        help_text="With + and country code; without one it is a British number."
    )

    class Meta:
        model = Contact
        fields = ("name", "company", "phone", "note")


@admin.register(Contact)
class ContactAdmin(CallsAdminMixin, admin.ModelAdmin):
    form = ContactForm
    list_display = ("name", "company", "phone_display", "note")
    search_fields = ("name", "company", "phone")

    @admin.display(description="phone", ordering="phone")
    def phone_display(self, contact: Contact) -> str:
        return contact.phone_display
