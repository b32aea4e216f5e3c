"""The Click-2-Call API: the ten response codes, and the limits of a call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import override_settings

from django_poketalk.server.billing import ledger
from django_poketalk.server.models import (
    Account,
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    Call,
    Gateway,
    LegABilling,
    Rate,
    ServiceProvider,
)

from .conftest import CALLEE, CALLER, Customer, make_customer

D = Decimal


def test_00_queues_the_call_with_its_first_hold(customer: Customer) -> None:
    url = "https://crm.example.com/events?s=$status"
    assert customer.request_call(custom="web1", eventurl=url) == "00"
    call = Call.objects.get()
    assert (call.account, call.provider) == (customer.account, customer.provider)
    assert (call.from_number, call.to_number) == (CALLER, CALLEE)
    assert (call.custom, call.eventurl, call.remote_address) == ("web1", url, "127.0.0.1")
    assert (call.state, call.status) == (Call.State.QUEUED, None)
    assert (call.rate_a, call.rate_b) == (customer.rate, customer.rate)
    # 100.000 pays for 5,000 s of two legs at 0.01 a second; 120 s of them are held.
    assert (call.max_duration, call.held) == (5000, D("2.400"))
    customer.account.refresh_from_db()
    assert customer.account.held == D("2.400")


def test_only_the_protocols_required_fields_are_required(customer: Customer) -> None:
    assert customer.request_call() == "00"
    assert Call.objects.get().eventurl == ""


def test_generates_a_unique_custom_if_it_is_empty(customer: Customer) -> None:
    assert [
        customer.request_call(),
        customer.request_call(custom=""),
        customer.request_call(custom=None),
    ] == ["00"] * 3
    made = set(Call.objects.values_list("custom", flat=True))
    assert len(made) == 3
    assert "" not in made


@pytest.mark.parametrize("api_key", ["", " ", None])
def test_10_without_a_key(customer: Customer, api_key: str | None) -> None:
    assert customer.request_call(api_key=api_key) == "10"


@pytest.mark.parametrize("number", ["", " ", None, "+", "( )", "none", "٤٤٢٠٧٩٤٦٠١٢٣"])
@pytest.mark.parametrize(("name", "code"), [("from_", "20"), ("to", "30")])
def test_20_and_30_without_a_number(
    customer: Customer, name: str, code: str, number: str | None
) -> None:
    assert customer.request_call(**{name: number}) == code


def test_40_for_an_unknown_key(customer: Customer) -> None:
    assert customer.request_call(api_key=customer.secret + "x") == "40"
    assert customer.request_call(api_key=customer.key.digest) == "40"
    assert customer.request_call(api_key=customer.key.prefix) == "40"
    assert customer.request_call(api_key="\0") == "40"


def test_40_for_a_revoked_key_or_an_inactive_account(customer: Customer) -> None:
    Account.objects.update(is_active=False)
    assert customer.request_call() == "40"
    Account.objects.update(is_active=True)
    assert customer.request_call() == "00"
    ApiKey.objects.update(revoked_at=customer.key.created_at)
    assert customer.request_call() == "40"


def test_100_and_a_warning_for_an_address_that_is_not_allowed(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    customer.client.defaults["REMOTE_ADDR"] = "203.0.113.9"
    with caplog.at_level(logging.DEBUG):
        assert customer.request_call() == "100"
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "203.0.113.9" in record.getMessage()
    assert customer.key.prefix in record.getMessage()
    assert customer.secret not in caplog.text


def test_100_without_allowed_addresses_or_for_an_unknown_address(customer: Customer) -> None:
    customer.client.defaults["REMOTE_ADDR"] = ""
    assert customer.request_call() == "100"
    AllowedAddress.objects.all().delete()
    customer.client.defaults["REMOTE_ADDR"] = "127.0.0.1"
    assert customer.request_call() == "100"


def test_uses_the_forwarded_address_only_behind_a_trusted_proxy(customer: Customer) -> None:
    AllowedAddress.objects.create(account=customer.account, network="198.51.100.0/24")
    customer.client.defaults.update(
        REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="127.0.0.1, 198.51.100.7"
    )
    assert customer.request_call() == "100"
    with override_settings(POKETALK_SERVER={"TRUSTED_PROXIES": ["10.0.0.0/8"]}):
        assert customer.request_call() == "00"
        customer.client.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.7, 203.0.113.9"
        assert customer.request_call() == "100"


def test_50_without_an_active_provider(customer: Customer) -> None:
    ServiceProvider.objects.update(is_active=False)
    assert customer.request_call() == "50"
    Account.objects.update(provider=None)
    assert customer.request_call() == "50"


@pytest.mark.parametrize("number", [CALLER, CALLEE])
def test_60_for_a_number_that_is_blacklisted_for_the_account_or_all(
    customer: Customer, number: str
) -> None:
    other = make_customer("Other").account
    entry = BlacklistedNumber.objects.create(number=number, account=other)
    assert customer.request_call() == "00"
    entry.account = customer.account
    entry.save()
    assert customer.request_call() == "60"
    entry.account = None
    entry.save()
    assert customer.request_call() == "60"


def test_60_for_a_blacklisted_prefix(customer: Customer) -> None:
    entry = BlacklistedNumber.objects.create(number="+1 202", is_prefix=True)
    assert customer.request_call() == "60"
    entry.number = "1203"
    entry.save()
    assert customer.request_call() == "00"


def test_70_when_either_leg_has_no_gateway(customer: Customer) -> None:
    Gateway.objects.update(prefixes="44")
    assert customer.request_call() == "70"
    Gateway.objects.update(prefixes="1")
    assert customer.request_call() == "70"
    Gateway.objects.update(prefixes="44 1")
    assert customer.request_call() == "00"
    Gateway.objects.update(is_active=False)
    assert customer.request_call() == "70"


def test_70_if_only_another_provider_has_a_gateway(customer: Customer) -> None:
    make_customer("Other")
    customer.gateway.delete()
    assert customer.request_call() == "70"


def test_90_when_either_leg_has_no_rate(customer: Customer) -> None:
    make_customer("Other")
    Rate.objects.filter(pk=customer.rate.pk).update(prefix="44")
    assert customer.request_call() == "90"
    Rate.objects.filter(pk=customer.rate.pk).update(prefix="1")
    assert customer.request_call() == "90"


def test_90_without_funds_for_the_shortest_call(customer: Customer) -> None:
    ledger.adjust(customer.account, D("-99.981"))
    assert customer.request_call() == "90"
    ledger.top_up(customer.account, D("0.001"))
    assert customer.request_call() == "00"
    assert Call.objects.get().max_duration == 1


def test_90_at_the_cap_of_live_calls(customer: Customer, queued: Callable[..., Call]) -> None:
    Account.objects.update(max_live_calls=2)
    queued(state=Call.State.ENDED)
    first = queued(state=Call.State.ACTIVE)
    assert customer.request_call() == "00"
    assert customer.request_call() == "90"
    Call.objects.filter(pk=first.pk).update(state=Call.State.ENDED)
    assert customer.request_call() == "00"
    Account.objects.update(max_live_calls=0)
    assert customer.request_call() == "90"


@override_settings(POKETALK_SERVER={"MAX_DURATION": 600, "HOLD": 60})
def test_the_service_and_the_account_limit_the_duration(customer: Customer) -> None:
    customer.request_call()
    Account.objects.update(max_duration=300)
    customer.request_call()
    Account.objects.update(max_duration=30)
    customer.request_call()
    Account.objects.update(max_duration=900)
    customer.request_call()
    granted = list(Call.objects.order_by("id").values_list("max_duration", "held"))
    assert granted == [(600, D("1.200")), (300, D("1.200")), (30, D("0.600")), (600, D("1.200"))]


def test_funds_limit_the_maximum_duration_but_not_the_duration_cap(
    customer: Customer,
) -> None:
    Account.objects.update(max_duration=300)
    ledger.adjust(customer.account, D("-99.400"))
    customer.request_call()
    call = Call.objects.get()
    assert (call.max_duration, call.duration_cap) == (30, 300)


def test_a_call_stores_when_billing_of_leg_a_begins(customer: Customer) -> None:
    customer.request_call()
    ServiceProvider.objects.update(leg_a_billed=LegABilling.CONNECTED)
    customer.request_call()
    noted = list(Call.objects.order_by("id").values_list("leg_a_billed", flat=True))
    assert noted == [LegABilling.ANSWER, LegABilling.CONNECTED]


def test_each_legs_rate_has_the_longest_matching_prefix(customer: Customer) -> None:
    for prefix in ("1", "1202", "13", "44"):
        Rate.objects.create(price_list=customer.price_list, prefix=prefix, price_per_minute=D(1))
    customer.request_call()
    call = Call.objects.select_related("rate_a", "rate_b").get()
    assert call.rate_a is not None
    assert call.rate_b is not None
    assert (call.rate_a.prefix, call.rate_b.prefix) == ("44", "1202")


def test_holds_of_live_calls_reduce_the_funds_of_others(customer: Customer) -> None:
    ledger.adjust(customer.account, D("-97"))
    assert customer.request_call() == "00"  # holds 2.400 of 3.000
    assert customer.request_call() == "00"  # the rest pays for 30 s
    assert customer.request_call() == "90"
    assert list(Call.objects.order_by("id").values_list("max_duration", flat=True)) == [150, 30]


def test_a_repeated_request_returns_00_without_a_second_call(customer: Customer) -> None:
    other = make_customer("Other")
    assert [customer.request_call(custom="web1") for _ in range(2)] == ["00", "00"]
    assert Call.objects.count() == 1
    assert other.request_call(custom="web1") == "00"
    assert customer.request_call(custom="WEB1") == "00"  # a different custom
    assert Call.objects.count() == 3


def test_a_custom_with_other_numbers_queues_another_call_by_default(customer: Customer) -> None:
    for fields in ({}, {"to": "12025550188"}, {"from_": "442079460008"}):
        assert customer.request_call(custom="web1", **fields) == "00"
    assert Call.objects.count() == 3


def test_a_request_can_be_repeated_after_its_call_ended(customer: Customer) -> None:
    customer.request_call(custom="web1")
    Call.objects.update(state=Call.State.ENDED, held=0)
    assert customer.request_call(custom="web1") == "00"
    assert Call.objects.count() == 2


@override_settings(POKETALK_SERVER={"UNIQUE_CUSTOM": True})
def test_a_repeated_unique_custom_returns_00_without_a_second_call(customer: Customer) -> None:
    other = make_customer("Other")
    assert customer.request_call(custom="web1") == "00"
    Account.objects.update(max_live_calls=1)
    BlacklistedNumber.objects.create(number="7", is_prefix=True)
    assert customer.request_call(custom="web1") == "00"
    assert Call.objects.count() == 1
    assert customer.request_call(custom="WEB1") == "90"  # a different custom
    assert other.request_call(custom="web1") == "00"
    assert Call.objects.count() == 2


@override_settings(POKETALK_SERVER={"UNIQUE_CUSTOM": True})
def test_a_unique_custom_can_be_reused_after_its_call_ended(customer: Customer) -> None:
    customer.request_call(custom="web1")
    Call.objects.update(state=Call.State.ENDED, held=0)
    assert customer.request_call(custom="web1") == "00"
    assert customer.request_call(custom="") == "00"
    assert customer.request_call(custom="") == "00"
    assert Call.objects.count() == 4
