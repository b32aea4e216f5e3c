"""A test call rings one number through one gateway, and is free."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.database.clock import database_now
from django_poketalk.server.models import (
    BlacklistedNumber,
    Call,
    Gateway,
    LedgerEntry,
    Rate,
    Switch,
    TestCall,
)
from django_poketalk.server.switch import probe_calls
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import LegKey, Report
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import Answered, LegFact
from django_poketalk.server.switch.monitoring import heartbeat

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


@pytest.mark.parametrize(
    ("begun", "seen", "is_lost"),
    [  # seconds ago
        (10, None, False),  # a new switch has no heartbeat yet
        (30, None, True),
        (30, 25, True),
        (30, 15, False),
        (601, 0, True),  # it could not store the end
    ],
)
def test_a_test_call_of_a_dead_switch_is_ended(
    service: Service, begun: int, seen: int | None, is_lost: bool
) -> None:
    now = database_now()
    test_call = TestCall.objects.create(
        gateway=service.gateway,
        number=number("99"),
        state="active",
        switch="dead",
        dialog="<dialog>",
        begun_at=now - timedelta(seconds=begun),
    )
    if seen is not None:
        heartbeat.beat("dead", 0)
        Switch.objects.update(seen_at=now - timedelta(seconds=seen))

    claimed, lost = probe_calls.claim("next", ("simulated",))

    assert claimed == []
    assert [(each.row.pk, each.row.dialog) for each in lost] == (
        [(test_call.pk, "<dialog>")] if is_lost else []
    )
    for each in lost:
        probe_calls.end_lost(each.row)
    test_call.refresh_from_db()
    if is_lost:
        assert (test_call.hangup_cause, test_call.got_through) == ("switch_lost", False)
        assert test_call.dialog == ""
    else:
        assert test_call.state == "active"


def test_a_lost_test_call_is_hung_up_before_its_end_is_stored(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a switch that dies in between leaves it to the next one."""
    steps: list[str] = []
    end_lost = probe_calls.end_lost

    def store(row: TestCall) -> None:
        steps.append("stored")
        end_lost(row)

    monkeypatch.setattr(probe_calls, "end_lost", store)
    monkeypatch.setattr(
        SimulatedGateway, "end_dialog", lambda _gateway, dialog, _route: steps.append(dialog)
    )
    TestCall.objects.create(
        gateway=service.gateway,
        number=number("99"),
        state="active",
        switch="dead",
        dialog="<dialog>",
        begun_at=database_now() - timedelta(seconds=30),
    )

    serve(Engine("next", SPEED), until=TestCall.objects.filter(state="ended").exists)

    assert steps == ["<dialog>", "stored"]
    assert TestCall.objects.get().hangup_cause == "switch_lost"


def test_the_rules_are_asked_again_when_a_switch_takes_the_test_call(service: Service) -> None:
    for digits in ("98", "97", "96"):
        TestCall.objects.create(gateway=service.gateway, number=number(digits))
    BlacklistedNumber.objects.create(number=number("98"))
    short = number("97")
    Rate.objects.exclude(pk=None).update(prefix=number("96"))

    claimed, _lost = probe_calls.claim("test", ("simulated",))

    assert [each.row.number for each in claimed] == [number("96")]
    ended = TestCall.objects.filter(state="ended")
    assert dict(ended.values_list("number", "hangup_cause")) == {
        number("98"): "rejected",
        short: "no_rate",
    }


@pytest.mark.parametrize(("ending", "dialog"), [("02", "<invitation>"), ("99", "<answered>")])
def test_the_dialog_is_stored_until_the_end(
    service: Service, monkeypatch: pytest.MonkeyPatch, ending: str, dialog: str
) -> None:
    """So that another switch can hang up the phone, whether it rings or is answered."""
    monkeypatch.setattr(probe_calls, "TALK", 1e6)
    Gateway.objects.update(ring_timeout=600)

    class Phones(SimulatedGateway):
        def __init__(self, clock: Clock, report: Report) -> None:
            super().__init__(clock, lambda call, fact: report(call, with_dialog(fact)))

        def dialog_of(self, leg: LegKey) -> str:
            return "<invitation>"

    def with_dialog(fact: LegFact) -> LegFact:
        is_answer = isinstance(fact, Answered)
        return dataclasses.replace(fact, dialog="<answered>") if is_answer else fact

    TestCall.objects.create(gateway=service.gateway, number=number(ending))
    stored = TestCall.objects.filter(dialog=dialog, state="active").exists
    serve(Engine("test", SPEED, kinds={"simulated": Phones}), until=stored)

    test_call = TestCall.objects.get()
    assert (test_call.state, test_call.hangup_cause) == ("ended", "switch_stopped")
    assert test_call.dialog == ""


def test_only_one_switch_claims_a_test_call(service: Service) -> None:
    TestCall.objects.create(gateway=service.gateway, number=number("99"))

    first, _ = probe_calls.claim("one", ("simulated",))
    second, _ = probe_calls.claim("two", ("simulated",))

    assert (len(first), len(second)) == (1, 0)
    assert probe_calls.claim("three", ("sip",)) == ([], [])
