"""Abandoned calls are ended, charged up to the last sign of life, and get a final event."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event
from django_poketalk.server.models import Account, Call, EventDelivery, Leg
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import CallKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Finish, Route
from django_poketalk.server.switch.ownership import claims
from django_poketalk.server.switch.recovery import recovery

from ..conftest import SPEED, Service, ended, number, serve
from ..customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)

URL = "http://127.0.0.1:9/?status=$status"


@pytest.fixture
def died_at() -> datetime:
    """The last sign of life of a switch that died a minute ago."""
    return timezone.now() - timedelta(minutes=1)


def abandon(call: Call, died_at: datetime, **fields: object) -> Call:
    """Leave a call in the state in which a killed switch leaves it."""
    lapsed = died_at + timedelta(seconds=15)
    Call.objects.filter(pk=call.pk).update(
        **{
            "state": "active",
            "switch": "dead",
            "fence": 1,
            "seen_at": died_at,
            "lease_until": lapsed,
            **fields,
        }
    )
    call.refresh_from_db()
    return call


def leg(
    service: Service, call: Call, side: str, answered_at: datetime | None, **fields: int
) -> Leg:
    tariff = service.rate.tariff
    return Leg.objects.create(
        call=call,
        side=side,
        gateway=service.gateway,
        number=number("99"),
        price_per_minute=tariff.price_per_minute,
        connect_fee=tariff.connect_fee,
        initial_increment=tariff.initial_increment,
        subsequent_increment=tariff.subsequent_increment,
        initiated_at=(answered_at or call.seen_at or call.created_at) - timedelta(seconds=5),
        answered_at=answered_at,
        **fields,
    )


@pytest.mark.parametrize(
    ("status", "sent"),
    [(None, [1, 2]), (1, [1, 2]), (3, [4]), (5, [4]), (7, [8])],
)
def test_the_final_event_follows_the_phase(
    service: Service, died_at: datetime, status: int | None, sent: list[int]
) -> None:
    with Customer() as customer:
        call = abandon(service.queue(eventurl=customer.eventurl), died_at, status=status)
        serve(Engine("next", SPEED), until=ended(call))
    call.refresh_from_db()
    assert customer.statuses() == sent
    assert (call.status, call.hangup_cause) == (sent[-1], "switch_lost")
    assert Account.objects.get().held == 0
    assert call.deliveries.count() == len(sent)


def test_billing_stops_at_the_last_sign_of_life(service: Service, died_at: datetime) -> None:
    call = abandon(service.queue(), died_at, status=7)
    leg(service, call, "A", died_at - timedelta(seconds=50.5), duration=40)
    leg(service, call, "B", died_at - timedelta(seconds=42.5), duration=32)
    recovery.recover("next", 10)
    call.refresh_from_db()
    legs = {each.side: each for each in call.legs.all()}
    assert (call.duration, legs["A"].duration, legs["B"].duration) == (50, 50, 42)
    assert call.cost == legs["A"].cost + legs["B"].cost == Decimal("0.92")
    assert call.ended_at == legs["A"].ended_at == died_at
    assert legs["B"].hangup_cause == "switch_lost"


def test_a_write_after_the_lease_is_not_a_sign_of_life(service: Service, died_at: datetime) -> None:
    """For example, a write that waited for a frozen database while its switch dropped the call."""
    call = abandon(service.queue(), died_at, status=7, lease_until=died_at - timedelta(seconds=20))
    for side in "AB":
        leg(service, call, side, died_at - timedelta(seconds=60))
    recovery.recover("next", 10)
    call.refresh_from_db()
    assert (call.duration, call.cost) == (40, Decimal("0.8"))


def test_a_write_after_the_lease_does_not_count_after_a_second_takeover(
    service: Service, died_at: datetime
) -> None:
    call = abandon(service.queue(), died_at, status=7, lease_until=died_at - timedelta(seconds=20))
    for side in "AB":
        leg(service, call, side, died_at - timedelta(seconds=60))
    assert claims.take_over("second", call) == CallKey(call.pk, 2)
    Call.objects.update(lease_until=died_at + timedelta(seconds=30))
    recovery.recover("third", 10)
    call.refresh_from_db()
    assert (call.fence, call.duration, call.cost) == (3, 40, Decimal("0.8"))


def test_writes_of_the_owner_before_the_takeover_are_kept(
    service: Service, died_at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, if both waited for a frozen database."""
    call, take_over = abandon(service.queue(eventurl=URL), died_at, status=7), claims.take_over

    def charged_before(switch: str, stale: Call) -> CallKey | None:
        charge(call)
        return take_over(switch, stale)

    monkeypatch.setattr(claims, "take_over", charged_before)
    [orphan] = recovery.recover("next", 10)
    assert orphan.events == (Event(CallStatus.AB_DISCONNECTED, "web1", 5, Decimal("0.08")),)
    call.refresh_from_db()
    assert (call.duration, call.cost, call.hangup_cause) == (5, Decimal("0.08"), "normal")


def test_failed_attempts_are_not_changed(service: Service, died_at: datetime) -> None:
    call = abandon(service.queue(), died_at, status=5)
    leg(service, call, "A", died_at - timedelta(seconds=10))
    failed = leg(service, call, "B", None, sip_status=503, q850=38)
    Leg.objects.filter(pk=failed.pk).update(ended_at=died_at, hangup_cause="gateway_down")
    before = Leg.objects.filter(pk=failed.pk).values().get()
    recovery.recover("next", 10)
    assert Leg.objects.filter(pk=failed.pk).values().get() == before


def test_no_more_than_the_hold_is_billed(service: Service, died_at: datetime) -> None:
    call = abandon(service.queue(hold=30), died_at, status=7)
    leg(service, call, "A", died_at - timedelta(seconds=500))
    leg(service, call, "B", died_at - timedelta(seconds=500))
    recovery.recover("next", 10)
    call.refresh_from_db()
    assert (call.duration, call.cost) == (30, Decimal("0.6"))


def test_no_less_is_billed_than_was_reported_before(service: Service, died_at: datetime) -> None:
    """For example, after the system's clock was set back."""
    call = abandon(service.queue(), died_at, status=7, duration=60, cost=Decimal("1.1"))
    leg(service, call, "A", died_at, duration=60)
    leg(service, call, "B", died_at, duration=50)
    recovery.recover("next", 10)
    call.refresh_from_db()
    assert (call.duration, call.cost) == (60, Decimal("1.1"))


def test_a_leg_b_that_never_answered_is_not_charged(service: Service, died_at: datetime) -> None:
    call = abandon(service.queue(), died_at, status=5)
    leg(service, call, "A", died_at - timedelta(seconds=10))
    leg(service, call, "B", None)
    recovery.recover("next", 10)
    call.refresh_from_db()
    assert call.cost == Decimal("0.1")
    assert list(call.entries.values_list("side", flat=True)) == ["A"]


def test_status_1_is_not_sent_again(service: Service, died_at: datetime) -> None:
    call = abandon(service.queue(eventurl=URL), died_at, status=1)
    EventDelivery.objects.create(
        call=call, sequence=1, status=1, duration=0, cost=0, sent_at=died_at, seconds=0, answer=200
    )
    [orphan] = recovery.recover("next", 10)
    assert [event.status for event in orphan.events] == [2]
    assert orphan.sequence == 2


def charged_call(service: Service, died_at: datetime) -> Call:
    """A call whose switch died after charging it, before its final event was stored."""
    call = abandon(service.queue(eventurl=URL), died_at, status=7)
    charge(call)
    call.refresh_from_db()
    assert call.state == "ending"
    return call


def charge(call: Call) -> None:
    """Charge the call as its switch does at the end."""
    finish = Finish(CallStatus.AB_DISCONNECTED, Cause.NORMAL, 5, Decimal("0.05"), Decimal("0.03"))
    change = Change(
        CallKey(call.pk, 1),
        status=finish.status,
        duration=5,
        cost=Decimal("0.08"),
        finish=finish,
        ended_at=call.seen_at,
    )
    store.save([change])


def test_a_charged_call_is_not_charged_again_and_its_final_event_is_sent(
    service: Service, died_at: datetime
) -> None:
    call = charged_call(service, died_at)
    [orphan] = recovery.recover("next", 10)
    assert orphan.events == (Event(CallStatus.AB_DISCONNECTED, "web1", 5, Decimal("0.08")),)
    assert call.entries.count() == 2
    assert Account.objects.get().balance == Decimal("999.92")
    call.refresh_from_db()
    assert call.hangup_cause == "normal"


def test_a_final_event_is_not_sent_again(service: Service, died_at: datetime) -> None:
    call = charged_call(service, died_at)
    EventDelivery.objects.create(
        call=call, sequence=4, status=8, duration=5, cost=0, sent_at=died_at, seconds=0, answer=200
    )
    assert recovery.recover("next", 10) == []
    call.refresh_from_db()
    assert call.state == "ended"


def test_only_calls_with_lapsed_leases_are_taken_over_and_only_once(
    service: Service, died_at: datetime
) -> None:
    alive = abandon(service.queue(eventurl=URL), died_at)
    Call.objects.update(lease_until=timezone.now() + timedelta(seconds=15))
    assert recovery.recover("next", 10) == []

    Call.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    stale = Call.objects.get(pk=alive.pk)
    assert len(recovery.recover("next", 10)) == 1
    assert claims.take_over("third", stale) is None
    assert recovery.recover("third", 10) == []


@pytest.mark.parametrize("error", [ValueError, OperationalError])
def test_an_error_in_one_recovery_does_not_affect_others(
    service: Service,
    died_at: datetime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    bad, good = (abandon(service.queue(eventurl=URL), died_at, status=1) for _ in range(2))
    save = store.save

    def fail_for_one(changes: list[Change]) -> list[Decimal | None]:
        if bad.pk in [change.key.pk for change in changes]:
            raise error("poison")
        return save(changes)

    monkeypatch.setattr(store, "save", fail_for_one)
    assert [orphan.key.pk for orphan in recovery.recover("next", 10)] == [good.pk]
    [logged] = [record for record in caplog.records if "could not be ended" in record.message]
    assert bool(logged.exc_info) is (error is ValueError)  # no traceback for database errors


def test_a_failed_hang_up_does_not_prevent_the_recovery_of_calls(
    service: Service, died_at: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SimulatedGateway):
        def end_dialog(self, dialog: str, route: Route) -> None:
            raise RuntimeError("broken")

    with Customer() as customer:
        calls = [
            abandon(service.queue(eventurl=customer.eventurl), died_at, status=7) for _ in range(3)
        ]
        for call in calls:
            up = leg(service, call, "A", died_at - timedelta(seconds=5))
            Leg.objects.filter(pk=up.pk).update(dialog="<dialog>")
        serve(Engine("next", SPEED, kinds={"simulated": Broken}), until=ended(*calls))
    assert customer.statuses() == [8, 8, 8]
    assert caplog.text.count("Hanging up a leg of call") == 3
