"""The service's models: their methods and constraints."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from django_poketalk.server.models import (
    AllowedAddress,
    ApiKey,
    BlacklistedNumber,
    Call,
    Gateway,
    Leg,
    Rate,
)

from ..conftest import CALLEE, CALLER, Customer

Queued = Callable[..., Call]


def test_keys_are_not_stored(customer: Customer) -> None:
    models = apps.get_app_config("poketalk_server").get_models()
    rows = [row for model in models for row in model._default_manager.all()]
    dump = serializers.serialize("json", rows)
    assert customer.key.digest in dump
    assert customer.secret not in dump
    assert len(customer.secret) - len(customer.key.prefix) >= 32  # 192 secret bits
    assert customer.secret not in repr(customer.key) + str(customer.key)


def test_keys_are_unique(customer: Customer) -> None:
    secrets = {ApiKey.issue(customer.account)[1] for _ in range(50)}
    assert len(secrets) == 50


def test_a_key_is_valid_until_it_expires(customer: Customer) -> None:
    customer.key.expires_at = timezone.now() + timedelta(hours=1)
    customer.key.save()
    assert ApiKey.find(customer.secret) == customer.key
    customer.key.expires_at = timezone.now() - timedelta(seconds=1)
    customer.key.save()
    assert ApiKey.find(customer.secret) is None


@pytest.mark.parametrize(
    ("written", "stored", "inside", "outside"),
    [
        ("203.0.113.7", "203.0.113.7/32", "203.0.113.7", "203.0.113.8"),
        (" 203.0.113.7/24 ", "203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("2001:DB8::1/32", "2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
        ("::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.7", "203.0.113.8"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24", "203.0.113.9", "203.0.114.0"),
    ],
)
def test_stores_allowed_addresses_in_canonical_form(
    customer: Customer, written: str, stored: str, inside: str, outside: str
) -> None:
    row = AllowedAddress.objects.create(account=customer.account, network=written)
    assert row.network == stored
    assert customer.account.allows(inside)
    assert not customer.account.allows(outside)


@pytest.mark.parametrize("written", ["", "example.com", "10.0.0.0/33", "1.2.3"])
def test_rejects_an_invalid_network(customer: Customer, written: str) -> None:
    with pytest.raises(ValidationError):
        AllowedAddress.objects.create(account=customer.account, network=written)


@pytest.mark.parametrize(
    ("written", "is_prefix", "stored"),
    [
        ("+44 20 7946 0123", False, "442079460123"),
        ("+44 (0)20-7946.0123", False, "442079460123"),
        ("37121234567", False, "37121234567"),
        ("+44 20", True, "4420"),
        ("7", True, "7"),
    ],
)
def test_stores_blacklisted_numbers_as_digits(
    db: None, written: str, is_prefix: bool, stored: str
) -> None:
    entry = BlacklistedNumber(number=written, is_prefix=is_prefix)
    entry.full_clean()
    entry.save()
    assert entry.number == stored


@pytest.mark.parametrize(
    ("written", "is_prefix"),
    [("", False), ("none", False), ("123", False), ("+", True), ("", True)],
)
def test_rejects_blacklist_entries_that_cannot_match(
    db: None, written: str, is_prefix: bool
) -> None:
    with pytest.raises(ValidationError):
        BlacklistedNumber.objects.create(number=written, is_prefix=is_prefix)


def test_requests_to_hang_up_a_live_call_once(queued: Queued) -> None:
    call, over = queued(), queued(state=Call.State.ENDED)
    now = timezone.now()
    assert call.request_hang_up(now)
    assert not call.request_hang_up(now + timedelta(seconds=1))
    assert not over.request_hang_up(now)
    call.refresh_from_db()
    assert call.hangup_requested_at == now


def test_filters_calls_by_their_owner(queued: Queued) -> None:
    now = timezone.now()
    waiting = queued()
    owned = queued(state=Call.State.ACTIVE, lease_until=now + timedelta(seconds=5))
    lost = queued(state=Call.State.ACTIVE, lease_until=now - timedelta(seconds=5))
    queued(state=Call.State.ENDED, lease_until=now - timedelta(seconds=5))
    assert list(Call.objects.queued()) == [waiting]
    assert set(Call.objects.live()) == {waiting, owned, lost}
    assert list(Call.objects.abandoned(now)) == [lost]


def test_printed_rows_mask_numbers(customer: Customer, queued: Queued) -> None:
    call = queued()
    leg = Leg(call=call, side="A", number=CALLER, attempt=1)
    entry = BlacklistedNumber.objects.create(number=CALLEE)
    printed = " ".join(f"{row} {row!r}" for row in (call, leg, entry))
    assert CALLER not in printed
    assert CALLEE not in printed


@pytest.mark.parametrize(
    "change",
    [
        {"state": "lost"},
        {"status": 9},
        {"status": -1},
        {"held": Decimal(-1)},
        {"cost": Decimal(-1)},
        {"state": "ended", "held": Decimal(1)},
    ],
)
def test_constraints_reject_invalid_calls(queued: Queued, change: dict[str, object]) -> None:
    call = queued()
    with pytest.raises(IntegrityError), transaction.atomic():
        Call.objects.filter(pk=call.pk).update(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"price_per_minute": Decimal(-1)},
        {"connect_fee": Decimal(-1)},
        {"initial_increment": 0},
        {"subsequent_increment": 0},
    ],
)
def test_constraints_reject_invalid_rates(customer: Customer, change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Rate.objects.update(**change)


@pytest.mark.parametrize(
    ("prefixes", "good"),
    [("", True), ("44", True), ("44 1202", True), ("+44", False), ("4 ", False)],
)
def test_a_gateways_prefixes_are_separated_by_single_spaces(
    customer: Customer, prefixes: str, good: bool
) -> None:
    gateway = Gateway(
        provider=customer.provider, name="more", kind=Gateway.Kind.SIMULATED, prefixes=prefixes
    )
    if good:
        gateway.full_clean()
    else:
        with pytest.raises(ValidationError):
            gateway.full_clean()


@pytest.mark.parametrize(
    ("prefixes", "sentence"),
    [
        ("0044", "“0044” is not a prefix: a prefix begins with a country code, never with 0."),
        ("44 011", "“011” is not a prefix: a prefix begins with a country code, never with 0."),
        ("+44, 33", "Enter digits separated by single spaces."),
    ],
)
def test_one_sentence_says_what_is_wrong_with_prefixes(
    customer: Customer, prefixes: str, sentence: str
) -> None:
    customer.gateway.prefixes = prefixes

    with pytest.raises(ValidationError) as caught:
        customer.gateway.full_clean()

    assert caught.value.message_dict == {"prefixes": [sentence]}
