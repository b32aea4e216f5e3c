"""Errors in one call, of the database or of a gateway end no other call, and not the switch."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, transaction

from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change
from django_poketalk.server.switch.gateways.base import LegKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.call import CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    Fact,
    Route,
)
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.ownership import claims

from .conftest import Service, ended, engine, serve
from .customer import Customer
from .watched_gateway import WatchedGateway

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_write_to_a_locked_database_is_retried(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, refusals = store.save, iter(range(5))

    def locked_at_first(changes: list[Change]) -> list[Decimal | None]:
        if next(refusals, None) is not None:
            raise OperationalError("database is locked")
        return save(changes)

    monkeypatch.setattr(store, "save", locked_at_first)
    with Customer() as customer:
        call = service.queue(b="01", eventurl=customer.eventurl)
        serve(engine(), until=ended(call))
    assert customer.statuses() == [1, 3, 5, 6]


def test_an_error_in_one_call_ends_only_that_call_and_sends_its_final_event(
    service: Service, monkeypatch: pytest.MonkeyPatch, watched: type[WatchedGateway]
) -> None:
    handle = CallMachine.handle

    def fail_for_one(machine: CallMachine, fact: Fact, now: float) -> Any:
        if machine.plan.webcallid == "bad":
            raise ZeroDivisionError("a bug")
        return handle(machine, fact, now)

    monkeypatch.setattr(CallMachine, "handle", fail_for_one)
    with Customer() as customer:
        for custom in ("bad", "good"):
            service.queue(b="10", custom=custom, eventurl=customer.eventurl)
        serve(engine(watched), until=ended())
    assert customer.statuses("bad") == [1, 2]
    assert customer.statuses("good") == [1, 3, 5, 7, 8]
    assert Account.objects.get().held == 0
    bad = Call.objects.get(custom="bad")
    assert [leg.call.pk for leg, cause in watched.hung_up if cause is Cause.SWITCH_LOST] == [bad.pk]


def test_a_failed_write_ends_only_that_call_and_sends_its_final_event(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = service.queue(b="21", custom="bad")  # rings long: more is stored before the failure
    good = service.queue(b="10", custom="good")
    save = store.save

    def fail_for_one(changes: list[Change]) -> list[Decimal | None]:
        granted = save(changes)
        if any(change.key.pk == bad.pk and change.status == 7 for change in changes):
            raise ValueError("a bug")
        return granted

    monkeypatch.setattr(store, "save", transaction.atomic(fail_for_one))
    with Customer() as customer:
        Call.objects.update(eventurl=customer.eventurl)
        serve(engine(), until=ended(bad, good))
    bad.refresh_from_db()
    assert bad.status in (2, 4)  # by what was stored of the call: on a slow machine, not A's answer
    assert customer.statuses("bad")[0] == 1
    assert customer.statuses("bad")[-1] == bad.status
    assert not {7, 8} & set(customer.statuses("bad"))
    assert customer.statuses("good") == [1, 3, 5, 7, 8]


def test_an_error_outside_any_call_does_not_end_the_switch(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim, failures = claims.claim, iter(range(2))

    def fail_at_first(*args: Any, **kwargs: Any) -> Any:
        if next(failures, None) is not None:
            raise ValueError("a bug")
        return claim(*args, **kwargs)

    monkeypatch.setattr(claims, "claim", fail_at_first)
    call = service.queue(b="01")
    serve(engine(), until=ended(call))
    assert caplog.text.count("The switch continues.") == 2


def test_an_unavailable_database_is_logged_on_one_line_and_does_not_block_the_stop(
    service: Service,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}

    def unavailable(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("connection refused")

    for module, name in ((claims, "claim"), (heartbeat, "sign_off")):
        monkeypatch.setattr(module, name, unavailable)
    switch = engine()
    serve(switch, until=lambda: "Database error in claim: connection refused" in caplog.text)
    assert "could not sign off: connection refused" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_a_gateway_that_raises_an_error_counts_as_down(service: Service) -> None:
    class Broken(SimulatedGateway):
        def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
            raise RuntimeError("broken")

    call = service.queue()
    serve(engine(Broken), until=ended(call))
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (2, "gateway_down")


def test_errors_while_bridging_or_hanging_up_end_the_call(
    service: Service,
) -> None:
    class Broken(SimulatedGateway):
        def bridge(self, leg_a: LegKey, leg_b: LegKey) -> None:
            raise RuntimeError("broken")

        def hang_up(self, leg: LegKey, cause: Cause) -> None:
            raise RuntimeError("broken")

    call = service.queue()
    serve(engine(Broken), until=ended(call))
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (8, "switch_error")
