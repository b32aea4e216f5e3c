"""What an account may have at most: live calls, calls a second, spend a day. Past it: 90."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_poketalk.server import admission
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call

from . import money
from .conftest import Customer

D = Decimal
Queued = Callable[..., Call]
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def end_and_charge(call: Call) -> None:
    """Charge all that it holds."""
    money.charge(call, call.held, D(0))
    Call.objects.filter(pk=call.pk).update(state=Call.State.ENDED)


def account() -> Account:
    return Account.objects.get()


# Calls per second


def test_90_past_the_calls_per_second(customer: Customer) -> None:
    Account.objects.update(max_calls_per_second=2)
    with time_machine.travel(NOON, tick=False) as clock:
        assert [customer.ask() for _ in range(3)] == ["00", "00", "90"]
        clock.shift(0.999)
        assert customer.ask() == "90"
        clock.shift(0.001)
        assert [customer.ask() for _ in range(3)] == ["00", "00", "90"]
        clock.shift(timedelta(seconds=-5))  # a clock that was put back opens nothing
        assert customer.ask() == "90"
    assert Call.objects.count() == 4


def test_calls_that_are_over_count_in_their_second(customer: Customer) -> None:
    Account.objects.update(max_calls_per_second=1)
    with time_machine.travel(NOON, tick=False):
        assert customer.ask() == "00"
        Call.objects.update(state=Call.State.ENDED, held=0)
        assert customer.ask() == "90"


def test_no_calls_at_all_at_a_cap_of_0(customer: Customer) -> None:
    Account.objects.update(max_calls_per_second=0)
    assert customer.ask() == "90"
    Account.objects.update(max_calls_per_second=None, max_spend_per_day=0)
    assert customer.ask() == "90"


# Spend per day


def test_90_when_charges_and_holds_have_used_up_the_day(customer: Customer, queued: Queued) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("2.000")))
    queued(D("2.981"))
    assert customer.ask() == "90"  # 0.019 are left; a call costs 0.020 at least
    end_and_charge(queued(D("0.010")))
    assert account().charged(ledger.today()) == D("2.010")
    assert account().spendable(ledger.today()) == D("0.009")
    assert account().funds > 90


def test_a_call_is_granted_what_is_left_of_the_day(customer: Customer, queued: Queued) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("4.400")))
    assert customer.ask() == "00"
    call = Call.objects.latest()
    assert (call.max_duration, call.held) == (30, D("0.600"))
    assert account().spendable(ledger.today()) == 0


def test_a_hold_is_extended_no_further_than_the_day_allows(
    customer: Customer, queued: Queued, caplog: pytest.LogCaptureFixture
) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("1.000")))
    call = queued()
    assert money.extend(call, D(3)) == D(3)
    assert not caplog.records
    assert money.extend(call, D(7)) == D(4)
    assert money.extend(call, D(7)) == D(4)
    assert "is at its limit of 5.000 per day" in caplog.text
    money.charge(call, D(2), D(2))
    assert account().charged(ledger.today()) == D(5)


def test_a_limit_that_was_lowered_takes_nothing_from_live_calls(
    customer: Customer, queued: Queued
) -> None:
    call = queued(D(10))
    Account.objects.update(max_spend_per_day=D(3))
    assert money.extend(call, D(20)) == D(10)
    assert customer.ask() == "90"
    money.charge(call, D(10), D(0))
    assert account().charged(ledger.today()) == D(10)


def test_payments_and_adjustments_are_not_spent(customer: Customer) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    ledger.adjust(customer.account, D("-7"))
    ledger.top_up(customer.account, D("7"))
    assert account().charged(ledger.today()) == 0
    assert customer.ask() == "00"


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", datetime(2026, 6, 2, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 6, 1, 15, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_midnight_in_the_services_time_zone(
    customer: Customer, queued: Queued, settings: Any, zone: str, midnight: datetime
) -> None:
    settings.TIME_ZONE = zone
    Account.objects.update(max_spend_per_day=D("5"))
    with time_machine.travel(NOON, tick=False) as clock:
        end_and_charge(queued(D("5.000")))
        clock.move_to(midnight - timedelta(seconds=1))
        assert customer.ask() == "90"
        clock.move_to(midnight)
        assert customer.ask() == "00"
        assert account().charged(ledger.today()) == 0
        end_and_charge(queued(D("2.000")))
        assert account().charged(ledger.today()) == D("2.000")


def test_a_call_over_midnight_counts_on_the_day_of_its_charge(
    customer: Customer, queued: Queued
) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    with time_machine.travel(NOON, tick=False) as clock:
        call = queued(D(4))
        clock.shift(timedelta(days=1))
        assert account().spendable(ledger.today()) == D(1)
        money.charge(call, D(4), D(0))
        assert account().spendable(ledger.today()) == D(1)


def test_a_host_whose_clock_is_behind_does_not_open_the_day_anew(
    customer: Customer, queued: Queued
) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    with time_machine.travel(NOON, tick=False) as clock:
        end_and_charge(queued(D("3.000")))
        clock.shift(timedelta(days=-1))
        assert account().charged(ledger.today()) == D(3)
        end_and_charge(queued(D("1.000")))
        clock.shift(timedelta(days=1))
        assert account().charged(ledger.today()) == D(4)


def test_saving_a_stale_account_does_not_forget_what_was_spent(
    customer: Customer, queued: Queued
) -> None:
    stale = account()
    end_and_charge(queued(D("3.000")))
    stale.name = "Renamed"
    stale.save()
    assert account().charged(ledger.today()) == D(3)


# What is said of it


@pytest.mark.parametrize(
    ("cap", "words"),
    [
        ({"max_live_calls": 0}, "it is at its limit of 0 live calls"),
        ({"max_calls_per_second": 0}, "it is at its limit of 0 calls per second"),
        ({"max_spend_per_day": D("0.019")}, "0.019 is left of its 0.019 for today"),
    ],
)
def test_the_log_says_which_cap_it_was(
    customer: Customer, caplog: pytest.LogCaptureFixture, cap: dict[str, Any], words: str
) -> None:
    Account.objects.update(**cap)
    assert customer.ask() == "90"
    [record] = [record for record in caplog.records if record.name == admission.logger.name]
    assert words in record.getMessage()
    assert f"Account {customer.account.pk} (ACME) is refused a call (90)" in record.getMessage()


def test_caps_that_are_not_set_and_spend_that_is_cost_no_query(customer: Customer) -> None:
    def queries_of_a_request(**caps: Any) -> int:
        Account.objects.update(**caps)
        with CaptureQueriesContext(connection) as queries:
            assert customer.ask() == "00"
        return len(queries)

    plain = queries_of_a_request()
    assert queries_of_a_request(max_spend_per_day=50) == plain
    assert queries_of_a_request(max_live_calls=9) == plain + 1
    assert queries_of_a_request(max_calls_per_second=9) == plain + 2
