"""`manage.py poketalk_switch` as an operator runs it: a process, stopped by signals."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways import KINDS
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway

from .conftest import PATIENCE, SPEED, Service, ended, serve
from .customer import Customer
from .processes import switch, talking, wait_for

pytestmark = [pytest.mark.programs, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_live_calls_cleanly(service: Service, number: signal.Signals) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        with switch("--name", "office") as process:
            wait_for(talking(call))
            process.send_signal(number)
            output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    call.refresh_from_db()
    assert (call.state, call.status, call.hangup_cause) == ("ended", 8, "switch_stopped")
    assert call.switch.startswith("office-")
    assert customer.statuses()[-1] == 8
    assert Account.objects.get().held == 0
    assert f"Call {call.pk} (+44 ••••••••99 → +44 ••••••••99): claimed." in output
    assert call.from_number not in output


def test_a_second_signal_stops_at_once(service: Service) -> None:
    with Customer() as customer:
        customer.slow = True
        call = service.queue(eventurl=customer.eventurl)
        with switch() as process:
            wait_for(lambda: Call.objects.filter(pk=call.pk, status__gte=1).exists())
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: Call.objects.filter(pk=call.pk, state="ending").exists())
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM


def test_the_next_switch_ends_the_calls_of_a_killed_one(service: Service) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        with switch() as process:
            wait_for(talking(call))
            process.kill()
            process.wait()
        call.refresh_from_db()
        assert (call.state, call.status) == ("active", 7)
        serve(Engine("next", SPEED), until=ended(call))
    call.refresh_from_db()
    assert (call.status, call.hangup_cause, call.held) == (8, "switch_lost", 0)
    assert customer.statuses().count(8) == 1
    assert sum(entry.amount for entry in call.entries.all()) == -call.cost
    assert Account.objects.get().held == 0


def test_a_switch_frozen_past_its_lease_leaves_the_call_to_its_new_owner(
    service: Service,
) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        with switch() as process:
            wait_for(talking(call))
            process.send_signal(signal.SIGSTOP)
            serve(Engine("next", SPEED), until=ended(call))
            row = Call.objects.values().get()
            events = list(customer.events)
            process.send_signal(signal.SIGCONT)
            time.sleep(1)  # time for it to write or send, which it must not
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert Call.objects.values().get() == row
    assert customer.events == events
    assert customer.statuses().count(8) == 1
    assert "drops its calls" in output


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "1001"])
def test_an_invalid_speed_is_refused(db: None, speed: str) -> None:
    with pytest.raises(CommandError, match="--speed must be"):
        call_command("poketalk_switch", f"--speed={speed}")


def test_only_simulated_phones_are_rung_at_another_speed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = type("Real", (SimulatedGateway,), {"simulated": False})
    monkeypatch.setitem(KINDS, "simulated", real)
    with pytest.raises(CommandError, match="gateway Phones"):
        call_command("poketalk_switch", "--speed=60")
    assert Engine("test", 60)._gateways == {}
    assert list(Engine("test", 1)._gateways) == list(KINDS)


def test_garbage_collection_seldom_interrupts_calls(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(serving: Coroutine[Any, Any, None]) -> None:
        serving.close()
        found.append((gc.get_threshold(), gc.get_freeze_count()))

    found: list[tuple[tuple[int, int, int], int]] = []
    before = gc.get_threshold()
    monkeypatch.setattr(asyncio, "run", run)
    try:
        call_command("poketalk_switch")
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
    [((young, middle_aged, old), frozen)] = found
    assert young >= 10_000
    assert middle_aged * old >= 400
    assert frozen > 50_000  # the objects of Django and its applications


def test_a_draining_switch_finishes_its_calls_and_claims_no_more(service: Service) -> None:
    live = service.queue(b="19")  # talks for long enough to be found talking
    with switch("--drain", "60") as process:
        wait_for(talking(live))
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)  # time for it to claim a call, which it must not
        late = service.queue()
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    live.refresh_from_db()
    late.refresh_from_db()
    assert (live.status, live.hangup_cause) == (8, "normal")
    assert late.state == "queued"
    assert "Calls in progress: 1" in output


def test_a_second_signal_ends_a_drain_and_a_third_stops_at_once(service: Service) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        with switch("--drain", "600") as process:
            wait_for(talking(call))
            customer.slow = True
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None
            call.refresh_from_db()
            assert call.state == "active"
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: Call.objects.filter(pk=call.pk, state="ending").exists())
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    call.refresh_from_db()
    assert call.hangup_cause == "switch_stopped"


def test_the_end_of_a_drain_ends_the_remaining_calls(service: Service) -> None:
    call = service.queue()
    with switch("--drain", "1") as process:
        wait_for(talking(call))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    call.refresh_from_db()
    assert (call.state, call.hangup_cause) == ("ended", "switch_stopped")


@pytest.mark.parametrize("drain", ["-1", "nan", "86401"])
def test_an_invalid_drain_is_refused(db: None, drain: str) -> None:
    with pytest.raises(CommandError, match="--drain must be"):
        call_command("poketalk_switch", f"--drain={drain}")
