"""Accounts, their addresses and their keys in the admin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from .. import ledger
from ..models import Account, AllowedAddress, ApiKey


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """An account without its money."""

    class Meta:
        model = Account
        fields = (
            "name",
            "provider",
            "is_active",
            "currency",
            "credit_limit",
            "max_live_calls",
            "max_duration",
        )

    def clean_credit_limit(self) -> Decimal:
        """Refuse a limit that is already passed. The account stays locked until it is saved."""
        limit: Decimal = self.cleaned_data["credit_limit"]
        if self.instance.pk is not None:
            account = ledger.lock(self.instance.pk)
            used = account.held - account.balance
            if limit < used:
                raise ValidationError(
                    _("The account uses %(used)s of its credit already."), params={"used": used}
                )
        return limit


class AllowedAddressInline(admin.TabularInline):  # type: ignore[type-arg]
    """From where the account may ask."""

    model = AllowedAddress
    extra = 1


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Customers. Their balance is shown here, and changed in the ledger."""

    form = AccountForm
    inlines = (AllowedAddressInline,)
    list_display = ("name", "provider", "is_active", "balance", "held", "credit_limit", "currency")
    list_filter = ("is_active",)
    list_select_related = ("provider",)
    search_fields = ("name",)
    autocomplete_fields = ("provider",)
    readonly_fields = ("balance", "held", "ledger", "created_at")

    def get_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """The money only where there can be some."""
        return (*AccountForm.Meta.fields, *(self.readonly_fields if obj else ()))

    @admin.display(description=_("ledger"))
    def ledger(self, account: Account) -> str:
        """Links to what changed the balance, and to the form that changes it."""
        entries = reverse(f"{self.admin_site.name}:poketalk_server_ledgerentry_changelist")
        booking = reverse(f"{self.admin_site.name}:poketalk_server_ledgerentry_add")
        return format_html(
            '<a href="{}?{}">{}</a> · <a href="{}?{}">{}</a>',
            entries,
            urlencode({"account__id__exact": account.pk}),
            _("entries"),
            booking,
            urlencode({"account": account.pk}),
            _("top up or adjust"),
        )


@admin.register(AllowedAddress)
class AllowedAddressAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """All accounts' addresses in one list, to find whose one is."""

    list_display = ("network", "account")
    list_select_related = ("account",)
    search_fields = ("network", "account__name")
    autocomplete_fields = ("account",)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keys by their beginning. The key itself is shown once, when it is made, and kept nowhere."""

    list_display = ("prefix", "account", "label", "created_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("account",)
    search_fields = ("prefix", "label", "account__name")
    autocomplete_fields = ("account",)
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """Whose key it shall be, or what is known of it."""
        if obj is None:
            return ("account", "label")
        return ("account", "label", "prefix", "created_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """A key stays its account's."""
        return () if obj is None else ("account", "prefix", "created_at")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make a new key and show it, or save what was changed."""
        if change:
            super().save_model(request, obj, form, change)
            return
        key, secret = ApiKey.issue(obj.account, obj.label)
        obj.pk = key.pk
        obj.refresh_from_db()
        self.message_user(
            request,
            format_html(
                _now("The key of {} is {} Copy it now: it cannot be shown again."),
                obj.account,
                format_html("<code>{}</code>", secret),
            ),
            messages.WARNING,
        )

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Make keys useless from now on."""
        now = timezone.now()
        keys = list(queryset.filter(revoked_at=None))
        for key in keys:
            key.revoked_at = now
            key.save(update_fields=["revoked_at"])
            self.log_change(request, key, [{"changed": {"fields": ["revoked_at"]}}])
        self.message_user(request, _now("Revoked: %(count)d.") % {"count": len(keys)})
