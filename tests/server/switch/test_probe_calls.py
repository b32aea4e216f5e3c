"""A test call rings one number through one gateway, and costs nobody anything."""

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


def tried(service: Service, ending: str, **facts: Any) -> TestCall:
    """A test call to the phone with this ending, from its row to its end."""
    test_call = TestCall.objects.create(gateway=service.gateway, number=number(ending), **facts)
    serve(Engine("test", SPEED), until=lambda: TestCall.objects.filter(state="ended").exists())
    test_call.refresh_from_db()
    return test_call


def test_a_phone_that_answers_is_put_down_soon(service: Service) -> None:
    entries = LedgerEntry.objects.count()

    test_call = tried(service, "99")

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
def test_what_came_of_it_is_told(service: Service, ending: str, cause: str) -> None:
    test_call = tried(service, ending)

    assert test_call.hangup_cause == cause
    assert test_call.got_through is (ending == "06")


def test_one_that_waited_too_long_rings_nobody(service: Service) -> None:
    test_call = tried(service, "99", created_at=timezone.now() - timedelta(minutes=1))

    assert (test_call.hangup_cause, test_call.ringing_at) == ("queue_timeout", None)


def test_one_whose_switch_died_is_ended(service: Service) -> None:
    begun = timezone.now() - timedelta(hours=1)

    test_call = tried(service, "99", state="active", switch="dead", begun_at=begun)

    assert (test_call.hangup_cause, test_call.got_through) == ("switch_lost", False)


def test_of_two_switches_one_makes_it(service: Service) -> None:
    TestCall.objects.create(gateway=service.gateway, number=number("99"))

    first = probe_calls.claim("one", ("simulated",))
    second = probe_calls.claim("two", ("simulated",))

    assert (len(first), len(second)) == (1, 0)
    assert not probe_calls.claim("three", ("sip",))
