"""A test call rings one number through one gateway, and costs nobody anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.models import Call, LedgerEntry, TrialCall
from django_poketalk.server.switch import probe_calls
from django_poketalk.server.switch.engine import Engine

from .conftest import SPEED, Service, number, serve

pytestmark = pytest.mark.django_db(transaction=True)


def tried(service: Service, ending: str, **facts: Any) -> TrialCall:
    """A test call to the phone with this ending, from its row to its end."""
    trial = TrialCall.objects.create(gateway=service.gateway, number=number(ending), **facts)
    serve(Engine("test", SPEED), until=lambda: TrialCall.objects.filter(state="ended").exists())
    trial.refresh_from_db()
    return trial


def test_a_phone_that_answers_is_put_down_soon(service: Service) -> None:
    entries = LedgerEntry.objects.count()

    trial = tried(service, "99")

    assert trial.got_through is True
    assert trial.hangup_cause == "normal"
    assert trial.ringing_at is not None
    assert trial.switch.startswith("test-")
    assert LedgerEntry.objects.count() == entries
    assert not Call.objects.exists()


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ("01", "busy"),
        ("02", "no_answer"),
        ("03", "declined"),
        ("04", "gateway_down"),
        ("06", "normal"),
    ],
)
def test_what_came_of_it_is_told(service: Service, ending: str, cause: str) -> None:
    trial = tried(service, ending)

    assert trial.hangup_cause == cause
    assert trial.got_through is (ending == "06")


def test_one_that_waited_too_long_rings_nobody(service: Service) -> None:
    trial = tried(service, "99", created_at=timezone.now() - timedelta(minutes=1))

    assert (trial.hangup_cause, trial.ringing_at) == ("queue_timeout", None)


def test_one_whose_switch_died_is_ended(service: Service) -> None:
    begun = timezone.now() - timedelta(hours=1)

    trial = tried(service, "99", state="active", switch="dead", begun_at=begun)

    assert (trial.hangup_cause, trial.got_through) == ("switch_lost", False)


def test_of_two_switches_one_makes_it(service: Service) -> None:
    TrialCall.objects.create(gateway=service.gateway, number=number("99"))

    first = probe_calls.claim("one", ("simulated",))
    second = probe_calls.claim("two", ("simulated",))

    assert (len(first), len(second)) == (1, 0)
    assert not probe_calls.claim("three", ("sip",))
