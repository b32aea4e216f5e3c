"""Several switches on one database, some of which die: each call is rung once and ended."""

from __future__ import annotations

import contextlib
import random
import re
import signal
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import Account, Call, Leg, Switch
from django_poketalk.server.switch.clock import DatabaseTime
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims
from django_poketalk.server.switch.recovery import recovery
from tests.conftest import Times

from ..conftest import PATIENCE, Service
from ..customer import Customer
from ..processes import switch, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 100.0  # seconds for two processes to start on a busy machine
CLAIMED = re.compile(r"Call (\d+) .*: claimed\.")


def all_ended() -> bool:
    return not Call.objects.exclude(state="ended").exists()


def claimed_in(*outputs: str) -> Counter[int]:
    """How often each call was claimed, according to the switches' logs."""
    return Counter(int(pk) for output in outputs for pk in CLAIMED.findall(output))


def assert_money_is_correct() -> None:
    account = Account.objects.get()
    assert account.held == 0
    # Sum in Python, because SQLite sums as floats.
    assert account.balance == sum(account.entries.values_list("amount", flat=True))
    costs = sum(Call.objects.values_list("cost", flat=True))
    assert account.balance == Decimal(1000) - costs


@pytest.mark.programs
def test_two_processes_that_compete_for_calls_ring_each_once(service: Service) -> None:
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(switch("--name", name, SWITCH_LEASE="15"))
            for name in ("one", "two")
        ]
        # Wait until both have started, because queued calls time out.
        wait_for(lambda: Switch.objects.count() == len(processes), LONG)
        for _ in range(60):
            service.queue(a="20", b="01")
        wait_for(all_ended, LONG)
        outputs = []
        for process in processes:
            process.send_signal(signal.SIGTERM)
            outputs.append(process.communicate(timeout=PATIENCE)[0])
    assert set(claimed_in(*outputs).values()) == {1}
    assert set(Call.objects.values_list("fence", flat=True)) == {1}
    assert Leg.objects.filter(side="A").count() == Call.objects.count() == 60
    assert set(Call.objects.values_list("status", "hangup_cause")) == {(6, "busy")}
    assert_money_is_correct()


@pytest.mark.programs
def test_calls_of_killed_switches_are_rung_once_charged_and_get_a_final_event(
    service: Service, times: Times
) -> None:
    chance = random.Random(4)
    outputs = []
    with Customer() as customer:
        for kill in range(times(2, full=100)):
            calls = [
                service.queue(a, custom=f"{kill}-{each}", eventurl=customer.eventurl)
                for each, a in enumerate(("20", "99", "21", "20"))
            ]
            with switch(f"--name=killed-{kill}") as process:
                last = calls[-1].pk
                wait_for(lambda last=last: Call.objects.filter(pk=last, fence=1).exists(), LONG)
                time.sleep(chance.uniform(0, 0.6))
                process.kill()
                outputs.append(process.communicate(timeout=PATIENCE)[0])
        with switch("--name=last") as process:
            wait_for(all_ended, LONG)
            process.send_signal(signal.SIGTERM)
            outputs.append(process.communicate(timeout=PATIENCE)[0])
    assert max(claimed_in(*outputs).values()) == 1
    assert Leg.objects.filter(ended_at=None).count() == 0
    for call in Call.objects.all():
        assert customer.statuses(call.custom)[-1] == call.status
        assert call.status in (2, 4, 6, 8)
    assert_money_is_correct()


@pytest.mark.parametrize("hours", [-5, 5])
def test_leases_do_not_depend_on_the_clocks_of_hosts(
    service: Service, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    call, real = service.queue(), timezone.now
    wrong = lambda: real() + timedelta(hours=hours)  # noqa: E731
    before = database_now()
    monkeypatch.setattr(timezone, "now", wrong)
    [claimed] = claims.claim(
        "a host whose clock is wrong", 10, GatewayAvailability(["simulated"])
    ).calls
    assert claimed.refused is None
    call.refresh_from_db()
    assert call.lease_until is not None
    assert timedelta(seconds=14) < call.lease_until - before < timedelta(seconds=60)
    assert recovery.recover("another", 10) == []
    monkeypatch.setattr(timezone, "now", real)
    assert recovery.recover("a host whose clock is right", 10) == []
    assert claims.renew("a host whose clock is wrong", [claimed.key]) == set()

    claims.let_lapse(claimed.key)
    monkeypatch.setattr(timezone, "now", wrong)
    # The call is ended, but without an EventURL there is nothing to send.
    assert len(recovery.recover("another", 10)) == 0
    call.refresh_from_db()
    assert call.hangup_cause == "switch_lost"
    assert call.ended_at is not None
    assert abs(call.ended_at - before) < timedelta(seconds=60)


def test_the_databases_time_is_estimated_without_a_query() -> None:
    estimate = DatabaseTime()
    for _ in range(3):
        began = time.monotonic()
        moment = database_now() + timedelta(hours=3)
        estimate.add(moment, began, time.monotonic())
    assert abs(estimate.now() - database_now() - timedelta(hours=3)) < timedelta(seconds=1)
