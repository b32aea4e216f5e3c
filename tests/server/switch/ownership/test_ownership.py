"""Each call has one owner, and a switch that has lost one writes nothing and tells nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.db.models import F

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.models import Account, Call, Switch
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change
from django_poketalk.server.switch.calls.store import LostCall
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import CallKey, LegKey, Report
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.call import CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    Fact,
    Failed,
    Finish,
    HungUp,
    LegFact,
    Route,
)
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.ownership import claims, plan

from ..conftest import SPEED, Service, closing, ended, eventually, number, serve
from ..customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)

FREE_OF_CHARGE = Finish(CallStatus.A_FAILED, Cause.BUSY, 0, Decimal(0), Decimal(0))


class WatchedGateway(SimulatedGateway):
    """Simulated phones, with lists of what was asked of them and of what they did themselves."""

    dialed: list[LegKey]
    put_down: list[tuple[LegKey, Cause]]
    by_itself: list[LegKey]

    def __init__(self, clock: Clock, report: Report) -> None:
        def watch(call: CallKey, fact: LegFact) -> None:
            if isinstance(fact, Failed | HungUp):
                self.by_itself.append(LegKey(call, fact.side, fact.attempt))
            report(call, fact)

        super().__init__(clock, watch)

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        self.dialed.append(leg)
        super().originate(leg, number, caller, route)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self.put_down.append((leg, cause))
        super().hang_up(leg, cause)


@pytest.fixture
def watched() -> type[WatchedGateway]:
    return type("Watched", (WatchedGateway,), {"dialed": [], "put_down": [], "by_itself": []})


def engine(kind: type[SimulatedGateway] = SimulatedGateway, name: str = "test") -> Engine:
    return Engine(name, SPEED, {"simulated": kind})


def test_of_two_switches_one_serves_each_call(
    service: Service, watched: type[WatchedGateway]
) -> None:
    calls = [service.queue(b="01") for _ in range(30)]
    serve(engine(watched, "one"), engine(watched, "two"), until=ended())
    dialed = [(leg.call.pk, leg.side) for leg in watched.dialed]
    assert len(dialed) == len(set(dialed)) == 2 * len(calls)
    assert set(Call.objects.values_list("fence", flat=True)) == {1}


def test_a_write_under_an_old_fence_changes_nothing(service: Service) -> None:
    call = service.queue()
    [claimed] = claims.claim("one", 10, ["simulated"])
    Call.objects.update(fence=2)
    before = Call.objects.values().get()
    with pytest.raises(LostCall):
        store.save([Change(claimed.key, duration=99, requested_hold=Decimal(100), done=True)])
    assert Call.objects.values().get() == before
    assert claims.renew("one", [claimed.key]) == {CallKey(call.pk, 1)}


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


def test_a_call_that_is_lost_as_it_is_written_is_counted(service: Service) -> None:
    call, switch = service.queue(b="13"), engine()

    async def take_it_away() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        await asyncio.to_thread(
            closing, lambda: Call.objects.update(fence=F("fence") + 1, switch="other")
        )

    serve(switch, until=lambda: not switch.calls, during=take_it_away)
    assert switch.stats.lost == 1
    call.refresh_from_db()
    assert call.state == "active"


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
        monkeypatch.setattr(claims, "renew", cut_off)

    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(engine(watched), until=lambda: len(watched.put_down) == 2, during=cut)
    assert {cause for _leg, cause in watched.put_down} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.charged_at is None


def test_a_switch_that_wakes_up_past_its_lease_acts_on_nothing(
    service: Service, watched: type[WatchedGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("POLL", "POLL_LISTENING"):  # a claim would notice the lapsed lease
        monkeypatch.setattr(f"django_poketalk.server.switch.engine.{pause}", 3600.0)
    switch = engine(watched)

    async def oversleep() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        switch.lease.keep_until(time.monotonic() + 1000)  # its timer has not come yet
        switch.lease._until = time.monotonic()

    with Customer() as customer:
        call = service.queue(b="13", eventurl=customer.eventurl)
        serve(switch, until=lambda: watched.put_down, during=oversleep)
    assert {cause for _leg, cause in watched.put_down} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.status == 7


def test_a_lease_that_has_lapsed_is_not_renewed(service: Service) -> None:
    """It was dropped: what is written late, as when the database was frozen, is not paid for."""
    call, over = service.queue(), service.queue()
    keys = [claimed.key for claimed in claims.claim("one", 10, ["simulated"])]
    store.save([Change(CallKey(over.pk, 1), done=True, finish=FREE_OF_CHARGE)])
    claims.let_lapse(CallKey(call.pk, 1))
    before = list(Call.objects.order_by("pk").values())
    assert claims.renew("one", keys) == {CallKey(call.pk, 1)}
    assert list(Call.objects.order_by("pk").values()) == before


def test_a_lease_lasts_from_when_its_renewal_was_asked_for(
    service: Service, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 5}
    switch, renew = engine(), claims.renew
    until: list[float] = []
    answered: list[float] = []

    def renew_slowly(*args: Any) -> set[CallKey]:
        until.append(switch.lease._until)
        lost = renew(*args)
        time.sleep(0.3)
        answered.append(time.monotonic())
        return lost

    monkeypatch.setattr(claims, "renew", renew_slowly)
    service.queue()
    serve(switch, until=lambda: len(until) > 1)
    assert until[1] <= answered[0] - 0.3 + 5


def test_a_call_that_was_claimed_too_slowly_rings_nobody(
    service: Service,
    watched: type[WatchedGateway],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}
    claim = claims.claim

    def claim_slowly(*args: Any, **kwargs: Any) -> list[plan.ClaimedCall]:
        claimed = claim(*args, **kwargs)
        if claimed:
            time.sleep(1.1)  # as when the process, or the database, was frozen meanwhile
        return claimed

    monkeypatch.setattr(claims, "claim", claim_slowly)
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(engine(watched), until=ended(call))
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (2, "switch_lost")
    assert customer.statuses() == [1, 2]
    assert watched.dialed == []


def test_a_switch_whose_lease_has_lapsed_takes_no_calls_until_it_has_one_again(
    service: Service, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 4}
    monkeypatch.setattr("django_poketalk.server.switch.engine.RENEWALS", 2)
    switch = engine()

    async def lapse() -> None:
        await eventually(Switch.objects.exists)
        switch.lease.keep_until(time.monotonic())
        await asyncio.to_thread(closing, lambda: service.queue(b="01"))

    serve(switch, until=lambda: ended()() and Call.objects.exists(), during=lapse)
    assert Call.objects.values_list("fence", "status", "hangup_cause").get() == (1, 6, "busy")


def test_a_busy_database_is_asked_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_call_that_cannot_be_written_is_ended_with_its_final_event_and_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = service.queue(b="21", custom="bad")  # rings long: 3 is told first
    good = service.queue(b="10", custom="good")
    save = store.save

    def fail_for_one(changes: list[Change]) -> list[Decimal | None]:
        granted = save(changes)
        if any(change.key.pk == bad.pk and change.status == 7 for change in changes):
            raise ValueError("a mistake of ours")
        return granted

    monkeypatch.setattr(store, "save", transaction.atomic(fail_for_one))
    with Customer() as customer:
        Call.objects.update(eventurl=customer.eventurl)
        serve(engine(), until=ended(bad, good))
    assert customer.statuses("bad")[:2] == [1, 3]
    assert customer.statuses("bad")[-1] == 4
    assert not {7, 8} & set(customer.statuses("bad"))
    assert customer.statuses("good") == [1, 3, 5, 7, 8]


def test_an_error_outside_any_call_does_not_end_the_switch(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim, failures = claims.claim, iter(range(2))

    def fail_at_first(*args: Any, **kwargs: Any) -> Any:
        if next(failures, None) is not None:
            raise ValueError("a mistake of ours")
        return claim(*args, **kwargs)

    monkeypatch.setattr(claims, "claim", fail_at_first)
    call = service.queue(b="01")
    serve(engine(), until=ended(call))
    assert caplog.text.count("The switch continues.") == 2


def test_a_database_that_is_away_is_told_in_a_line_and_keeps_no_switch_from_its_end(
    service: Service,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}

    def away(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("nobody is there")

    for module, name in ((claims, "claim"), (heartbeat, "sign_off")):
        monkeypatch.setattr(module, name, away)
    switch = engine()
    serve(switch, until=lambda: "Database error in claim: nobody is there" in caplog.text)
    assert "could not sign off: nobody is there" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_a_gateway_that_breaks_counts_as_down(service: Service) -> None:
    class Broken(SimulatedGateway):
        def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
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


def test_each_leg_that_was_dialed_is_put_down_or_has_ended_by_itself(
    service: Service, watched: type[WatchedGateway]
) -> None:
    endings = ["01", "02", "03", "06", "10", "99"]
    for a, b in ((a, b) for a in endings for b in endings):
        service.queue(a, b, max_duration=50, from_number=number(a))
    serve(engine(watched), until=ended())
    asked = {leg for leg, _cause in watched.put_down}
    assert set(watched.dialed) == asked | set(watched.by_itself)
    assert not leftovers(watched.dialed)
    assert Account.objects.get().held == 0


def leftovers(dialed: Iterable[LegKey]) -> list[LegKey]:
    """Legs whose rows do not say that they are over."""
    over = {
        (leg["call"], leg["side"], leg["attempt"])
        for leg in Call.legs.rel.related_model.objects.filter(ended_at__isnull=False).values(
            "call", "side", "attempt"
        )
    }
    return [leg for leg in dialed if (leg.call.pk, leg.side, leg.attempt) not in over]
