"""Each call has one owner, and a switch that has lost one writes nothing and tells nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F

from django_poketalk.server.models import Account, Call
from django_poketalk.server.switch import store
from django_poketalk.server.switch.call import CallMachine
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.messages import Cause, Fact, Route
from django_poketalk.server.switch.store import Change, LostCall

from .conftest import SPEED, Service, closing, ended, eventually, number, serve
from .customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)


class WatchedGateway(SimulatedGateway):
    """Simulated phones, and a list of what was asked of them."""

    dialled: list[LegKey]
    put_down: list[tuple[LegKey, Cause]]

    def originate(self, leg: LegKey, number: str, route: Route) -> None:
        self.dialled.append(leg)
        super().originate(leg, number, route)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self.put_down.append((leg, cause))
        super().hang_up(leg, cause)


@pytest.fixture
def watched() -> type[WatchedGateway]:
    return type("Watched", (WatchedGateway,), {"dialled": [], "put_down": []})


def engine(kind: type[SimulatedGateway] = SimulatedGateway, name: str = "test") -> Engine:
    return Engine(name, SPEED, {"simulated": kind})


def test_of_two_switches_one_serves_each_call(
    service: Service, watched: type[WatchedGateway]
) -> None:
    calls = [service.queue(b="01") for _ in range(30)]
    serve(engine(watched, "one"), engine(watched, "two"), until=ended())
    dialled = [(leg.call.pk, leg.side) for leg in watched.dialled]
    assert len(dialled) == len(set(dialled)) == 2 * len(calls)
    assert set(Call.objects.values_list("fence", flat=True)) == {1}


def test_a_write_under_an_old_fence_changes_nothing(service: Service) -> None:
    call = service.queue()
    [claimed] = store.claim("one", 10, ["simulated"])
    Call.objects.update(fence=2)
    before = Call.objects.values().get()
    with pytest.raises(LostCall):
        store.save(Change(claimed.key, duration=99, wanted_hold=Decimal(100), done=True))
    assert Call.objects.values().get() == before
    assert store.renew("one", [claimed.key]) == {CallKey(call.pk, 1)}


def test_a_switch_that_lost_a_call_puts_its_legs_down_and_tells_nobody(
    service: Service, watched: type[WatchedGateway]
) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)

        async def take_it_away() -> None:
            await eventually(lambda: Call.objects.filter(status=7).exists())
            await asyncio.to_thread(
                closing, lambda: Call.objects.update(fence=F("fence") + 1, switch="other")
            )

        serve(engine(watched), until=lambda: len(watched.put_down) == 2, during=take_it_away)
    call.refresh_from_db()
    assert {cause for _leg, cause in watched.put_down} == {Cause.SWITCH_LOST}
    assert (call.state, call.status, call.switch) == ("active", 7, "other")
    assert not any(status in (2, 4, 6, 8) for status in customer.statuses())
    assert call.held > 0


def test_a_switch_that_cannot_renew_drops_its_calls_when_the_lease_is_over(
    service: Service,
    watched: type[WatchedGateway],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}

    def cut_off(*args: object) -> None:
        raise OperationalError("the network is gone")

    async def cut() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        monkeypatch.setattr(store, "renew", cut_off)

    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(engine(watched), until=lambda: len(watched.put_down) == 2, during=cut)
    assert {cause for _leg, cause in watched.put_down} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.settled_at is None


def test_a_switch_that_wakes_up_past_its_lease_acts_on_nothing(
    service: Service, watched: type[WatchedGateway]
) -> None:
    switch = engine(watched)

    async def oversleep() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        switch._keep_until(time.monotonic() + 1000)  # its timer has not come yet
        switch._owned_until = time.monotonic()

    with Customer() as customer:
        call = service.queue(b="13", eventurl=customer.eventurl)
        serve(switch, until=lambda: watched.put_down, during=oversleep)
    assert {cause for _leg, cause in watched.put_down} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.status == 7


def test_a_busy_database_is_asked_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    save, refusals = store.save, iter(range(5))

    def locked_at_first(change: Change) -> Decimal | None:
        if next(refusals, None) is not None:
            raise OperationalError("database is locked")
        return save(change)

    monkeypatch.setattr(store, "save", locked_at_first)
    with Customer() as customer:
        call = service.queue(b="01", eventurl=customer.eventurl)
        serve(engine(), until=ended(call))
    assert customer.statuses() == [1, 3, 5, 6]


def test_an_error_in_one_call_ends_that_call_with_its_final_event_and_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch, watched: type[WatchedGateway]
) -> None:
    handle = CallMachine.handle

    def fail_for_one(machine: CallMachine, fact: Fact, now: float) -> Any:
        if machine.plan.webcallid == "bad":
            raise ZeroDivisionError("a mistake of ours")
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
    assert [leg.call.pk for leg, cause in watched.put_down if cause is Cause.SWITCH_LOST] == [
        bad.pk
    ]


def test_a_call_that_cannot_be_written_is_ended_with_its_final_event(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = store.save

    def fail_once(change: Change) -> Decimal | None:
        if change.status == 7:
            raise ValueError("a mistake of ours")
        return save(change)

    monkeypatch.setattr(store, "save", fail_once)
    with Customer() as customer:
        call = service.queue(b="21", eventurl=customer.eventurl)  # rings long: 3 is told first
        serve(engine(), until=ended(call))
    assert customer.statuses()[:2] == [1, 3]
    assert customer.statuses()[-1] == 4
    assert not {7, 8} & set(customer.statuses())


def test_an_error_outside_any_call_does_not_end_the_switch(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim, failures = store.claim, iter(range(2))

    def fail_at_first(*args: Any) -> Any:
        if next(failures, None) is not None:
            raise ValueError("a mistake of ours")
        return claim(*args)

    monkeypatch.setattr(store, "claim", fail_at_first)
    call = service.queue(b="01")
    serve(engine(), until=ended(call))
    assert caplog.text.count("The switch goes on after an error.") == 2


def test_a_gateway_that_breaks_counts_as_down(service: Service) -> None:
    class Broken(SimulatedGateway):
        def originate(self, leg: LegKey, number: str, route: Route) -> None:
            raise RuntimeError("broken")

    call = service.queue()
    serve(engine(Broken), until=ended(call))
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (2, "gateway_down")


def test_legs_that_cannot_be_connected_or_put_down_end_the_call_all_the_same(
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


def test_each_leg_that_was_dialled_is_put_down_or_has_ended_by_itself(
    service: Service, watched: type[WatchedGateway]
) -> None:
    endings = ["01", "02", "03", "06", "10", "99"]
    for a, b in ((a, b) for a in endings for b in endings):
        service.queue(a, b, max_duration=50, from_number=number(a))
    serve(engine(watched), until=ended())
    assert not leftovers(watched.dialled)
    assert Account.objects.get().held == 0


def leftovers(dialled: Iterable[LegKey]) -> list[LegKey]:
    """Legs whose rows do not say that they are over."""
    over = {
        (leg["call"], leg["side"], leg["attempt"])
        for leg in Call.legs.rel.related_model.objects.filter(ended_at__isnull=False).values(
            "call", "side", "attempt"
        )
    }
    return [leg for leg in dialled if (leg.call.pk, leg.side, leg.attempt) not in over]
