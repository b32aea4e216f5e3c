"""The service in the admin: money goes through the ledger, and keys and numbers are protected."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    BuyRate,
    Call,
    Channel,
    DeckImport,
    EventDelivery,
    GatewayState,
    LedgerEntry,
    Leg,
    PresentedNumber,
    Switch,
    TestCall,
)
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.gateway_states import GatewayView

from ..conftest import CALLEE, CALLER, Customer, make_customer

MODELS = [
    model
    for model in apps.get_app_config("poketalk_server").get_models()
    if model is not DeckImport  # on the page that imports decks
]
WRITTEN_BY_THE_SERVICE = [Call, Leg, EventDelivery, LedgerEntry]
Queued = Callable[..., Call]


def page(model: type[Any], action: str, *args: Any) -> str:
    return reverse(f"admin:poketalk_server_{model._meta.model_name}_{action}", args=args)


@pytest.fixture
def filled(customer: Customer, queued: Queued) -> Call:
    """A call, with at least one row of each model."""
    call = queued(
        Decimal(1), custom="<script>alert(1)</script>", eventurl="https://example.com/?$status"
    )
    tariff = customer.rate.tariff
    BuyRate.objects.create(gateway=customer.gateway, price_per_minute=1)
    Leg.objects.create(
        call=call,
        side="A",
        gateway=customer.gateway,
        number=CALLER,
        price_per_minute=tariff.price_per_minute,
        connect_fee=0,
        initial_increment=1,
        subsequent_increment=1,
    )
    EventDelivery.objects.create(
        call=call, sequence=1, status=1, duration=0, cost=0, sent_at=call.created_at, seconds=0.1
    )
    BlacklistedNumber.objects.create(number="442079460999")
    PresentedNumber.objects.create(account=customer.account, number="442079460777")
    heartbeat.beat("office", 1, [GatewayView(customer.gateway.pk, "", "", call.created_at)])
    Channel.objects.create(call=call, side="A", gateway=customer.gateway)
    TestCall.objects.create(gateway=customer.gateway, number=CALLEE)
    return call


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """A function that logs in a member of staff with only these permissions."""

    def log_in(*codenames: str) -> Client:
        user = get_user_model().objects.create_user(
            f"staff {get_user_model().objects.count()}", is_staff=True
        )
        found = Permission.objects.filter(
            content_type__app_label="poketalk_server", codename__in=codenames
        )
        assert found.count() == len(codenames)
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_its_pages(filled: Call, admin_client: Client, model: type[Any]) -> None:
    row = model._default_manager.first()
    assert row is not None
    assert admin_client.get(page(model, "changelist")).status_code == 200
    assert admin_client.get(page(model, "changelist"), {"q": "x"}).status_code == 200
    response = admin_client.get(page(model, "change", row.pk))
    assert response.status_code == 200
    assert b"<script>alert" not in response.content
    addable = model not in (Call, Channel, Leg, EventDelivery, GatewayState, Switch)
    assert admin_client.get(page(model, "add")).status_code == (200 if addable else 403)


@pytest.mark.parametrize("model", [Channel, Leg])
def test_the_column_of_the_call_has_a_translated_title(
    filled: Call, admin_client: Client, model: type[Any], settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    html = admin_client.get(page(model, "changelist")).content.decode()
    assert "Anruf</" in html.partition("<tbody>")[0]


@pytest.mark.parametrize("model", WRITTEN_BY_THE_SERVICE)
def test_rows_written_by_the_service_are_read_only(
    filled: Call, admin_client: Client, model: type[Any]
) -> None:
    row = model._default_manager.first()
    assert row is not None
    assert admin_client.post(page(model, "change", row.pk), {}).status_code == 403
    assert admin_client.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


# Accounts and money

FORM = {
    "name": "ACME",
    "currency": "EUR",
    "credit_limit": "0",
    "is_active": "on",
    "addresses-TOTAL_FORMS": "0",
    "addresses-INITIAL_FORMS": "0",
}


def test_an_accounts_page_cannot_change_its_money(customer: Customer, admin_client: Client) -> None:
    path = page(Account, "change", customer.account.pk)
    form = FORM | {"name": "Renamed", "balance": "1000000", "held": "7"}
    assert admin_client.post(path, form).status_code == 302
    customer.account.refresh_from_db()
    assert customer.account.name == "Renamed"
    assert (customer.account.balance, customer.account.held) == (Decimal(100), Decimal(0))
    assert admin_client.post(page(Account, "add"), FORM | {"balance": "5"}).status_code == 302
    assert Account.objects.get(name="ACME").balance == 0


def test_rejects_a_credit_limit_below_the_credit_in_use(
    customer: Customer, queued: Queued, admin_client: Client
) -> None:
    path = page(Account, "change", customer.account.pk)
    Account.objects.update(credit_limit=Decimal(50))
    ledger.adjust(customer.account, Decimal(-110))
    queued(Decimal(15))
    response = admin_client.post(path, FORM | {"credit_limit": "24.999"})
    assert response.status_code == 200
    assert "25.000" in response.context["adminform"].form.errors["credit_limit"][0]
    assert admin_client.post(path, FORM | {"credit_limit": "25"}).status_code == 302
    assert Account.objects.get().credit_limit == Decimal(25)


def test_an_accounts_page_links_to_its_entries_and_to_the_form(
    customer: Customer, admin_client: Client
) -> None:
    make_customer("Other")
    content = admin_client.get(page(Account, "change", customer.account.pk)).content.decode()
    entries, form = re.findall(r'href="([^"]*ledgerentry/[^"]+)"', content)[-2:]
    listed = admin_client.get(entries).context["cl"].queryset
    assert {entry.account for entry in listed} == {customer.account}
    initial = admin_client.get(form).context["adminform"].form.initial
    assert initial["account"] == str(customer.account.pk)


@pytest.mark.parametrize(
    ("kind", "amount", "after"), [("top_up", "25.5", "125.5"), ("adjustment", "-100", "0")]
)
def test_books_an_entry_with_the_user_as_its_author(
    customer: Customer, admin_client: Client, admin_user: Any, kind: str, amount: str, after: str
) -> None:
    form = {"account": customer.account.pk, "kind": kind, "amount": amount, "note": "Invoice 7"}
    assert admin_client.post(page(LedgerEntry, "add"), form).status_code == 302
    customer.account.refresh_from_db()
    assert customer.account.balance == Decimal(after)
    entry = LedgerEntry.objects.first()
    assert entry is not None
    assert (entry.kind, entry.amount, entry.note) == (kind, Decimal(amount), "Invoice 7")
    assert (entry.created_by, entry.balance) == (admin_user, Decimal(after))
    assert LedgerEntry.objects.count() == 2


@pytest.mark.parametrize(
    ("kind", "amount"),
    [
        ("top_up", "0"),
        ("top_up", "-1"),
        ("top_up", "0.0001"),
        ("top_up", "999999999999.999"),
        ("top_up", "NaN"),
        ("adjustment", "0"),
        ("adjustment", "-100.001"),
        ("charge", "-1"),
    ],
)
def test_an_invalid_booking_is_an_error_of_the_form(
    customer: Customer, admin_client: Client, kind: str, amount: str
) -> None:
    form = {"account": customer.account.pk, "kind": kind, "amount": amount}
    response = admin_client.post(page(LedgerEntry, "add"), form)
    assert response.status_code == 200
    assert response.context["adminform"].form.errors
    assert LedgerEntry.objects.count() == 1


def test_a_repeated_booking_form_is_booked_once(customer: Customer, admin_client: Client) -> None:
    path = page(LedgerEntry, "add")
    key = admin_client.get(path).context["adminform"].form["key"].value()
    form = {"account": customer.account.pk, "kind": "adjustment", "amount": "5", "key": key}

    assert admin_client.post(path, form).status_code == 302
    again = admin_client.post(path, form)

    assert "was already submitted" in again.content.decode()
    customer.account.refresh_from_db()
    assert customer.account.balance == Decimal(105)


def test_booking_requires_the_permission(customer: Customer, staff: Callable[..., Client]) -> None:
    form = {"account": customer.account.pk, "kind": "top_up", "amount": "1"}
    client = staff("view_ledgerentry", "change_account", "view_account")
    assert client.post(page(LedgerEntry, "add"), form).status_code == 403
    client = staff("add_ledgerentry", "view_account")
    assert client.post(page(LedgerEntry, "add"), form).status_code == 302
    customer.account.refresh_from_db()
    assert customer.account.balance == Decimal(101)


# Keys and addresses


def test_a_new_key_is_displayed_exactly_once(customer: Customer, admin_client: Client) -> None:
    form = {"account": customer.account.pk, "label": "CRM"}
    first = admin_client.post(page(ApiKey, "add"), form, follow=True).content.decode()
    key = ApiKey.objects.get(label="CRM")
    [secret] = re.findall(r"<code[^>]*>([^<]+)</code>", first)
    assert ApiKey.find(secret) == key
    for path in (page(ApiKey, "changelist"), page(ApiKey, "change", key.pk), "/admin/"):
        assert secret not in admin_client.get(path).content.decode()


def test_a_key_can_be_revoked_but_not_moved_to_another_account(
    customer: Customer, admin_client: Client
) -> None:
    other = make_customer("Other")
    path = page(ApiKey, "change", customer.key.pk)
    form = {"account": other.account.pk, "label": "old", "prefix": "x", "expires_at_0": ""}
    assert admin_client.post(path, form | {"expires_at_1": ""}).status_code == 302
    customer.key.refresh_from_db()
    assert (customer.key.account, customer.key.label) == (customer.account, "old")
    chosen = {"action": "revoke", "_selected_action": [customer.key.pk], "confirmed": "yes"}
    admin_client.post(page(ApiKey, "changelist"), chosen)
    assert ApiKey.find(customer.secret) is None
    assert ApiKey.find(other.secret) == other.key


def test_addresses_are_edited_with_their_account(customer: Customer, admin_client: Client) -> None:
    form = FORM | {
        "addresses-TOTAL_FORMS": "1",
        "addresses-0-network": "203.0.113.9/24",
        "addresses-0-account": customer.account.pk,
    }
    path = page(Account, "change", customer.account.pk)
    assert admin_client.post(path, form).status_code == 302
    assert AllowedAddress.objects.filter(network="203.0.113.0/24").exists()
    form["addresses-0-network"] = "nonsense"
    assert admin_client.post(path, form).status_code == 200


# Calls


def hang_up(client: Client, *calls: Call) -> None:
    chosen = {"action": "hang_up", "_selected_action": [call.pk for call in calls]}
    client.post(page(Call, "changelist"), chosen)


def test_the_hang_up_action_requires_the_permission_and_live_calls(
    queued: Queued, staff: Callable[..., Client]
) -> None:
    live, over = queued(), queued(state=Call.State.ENDED)
    hang_up(staff("view_call"), live)
    live.refresh_from_db()
    assert live.hangup_requested_at is None
    hang_up(staff("view_call", "hang_up_call"), live, over)
    live.refresh_from_db()
    over.refresh_from_db()
    assert live.hangup_requested_at is not None
    assert over.hangup_requested_at is None


def digits(response: Any) -> str:
    """The page without what is between the digits of its numbers."""
    return re.sub(r"(?<=\d)[\u00a0 -](?=\d)", "", response.content.decode())


@pytest.mark.parametrize("model", [Call, Leg, BlacklistedNumber])
def test_whole_numbers_require_the_permission(
    filled: Call, staff: Callable[..., Client], model: type[Any]
) -> None:
    row = model._default_manager.first()
    number = CALLER if model is not BlacklistedNumber else "442079460999"
    permissions = [f"view_{name}" for name in ("call", "leg", "eventdelivery", "blacklistednumber")]
    permissions += ["change_blacklistednumber"]
    masked, whole = staff(*permissions), staff(*permissions, "view_numbers")
    for path in (page(model, "changelist"), page(model, "change", row.pk)):
        assert number not in digits(masked.get(path))
        assert number in digits(whole.get(path))


@pytest.mark.parametrize(
    ("model", "query"), [(Call, CALLEE), (Leg, CALLER), (BlacklistedNumber, "44207")]
)
def test_searching_for_numbers_requires_the_permission(
    filled: Call, staff: Callable[..., Client], model: type[Any], query: str
) -> None:
    permissions = [f"view_{model._meta.model_name}"]
    for client, hits in ((staff(*permissions), 0), (staff(*permissions, "view_numbers"), 1)):
        listed = client.get(page(model, "changelist"), {"q": query}).context["cl"]
        assert listed.queryset.count() == hits


@pytest.mark.parametrize("model", [Call, Leg, BlacklistedNumber, PresentedNumber, TestCall])
@pytest.mark.parametrize("query", ["+44 (0)20 7946 0", "0044 20 7946", "44-20-7946"])
def test_a_number_is_found_in_any_spelling(
    filled: Call, admin_client: Client, model: type[Any], query: str
) -> None:
    TestCall.objects.update(number=CALLER)

    listed = admin_client.get(page(model, "changelist"), {"q": query}).context["cl"]
    elsewhere = admin_client.get(page(model, "changelist"), {"q": "+49 89 1"}).context["cl"]

    assert listed.queryset.count() >= 1
    assert elsewhere.queryset.count() == 0


def test_the_codes_of_the_network_have_words(filled: Call, admin_client: Client) -> None:
    Leg.objects.update(sip_status=486, q850=17)

    for path in (page(Call, "change", filled.pk), page(Leg, "change", Leg.objects.first().pk)):
        rendered = admin_client.get(path).content.decode()
        assert "486 Busy Here" in rendered
        assert "17 User busy" in rendered


def test_the_page_of_a_test_call_follows_it_until_it_ends(
    filled: Call, admin_client: Client
) -> None:
    test_call = TestCall.objects.get()
    path = page(TestCall, "change", test_call.pk)
    reloads = '<noscript><meta http-equiv="refresh"'

    while_it_rings = admin_client.get(path).content.decode()
    TestCall.objects.update(state="ended", ended_at=test_call.created_at)
    after = admin_client.get(path).content.decode()

    assert reloads in while_it_rings
    assert "poketalk_server/test_call.js" in while_it_rings
    assert reloads not in after


def test_saving_a_masked_blacklist_entry_keeps_its_number(
    filled: Call, staff: Callable[..., Client]
) -> None:
    entry = BlacklistedNumber.objects.get()
    client = staff("view_blacklistednumber", "change_blacklistednumber", "view_account")
    path = page(BlacklistedNumber, "change", entry.pk)
    assert client.post(path, {"number": "1", "reason": "requested"}).status_code == 302
    entry.refresh_from_db()
    assert (entry.number, entry.reason) == ("442079460999", "requested")


def test_accepts_a_number_in_any_format(db: None, admin_client: Client) -> None:
    form = {"number": "+44 (0)20 7946 0999", "reason": ""}
    assert admin_client.post(page(BlacklistedNumber, "add"), form).status_code == 302
    assert BlacklistedNumber.objects.get().number == "442079460999"
    assert admin_client.post(page(BlacklistedNumber, "add"), {"number": "x"}).status_code == 200


def test_every_model_is_registered() -> None:
    assert [model for model in MODELS if model not in admin.site._registry] == []
