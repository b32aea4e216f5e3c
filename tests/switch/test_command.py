"""`manage.py poketalk_switch` as an operator runs it: a process, stopped by signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways import KINDS
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway

from .conftest import PATIENCE, SPEED, Service, ended, serve
from .customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def switch(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A switch in a process of its own, on the tests' database."""
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "poketalk_switch", "--speed", f"{SPEED:g}", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.switch.switch_settings",
            "SWITCH_DATABASE": str(connection.settings_dict["NAME"]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)


def talking(call: Call) -> Callable[[], bool]:
    return lambda: Call.objects.filter(pk=call.pk, status=7).exists()


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


def test_what_a_killed_switch_leaves_is_ended_by_the_next(service: Service) -> None:
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
    assert sum(entry.amount for entry in call.entries.all()) == -call.debit
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
            told = list(customer.told)
            process.send_signal(signal.SIGCONT)
            time.sleep(1)  # in which it would do what it should not
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert Call.objects.values().get() == row
    assert customer.told == told
    assert customer.statuses().count(8) == 1
    assert "drops its calls" in output


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "inf", "1001"])
def test_a_senseless_speed_is_refused(db: None, speed: str) -> None:
    with pytest.raises(CommandError, match="--speed is a number"):
        call_command("poketalk_switch", f"--speed={speed}")


def test_real_phones_are_not_rung_at_another_speed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = type("Real", (SimulatedGateway,), {"simulated": False})
    monkeypatch.setitem(KINDS, "simulated", real)
    with pytest.raises(CommandError, match="gateway Phones"):
        call_command("poketalk_switch", "--speed=60")
    assert Engine("test", 60)._gateways == {}
    assert list(Engine("test", 1)._gateways) == ["simulated"]
