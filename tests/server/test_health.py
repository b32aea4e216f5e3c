"""The health of the service: problems that keep calls from being served are reported."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from django_poketalk.server import health
from django_poketalk.server.models import Account, Call, EventDelivery, Gateway, Rate, Switch
from django_poketalk.server.switch.monitoring import heartbeat

from .conftest import Customer

pytestmark = pytest.mark.django_db

HEALTH = "/admin/poketalk_server/switch/"


def problems() -> list[str]:
    return health.current_health(timezone.now()).problems


def deliver(call: Call, count: int, answer: int | None, **facts: Any) -> None:
    EventDelivery.objects.bulk_create(
        EventDelivery(
            call=call,
            sequence=call.deliveries.count() + n,
            **{"status": 3, "duration": 0, "cost": 0, "seconds": 0.1, **facts},
            answer=answer,
            sent_at=timezone.now(),
        )
        for n in range(count)
    )


def watcher(*codenames: str) -> Client:
    user = get_user_model().objects.create_user("watcher", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="poketalk_server", codename__in=codenames)
    )
    client = Client()
    client.force_login(user)
    return client


def test_a_service_with_a_switch_and_a_gateway_is_healthy(customer: Customer) -> None:
    heartbeat.beat("office", 3)

    assert problems() == []


def test_a_missing_switch_is_a_problem(customer: Customer) -> None:
    assert problems() == ["no_switch"]
    heartbeat.beat("office", 3)
    Switch.objects.update(seen_at=timezone.now() - timedelta(minutes=1))
    assert problems() == ["no_switch"]


def test_a_missing_gateway_is_a_problem(customer: Customer) -> None:
    heartbeat.beat("office", 3)
    Gateway.objects.update(is_active=False)

    assert problems() == ["no_gateway"]


def test_a_long_wait_in_the_queue_is_a_problem(customer: Customer, queued: Any) -> None:
    heartbeat.beat("office", 0)
    call = queued()
    assert problems() == []

    Call.objects.filter(pk=call.pk).update(created_at=timezone.now() - timedelta(seconds=20))

    found = health.current_health(timezone.now())
    assert found.problems == ["queue_waits"]
    assert found.queued == 1
    assert 20 <= (found.oldest_queued or 0) < 40


def test_lapsed_leases_are_a_problem(customer: Customer, queued: Any) -> None:
    heartbeat.beat("office", 0)
    call = queued()
    lapsed = timezone.now() - timedelta(seconds=5)
    Call.objects.filter(pk=call.pk).update(state="active", lease_until=lapsed)

    assert problems() == ["leases_lapsed"]


def test_lists_failing_endpoints(customer: Customer, queued: Any) -> None:
    good, bad = (
        queued(custom=host, eventurl=f"https://{host}.example.com/?s=$status")
        for host in ("good", "bad")
    )
    deliver(good, 5, 200)
    deliver(good, 2, 412)
    deliver(good, 3, 500)
    deliver(bad, 3, 200, seconds=4.5)
    deliver(bad, 4, None, error="timed out")

    (endpoint,) = health.current_health(timezone.now()).endpoints

    assert (endpoint.host, endpoint.events, endpoint.failures) == ("bad.example.com", 7, 4)
    assert (endpoint.slowest, endpoint.last_error) == (4.5, "timed out")


def test_lists_accounts_with_low_funds(customer: Customer) -> None:
    assert health.accounts_with_low_funds() == []
    enough = 2 * customer.rate.price_per_minute * 120 / 60

    Account.objects.update(balance=enough)
    assert health.accounts_with_low_funds() == []
    Account.objects.update(balance=enough - Decimal("0.001"))
    assert health.accounts_with_low_funds() == [customer.account]
    Account.objects.update(credit_limit=1)
    assert health.accounts_with_low_funds() == []
    Account.objects.update(credit_limit=0, is_active=False)
    assert health.accounts_with_low_funds() == []


def test_low_funds_include_connect_fees_and_initial_increments(customer: Customer) -> None:
    Rate.objects.update(price_per_minute=Decimal("0.06"), initial_increment=180)
    Account.objects.update(balance=Decimal("0.359"))
    assert customer.request_call() == "90"
    assert health.accounts_with_low_funds() == [customer.account]

    Rate.objects.update(price_per_minute=0, connect_fee=Decimal("0.180"))
    assert customer.request_call() == "90"
    assert health.accounts_with_low_funds() == [customer.account]
    Account.objects.update(balance=Decimal("0.360"))
    assert health.accounts_with_low_funds() == []
    assert customer.request_call() == "00"


def test_the_page_describes_the_problems(customer: Customer) -> None:
    Account.objects.update(balance=0)
    page = watcher("view_switch", "view_account").get(HEALTH).content.decode()

    assert "No switch is running" in page
    assert customer.account.name in page
    assert "style=" not in page.split("poketalk-health")[1]


def test_accounts_require_the_permission_to_see_them(customer: Customer) -> None:
    Account.objects.update(balance=0)

    assert customer.account.name not in watcher("view_switch").get(HEALTH).content.decode()


def test_monitoring_tools_get_json_without_customers_names(customer: Customer) -> None:
    client = watcher("view_switch")
    Account.objects.update(balance=0)

    unwell = client.get(HEALTH, {"format": "json"})
    heartbeat.beat("office", 2)
    well = client.get(HEALTH, {"format": "json"})

    assert (unwell.status_code, unwell.json()["problems"]) == (503, ["no_switch"])
    assert (well.status_code, well.json()["ok"]) == (200, True)
    assert well.json()["switches"][0]["live_calls"] == 2
    assert well.json()["accounts_with_low_funds"] == 1
    assert customer.account.name not in well.content.decode()


def test_the_health_page_requires_the_permission(customer: Customer) -> None:
    assert watcher("view_call").get(HEALTH).status_code == 403


def test_health_takes_ten_queries(
    customer: Customer, queued: Any, django_assert_num_queries: Any
) -> None:
    queued()
    heartbeat.beat("office", 2)
    with django_assert_num_queries(10):
        health.current_health(timezone.now())
