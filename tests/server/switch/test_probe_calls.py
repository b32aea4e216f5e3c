"""A test call rings one number through one gateway, and is free."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.models import Call, LedgerEntry, TestCall
from django_poketalk.server.switch import probe_calls
from django_poketalk.server.switch.engine import Engine

from .conftest import SPEED, Service, number, serve

pytestmark = pytest.mark.django_db(transaction=True)


def run(service: Service, ending: str, **facts: Any) -> TestCall:
    """Make a test call to the phone with these last digits, and wait for its end."""
    test_call = TestCall.objects.create(gateway=service.gateway, number=number(ending), **facts)
    serve(Engine("test", SPEED), until=lambda: TestCall.objects.filter(state="ended").exists())
    test_call.refresh_from_db()
    return test_call


def test_an_answered_test_call_is_hung_up_soon_and_costs_nothing(service: Service) -> None:
    entries = LedgerEntry.objects.count()

    test_call = run(service, "99")

    assert test_call.got_through is True
    assert test_call.hangup_cause == "normal"
    assert test_call.ringing_at is not None
    assert test_call.switch.startswith("test-")
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
def test_the_result_is_stored(service: Service, ending: str, cause: str) -> None:
    test_call = run(service, ending)

    assert test_call.hangup_cause == cause
    assert test_call.got_through is (ending == "06")


def test_a_test_call_that_was_queued_too_long_rings_nobody(service: Service) -> None:
    test_call = run(service, "99", created_at=timezone.now() - timedelta(minutes=1))

    assert (test_call.hangup_cause, test_call.ringing_at) == ("queue_timeout", None)


def test_a_test_call_of_a_dead_switch_is_ended(service: Service) -> None:
    begun = timezone.now() - timedelta(hours=1)

    test_call = run(service, "99", state="active", switch="dead", begun_at=begun)

    assert (test_call.hangup_cause, test_call.got_through) == ("switch_lost", False)


def test_only_one_switch_claims_a_test_call(service: Service) -> None:
    TestCall.objects.create(gateway=service.gateway, number=number("99"))

    first = probe_calls.claim("one", ("simulated",))
    second = probe_calls.claim("two", ("simulated",))

    assert (len(first), len(second)) == (1, 0)
    assert not probe_calls.claim("three", ("sip",))
