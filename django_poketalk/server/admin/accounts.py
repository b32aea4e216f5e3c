"""Accounts and their allowed addresses in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.admin_names import NumbersInDeletions
from django_poketalk.shared.admin_pages import admin_url
from django_poketalk.shared.changelist import SafeLookups

from ..billing import ledger
from ..models import Account, AllowedAddress
from .call_records import CallRecordsPage
from .currency_choices import currency_field
from .display import NumbersByPermission
from .money_columns import MoneyColumns, money, money_cell, money_column
from .statements import StatementPage
from .top_ups import TopUpPage

MAX_KEYS = 20  # listed on an account's page


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """An account without its balance, which only the ledger changes."""

    currency = currency_field(Account)
    language = forms.ChoiceField(
        label=capfirst(_("language")),
        required=False,
        choices=lambda: [("", "---------"), *settings.LANGUAGES],
        help_text=Account._meta.get_field("language").help_text,
    )

    class Meta:
        model = Account
        fields = (
            "name",
            "provider",
            "price_list",
            "is_active",
            "currency",
            "credit_limit",
            "max_live_calls",
            "max_calls_per_second",
            "max_spend_per_day",
            "max_duration",
            "internal_numbers",
            "low_balance_at",
            "contact_emails",
            "language",
        )

    def clean_credit_limit(self) -> Decimal:
        """Reject a limit below the credit in use. The account stays locked until it is saved."""
        limit: Decimal = self.cleaned_data["credit_limit"]
        if self.instance.pk is not None:
            account = ledger.lock(self.instance.pk)
            used = account.held - account.balance
            if limit < used:
                raise ValidationError(
                    _("The account already uses %(used)s of its credit."),
                    params={"used": money(used, account.currency)},
                )
        return limit


class AllowedAddressInline(admin.TabularInline):  # type: ignore[type-arg]
    """The addresses from which the account may use the service."""

    model = AllowedAddress
    extra = 1


@admin.register(Account)
class AccountAdmin(
    MoneyColumns,
    NumbersByPermission,
    NumbersInDeletions,
    TopUpPage,
    StatementPage,
    CallRecordsPage,
):
    """Customers. Their balance is read-only here; it changes in the ledger."""

    form = AccountForm
    inlines = (AllowedAddressInline,)
    list_display = (
        *("name", "provider", "price_list", "is_active"),
        *("money_balance", "money_held", "money_credit_limit"),
    )
    list_filter = ("is_active",)
    list_select_related = ("provider", "price_list")
    search_fields = ("name",)
    autocomplete_fields = ("provider", "price_list")
    readonly_fields = (
        *("money_balance", "low_balance_since", "money_held", "spent_today"),
        *("ledger", "keys", "created_at"),
    )
    amounts: ClassVar[Mapping[str, str]] = {
        "balance": "money_balance",
        "held": "money_held",
        "credit_limit": "money_credit_limit",
        "max_spend_per_day": "money_max_spend_per_day",
        "low_balance_at": "money_low_balance_at",
    }
    money_balance = money_column("balance", _("balance"), "currency")
    money_held = money_column("held", _("held for live calls"), "currency")
    money_credit_limit = money_column("credit_limit", _("credit limit"), "currency")
    money_max_spend_per_day = money_column(
        "max_spend_per_day", _("maximum spend per day"), "currency"
    )
    money_low_balance_at = money_column("low_balance_at", _("low balance"), "currency")

    class Media:
        css = {"all": ("poketalk_server/admin.css", "poketalk_server/accounts.css")}

    def get_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """The fields. Those about money only for an existing account, and links to other pages only
        for users who may view these.
        """
        hidden = set()
        if not request.user.has_perm("poketalk_server.view_apikey"):
            hidden.add("keys")
        if not self.may_see_ledger(request):
            hidden.add("ledger")
        existing = [name for name in self.readonly_fields if name not in hidden]
        if self.may_top_up(request) and "ledger" in existing:
            existing[existing.index("ledger")] = "ledger_and_form"
        fields = (*AccountForm.Meta.fields, *(existing if obj else ()))
        is_form = obj is None or self.has_change_permission(request, obj)
        return fields if is_form else self.with_currency(fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """The read-only fields. Once there are ledger entries, the currency is one of them."""
        booked = obj is not None and obj.entries.exists()
        return (*self.readonly_fields, "ledger_and_form", *(("currency",) if booked else ()))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kw: Any) -> Any:
        """The account's page. Its links to money and keys depend on the user's permissions."""
        context["may_top_up"] = self.may_top_up(request)
        context["may_see_ledger"] = self.may_see_ledger(request)
        context["may_see_calls"] = self.may_see_calls(request)
        context["may_issue"] = request.user.has_perm("poketalk_server.add_apikey")
        return super().render_change_form(request, context, *args, **kw)

    @admin.display(description=_("charged today"))
    def spent_today(self, account: Account) -> str:
        """The amount that counts toward the maximum spend per day, in addition to the holds."""
        return money_cell(account.charged(ledger.today()), account.currency)

    @admin.display(description=_("API keys"))
    def keys(self, account: Account) -> str:
        """The valid keys by their first characters, with links to revoke them."""
        page = "poketalk_server_apikey_change"
        return format_html_join(
            " · ",
            '<a href="{}"><bdi dir="ltr">{}</bdi> {}</a>',
            [
                (admin_url(self.admin_site, page, key.pk), key, key.label)
                for key in account.keys.usable().order_by("-pk")[:MAX_KEYS]
            ],
        )

    @admin.display(description=_("ledger"))
    def ledger(self, account: Account) -> str:
        """A link to the account's ledger entries."""
        entries = admin_url(self.admin_site, "poketalk_server_ledgerentry_changelist")
        if not entries:
            return "-"
        query = urlencode({"account__id__exact": account.pk})
        return format_html('<a href="{}?{}">{}</a>', entries, query, _("entries"))

    @admin.display(description=_("ledger"))
    def ledger_and_form(self, account: Account) -> str:
        """The same, with a link to the form for a new entry."""
        booking = admin_url(self.admin_site, "poketalk_server_ledgerentry_add")
        if not booking:
            return self.ledger(account)
        query, words = urlencode({"account": account.pk}), _("top up or adjust")
        form = format_html('<a href="{}?{}">{}</a>', booking, query, words)
        return format_html("{} · {}", self.ledger(account), form)


@admin.register(AllowedAddress)
class AllowedAddressAdmin(SafeLookups, admin.ModelAdmin):  # type: ignore[type-arg]
    """The allowed addresses of all accounts, to find the account of an address."""

    list_display = ("network", "account")
    list_select_related = ("account",)
    search_fields = ("network", "account__name")
    autocomplete_fields = ("account",)

    class Media:
        css = {"all": ("poketalk_server/admin.css",)}
