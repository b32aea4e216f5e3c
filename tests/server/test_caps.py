"""The caps of an account: live calls, calls per second, spend per day. Above them: 90."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_poketalk.server import admission
from django_poketalk.server.billing import ledger
from django_poketalk.server.models import Account, Call, Rate

from . import money
from .conftest import Customer, DatabaseClock

D = Decimal
Queued = Callable[..., Call]


def end_and_charge(call: Call) -> None:
    """Charge the call's whole hold, and end it."""
    money.charge(call, call.held, D(0))
    Call.objects.filter(pk=call.pk).update(state=Call.State.ENDED)


def account() -> Account:
    return Account.objects.get()


# Calls per second


def test_90_above_the_calls_per_second(customer: Customer, database_clock: DatabaseClock) -> None:
    Account.objects.update(max_calls_per_second=2)
    assert [customer.request_call() for _ in range(3)] == ["00", "00", "90"]
    database_clock.shift(timedelta(seconds=0.999))
    assert customer.request_call() == "90"
    database_clock.shift(timedelta(seconds=0.001))
    assert [customer.request_call() for _ in range(3)] == ["00", "00", "90"]
    database_clock.shift(timedelta(seconds=-5))  # a clock that is set back does not reset the cap
    assert customer.request_call() == "90"
    assert Call.objects.count() == 4


def test_ended_calls_count_toward_the_calls_per_second(
    customer: Customer, database_clock: DatabaseClock
) -> None:
    Account.objects.update(max_calls_per_second=1)
    assert customer.request_call() == "00"
    Call.objects.update(state=Call.State.ENDED, held=0)
    assert customer.request_call() == "90"


def test_a_cap_of_0_refuses_all_calls(customer: Customer) -> None:
    Account.objects.update(max_calls_per_second=0)
    assert customer.request_call() == "90"
    Account.objects.update(max_calls_per_second=None, max_spend_per_day=0)
    assert customer.request_call() == "90"


# Which reason code 90 had

REASONS: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "no_rate": lambda: Rate.objects.all().delete(),
    "no_funds": lambda: ledger.adjust(account(), D("-99.99")),
    "live_calls": lambda: Account.objects.update(max_live_calls=0),
    "calls_per_second": lambda: Account.objects.update(max_calls_per_second=0),
    "spend_per_day": lambda: Account.objects.update(max_spend_per_day=D("0.019")),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_header_says_which_reason_the_code_had(reason: str, customer: Customer) -> None:
    REASONS[reason]()

    response = customer.post()

    assert response.content == (b"90" if reason else b"00")
    assert response.get("X-Poketalk-Reason", "") == reason


def test_no_reason_is_revealed_without_a_valid_key(customer: Customer) -> None:
    Account.objects.update(max_live_calls=0)

    response = customer.post(api_key="unknown")

    assert (response.content, response.get("X-Poketalk-Reason")) == (b"40", None)


# Spend per day


def test_90_when_charges_and_holds_reach_the_spend_per_day(
    customer: Customer, queued: Queued
) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("2.000")))
    queued(D("2.981"))
    assert customer.request_call() == "90"  # 0.019 is left; a call costs at least 0.020
    end_and_charge(queued(D("0.010")))
    assert account().charged(ledger.today()) == D("2.010")
    assert account().spendable(ledger.today()) == D("0.009")
    assert account().funds > 90


def test_the_rest_of_the_days_spend_limits_the_duration(customer: Customer, queued: Queued) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("4.400")))
    assert customer.request_call() == "00"
    call = Call.objects.latest()
    assert (call.max_duration, call.held) == (30, D("0.600"))
    assert account().spendable(ledger.today()) == 0


def test_the_spend_per_day_limits_extended_holds(
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


def test_lowering_the_spend_per_day_keeps_existing_holds(
    customer: Customer, queued: Queued
) -> None:
    call = queued(D(10))
    Account.objects.update(max_spend_per_day=D(3))
    assert money.extend(call, D(20)) == D(10)
    assert customer.request_call() == "90"
    money.charge(call, D(10), D(0))
    assert account().charged(ledger.today()) == D(10)


def test_payments_and_adjustments_do_not_count_as_spend(customer: Customer) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    ledger.adjust(customer.account, D("-7"))
    ledger.top_up(customer.account, D("7"))
    assert account().charged(ledger.today()) == 0
    assert customer.request_call() == "00"


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", datetime(2026, 6, 2, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 6, 1, 15, tzinfo=UTC)),
    ],
)
def test_the_day_begins_at_midnight_in_the_services_time_zone(
    customer: Customer,
    queued: Queued,
    database_clock: DatabaseClock,
    settings: Any,
    zone: str,
    midnight: datetime,
) -> None:
    settings.TIME_ZONE = zone
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("5.000")))
    database_clock.set(midnight - timedelta(seconds=1))
    assert customer.request_call() == "90"
    database_clock.set(midnight)
    assert customer.request_call() == "00"
    assert account().charged(ledger.today()) == 0
    end_and_charge(queued(D("2.000")))
    assert account().charged(ledger.today()) == D("2.000")


def test_a_call_across_midnight_counts_on_the_day_of_its_charge(
    queued: Queued, database_clock: DatabaseClock
) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    call = queued(D(4))
    database_clock.shift(timedelta(days=1))
    assert account().spendable(ledger.today()) == D(1)
    money.charge(call, D(4), D(0))
    assert account().spendable(ledger.today()) == D(1)


def test_a_database_whose_clock_is_set_back_does_not_reset_the_spend(
    queued: Queued, database_clock: DatabaseClock
) -> None:
    Account.objects.update(max_spend_per_day=D("5"))
    end_and_charge(queued(D("3.000")))
    database_clock.shift(timedelta(days=-1))
    assert account().charged(ledger.today()) == D(3)
    end_and_charge(queued(D("1.000")))
    database_clock.shift(timedelta(days=1))
    assert account().charged(ledger.today()) == D(4)


def test_saving_a_stale_account_keeps_the_spend(customer: Customer, queued: Queued) -> None:
    stale = account()
    end_and_charge(queued(D("3.000")))
    stale.name = "Renamed"
    stale.save()
    assert account().charged(ledger.today()) == D(3)


# Logs and queries


@pytest.mark.parametrize(
    ("cap", "words"),
    [
        ({"max_live_calls": 0}, "it is at its limit of 0 live calls"),
        ({"max_calls_per_second": 0}, "it is at its limit of 0 calls per second"),
        ({"max_spend_per_day": D("0.019")}, "0.019 is left of its 0.019 for today"),
    ],
)
def test_logs_the_cap_that_was_reached(
    customer: Customer, caplog: pytest.LogCaptureFixture, cap: dict[str, Any], words: str
) -> None:
    Account.objects.update(**cap)
    assert customer.request_call() == "90"
    [record] = [record for record in caplog.records if record.name == admission.logger.name]
    assert words in record.getMessage()
    assert f"Account {customer.account.pk} (ACME) is refused a call (90)" in record.getMessage()


def test_unset_caps_and_spend_per_day_need_no_query(customer: Customer) -> None:
    def queries_of_a_request(**caps: Any) -> int:
        Account.objects.update(**caps)
        with CaptureQueriesContext(connection) as queries:
            assert customer.request_call() == "00"
        return len(queries)

    queries_of_a_request()  # the first one finds an empty queue, which has no turns
    plain = queries_of_a_request()
    assert queries_of_a_request(max_spend_per_day=50) == plain
    assert queries_of_a_request(max_live_calls=9) == plain + 1
    assert queries_of_a_request(max_calls_per_second=9) == plain + 2
