"""The health of the service: problems that keep calls from being served are reported."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from django_poketalk.server import health, views
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, EventDelivery, Gateway, Rate, Switch
from django_poketalk.server.switch.monitoring import heartbeat

from . import money
from .conftest import Customer, make_customer

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


def low() -> list[Account]:
    return health.accounts_with_low_funds(timezone.now())


def call_for(queued: Any, cost: str, **facts: Any) -> None:
    """A call of leg A alone that costs this."""
    call = queued(Decimal(cost), **facts)
    money.charge(call, Decimal(cost), Decimal(0))


def test_lists_accounts_whose_funds_do_not_cover_ten_of_their_calls(
    customer: Customer, queued: Any
) -> None:
    call_for(queued, "0.5")

    Account.objects.update(balance=5)
    assert low() == []
    Account.objects.update(balance=Decimal("4.999"))
    assert low() == [customer.account]
    Account.objects.update(credit_limit=1)
    assert low() == []
    Account.objects.update(credit_limit=0, is_active=False)
    assert low() == []


def test_a_dear_rate_that_an_account_never_calls_does_not_count(
    customer: Customer, queued: Any
) -> None:
    Rate.objects.create(price_list=customer.price_list, prefix="8816", price_per_minute=99)
    call_for(queued, "0.1")

    Account.objects.update(balance=1)

    assert low() == []


def test_the_average_follows_the_latest_calls(customer: Customer, queued: Any) -> None:
    call_for(queued, "20")
    for _ in range(50):
        call_for(queued, "0.01")

    customer.account.refresh_from_db()

    cost = customer.account.average_cost
    assert cost is not None
    assert Decimal("0.01") < cost < Decimal("0.2")


@pytest.mark.parametrize(("days", "listed"), [(29, 1), (31, 0)])
def test_calls_of_long_ago_do_not_count(
    customer: Customer, queued: Any, days: int, listed: int
) -> None:
    call_for(queued, "0.5")
    long_ago = timezone.now() - timedelta(days=days)
    Account.objects.update(balance=0, spent_on=ledger.day_of(long_ago))

    assert len(low()) == listed


def test_an_account_that_was_never_charged_is_not_listed(customer: Customer, queued: Any) -> None:
    call_for(queued, "0")
    Account.objects.update(balance=0)

    assert low() == []


def test_only_the_calls_of_the_account_count(customer: Customer, queued: Any) -> None:
    other = make_customer("Other")
    call_for(queued, "60", account=other.account)
    call_for(queued, "0.5")

    assert low() == [other.account]


def test_the_page_describes_the_problems(customer: Customer, queued: Any) -> None:
    call_for(queued, "0.5")
    Account.objects.update(balance=Decimal("0.125"))
    page = watcher("view_switch", "view_account").get(HEALTH).content.decode()

    assert "No switch takes calls" in page
    assert f"{customer.account.name}</a>: 0.125 EUR, 0.500 EUR a call" in page
    assert "style=" not in page.split("poketalk-health")[1]


def test_a_time_of_less_than_a_minute_is_not_zero_minutes(queued: Any) -> None:
    deliver(queued(), 1, 200)
    client = watcher("view_switch")
    assert "<dd>less than a minute ago</dd>" in client.get(HEALTH).content.decode()

    EventDelivery.objects.update(sent_at=timezone.now() - timedelta(seconds=61))
    assert "<dd>1\N{NO-BREAK SPACE}minute ago</dd>" in client.get(HEALTH).content.decode()


def test_accounts_require_the_permission_to_see_them(customer: Customer, queued: Any) -> None:
    call_for(queued, "0.5")
    Account.objects.update(balance=0)

    assert customer.account.name not in watcher("view_switch").get(HEALTH).content.decode()


def monitor(token: str = "monitors-secret", **options: Any) -> Any:
    """Ask as a monitoring tool does: without a session, with a token."""
    return Client().get("/api/health/", headers={"Authorization": f"Bearer {token}"}, **options)


@pytest.fixture
def health_token(settings: Any) -> None:
    settings.POKETALK_SERVER = {"HEALTH_TOKEN": "monitors-secret"}


@pytest.mark.usefixtures("health_token")
def test_monitoring_tools_get_json_without_customers_names(customer: Customer, queued: Any) -> None:
    call_for(queued, "0.5")
    Account.objects.update(balance=0)

    unwell = monitor()
    heartbeat.beat("office", 2)
    well = monitor()

    assert (unwell.status_code, unwell.json()["problems"]) == (503, ["no_switch"])
    assert (well.status_code, well.json()["ok"]) == (200, True)
    assert well.json()["switches"][0]["live_calls"] == 2
    assert well.json()["accounts_with_low_funds"] == 1
    assert customer.account.name not in well.content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("health_token")
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer wrong",
        "Basic monitors-secret",
        "Bearer monitors-secret2",
        "Bearer é",
    ],
)
def test_the_health_requires_the_token(authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = Client().get("/api/health/", headers=headers)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert b"switch" not in response.content


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "monitors-secret"])
def test_nobody_gets_the_health_while_the_token_is_not_set(token: str) -> None:
    assert monitor(token).status_code == 403


@pytest.mark.usefixtures("health_token")
def test_a_session_does_not_replace_the_token(customer: Customer) -> None:
    assert watcher("view_switch").get("/api/health/").status_code == 401


@pytest.mark.usefixtures("health_token")
def test_monitoring_tools_get_503_without_the_database(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(views, "database_now", fail)
    response = monitor()
    assert (response.status_code, response.json()["problems"]) == (503, ["database"])


@pytest.mark.usefixtures("health_token")
@pytest.mark.parametrize("problem", ["draining", "down:sip", "lease_lapsed"])
def test_a_switch_that_takes_no_calls_is_not_counted(customer: Customer, problem: str) -> None:
    heartbeat.beat("office", 2, problems=[problem])
    response = monitor()
    assert (response.status_code, response.json()["problems"]) == (503, ["no_switch"])
    assert response.json()["switches"][0]["problems"] == problem
    assert problem in watcher("view_switch").get(HEALTH).content.decode()
    heartbeat.beat("office", 2)
    assert monitor().status_code == 200


def test_the_health_page_requires_the_permission(customer: Customer) -> None:
    assert watcher("view_call").get(HEALTH).status_code == 403


def test_health_takes_a_fixed_number_of_queries(
    customer: Customer, queued: Any, django_assert_num_queries: Any
) -> None:
    queued()
    heartbeat.beat("office", 2)
    with django_assert_num_queries(10):
        health.current_health(timezone.now())
