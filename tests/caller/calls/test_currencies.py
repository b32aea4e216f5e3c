"""The currency of each service: `CURRENCY`, or what the service says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.utils import timezone

from django_poketalk.backends import locmem
from django_poketalk.calls import currencies, placing
from django_poketalk.calls.currencies import currency_of
from django_poketalk.models import CallRequest, ServiceCurrency
from django_poketalk.presentation import call_status

from ..people import connected, page, staff

pytestmark = pytest.mark.django_db


class Service:
    """A service that can be asked. `answer` is its currency, or an error."""

    def __init__(self) -> None:
        self.answer: str | Exception | None = "EUR"
        self.asked = 0

    def currency(self, _backend: object) -> str | None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()
    monkeypatch.setattr(locmem.LocmemBackend, "can_ask", True)
    monkeypatch.setattr(locmem.LocmemBackend, "look_up", lambda *args: None)
    monkeypatch.setattr(locmem.LocmemBackend, "account_currency", lambda self: found.currency(self))
    cache.clear()
    currencies.forget()
    yield found
    currencies.forget()


def test_a_sweep_asks_once_an_hour_and_costs_have_the_currency(
    asked: Service, call: CallRequest
) -> None:
    connected(call, status=8, ended_at=timezone.now())
    assert call_status.cost(call.cost, call.service) == "0.421"

    placing.sweep()
    placing.sweep()

    assert asked.asked == 1
    assert call_status.cost(call.cost, call.service) == "0.421\N{NO-BREAK SPACE}EUR"
    boss = staff("boss", is_superuser=True)
    assert "0.421 EUR" in page(boss.get(f"/admin/poketalk/callrequest/{call.pk}/change/"))
    assert boss.get(f"/poketalk/{call.pk}/status/").json()["currency"] == "EUR"


def test_the_setting_wins_and_nobody_is_asked(
    asked: Service, poketalk: Callable[..., None]
) -> None:
    ServiceCurrency.objects.create(alias="default", currency="EUR")
    poketalk(CURRENCY="USD")

    currencies.ask()

    assert (currency_of("default"), asked.asked) == ("USD", 0)


@pytest.mark.parametrize("answer", ["", "eur", "Euro", "<b>", None, OSError("down")])
def test_an_answer_that_is_no_currency_changes_nothing(
    answer: str | Exception | None, asked: Service
) -> None:
    ServiceCurrency.objects.create(alias="default", currency="EUR")
    asked.answer = answer

    currencies.ask()

    assert (currency_of("default"), asked.asked) == ("EUR", 1)


def test_a_plain_service_has_no_currency_and_is_not_asked(
    asked: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locmem.LocmemBackend, "can_ask", False)

    currencies.ask()

    assert (currency_of("default"), asked.asked) == ("", 0)


def test_figures_of_services_with_different_currencies_have_none(
    asked: Service, poketalk: Callable[..., None]
) -> None:
    services = {"other": {"CURRENCY": "USD"}}
    poketalk(SERVICES=services)
    currencies.ask()
    assert currencies.common_currency() == ""

    poketalk(SERVICES={"other": {"CURRENCY": "EUR"}})
    assert currencies.common_currency() == "EUR"


def test_rows_of_a_list_share_one_look_at_the_database(
    asked: Service, django_assert_num_queries: Callable[..., object]
) -> None:
    currencies.ask()

    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        texts = {call_status.cost(Decimal(1), "default") for _row in range(50)}

    assert texts == {"1.00\N{NO-BREAK SPACE}EUR"}
