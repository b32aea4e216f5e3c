"""Each call has one owner. A switch that loses a call writes nothing and sends no events."""

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
from django_poketalk.server.switch.monitoring.gateway_states import Outlook
from django_poketalk.server.switch.ownership import claims

from ..conftest import SPEED, Service, closing, ended, eventually, number, serve
from ..customer import Customer

pytestmark = pytest.mark.django_db(transaction=True)

FREE_OF_CHARGE = Finish(CallStatus.A_FAILED, Cause.BUSY, 0, Decimal(0), Decimal(0))


class WatchedGateway(SimulatedGateway):
    """Simulated phones that record dialed legs, hang-ups of the switch, and ends by the phones."""

    dialed: list[LegKey]
    hung_up: list[tuple[LegKey, Cause]]
    ended_by_phone: list[LegKey]

    def __init__(self, clock: Clock, report: Report) -> None:
        def watch(call: CallKey, fact: LegFact) -> None:
            if isinstance(fact, Failed | HungUp):
                self.ended_by_phone.append(LegKey(call, fact.side, fact.attempt))
            report(call, fact)

        super().__init__(clock, watch)

    def originate(self, leg: LegKey, number: str, caller: str, route: Route) -> None:
        self.dialed.append(leg)
        super().originate(leg, number, caller, route)

    def hang_up(self, leg: LegKey, cause: Cause) -> None:
        self.hung_up.append((leg, cause))
        super().hang_up(leg, cause)


@pytest.fixture
def watched() -> type[WatchedGateway]:
    return type("Watched", (WatchedGateway,), {"dialed": [], "hung_up": [], "ended_by_phone": []})


def engine(kind: type[SimulatedGateway] = SimulatedGateway, name: str = "test") -> Engine:
    return Engine(name, SPEED, {"simulated": kind})


def test_each_call_is_served_by_only_one_of_two_switches(
    service: Service, watched: type[WatchedGateway]
) -> None:
    calls = [service.queue(b="01") for _ in range(30)]
    serve(engine(watched, "one"), engine(watched, "two"), until=ended())
    dialed = [(leg.call.pk, leg.side) for leg in watched.dialed]
    assert len(dialed) == len(set(dialed)) == 2 * len(calls)
    assert set(Call.objects.values_list("fence", flat=True)) == {1}


def test_a_write_under_an_old_fence_changes_nothing(service: Service) -> None:
    call = service.queue()
    [claimed] = claims.claim("one", 10, Outlook(["simulated"])).calls
    Call.objects.update(fence=2)
    before = Call.objects.values().get()
    with pytest.raises(LostCall):
        store.save([Change(claimed.key, duration=99, requested_hold=Decimal(100), done=True)])
    assert Call.objects.values().get() == before
    assert claims.renew("one", [claimed.key]) == {CallKey(call.pk, 1)}


def test_a_switch_that_loses_a_call_hangs_up_its_legs_and_sends_no_event(
    service: Service, watched: type[WatchedGateway]
) -> None:
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)

        async def take_over() -> None:
            await eventually(lambda: Call.objects.filter(status=7).exists())
            await asyncio.to_thread(
                closing, lambda: Call.objects.update(fence=F("fence") + 1, switch="other")
            )

        serve(engine(watched), until=lambda: len(watched.hung_up) == 2, during=take_over)
    call.refresh_from_db()
    assert {cause for _leg, cause in watched.hung_up} == {Cause.SWITCH_LOST}
    assert (call.state, call.status, call.switch) == ("active", 7, "other")
    assert not any(status in (2, 4, 6, 8) for status in customer.statuses())
    assert call.held > 0


def test_a_call_that_is_lost_during_a_write_is_counted(service: Service) -> None:
    call, switch = service.queue(b="13"), engine()

    async def take_over() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        await asyncio.to_thread(
            closing, lambda: Call.objects.update(fence=F("fence") + 1, switch="other")
        )

    serve(switch, until=lambda: not switch.calls, during=take_over)
    assert switch.stats.lost == 1
    call.refresh_from_db()
    assert call.state == "active"


def test_a_switch_that_cannot_renew_its_lease_drops_its_calls_when_it_lapses(
    service: Service,
    watched: type[WatchedGateway],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}

    def disconnected(*args: object) -> None:
        raise OperationalError("the network is gone")

    async def cut() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        monkeypatch.setattr(claims, "renew", disconnected)

    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(engine(watched), until=lambda: len(watched.hung_up) == 2, during=cut)
    assert {cause for _leg, cause in watched.hung_up} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.charged_at is None


def test_a_switch_that_wakes_up_after_its_lease_has_lapsed_only_hangs_up(
    service: Service, watched: type[WatchedGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in ("POLL", "POLL_LISTENING"):  # a claim would notice the lapsed lease
        monkeypatch.setattr(f"django_poketalk.server.switch.engine.{pause}", 3600.0)
    switch = engine(watched)

    async def wake_up_late() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        switch.lease.keep_until(time.monotonic() + 1000)  # its timer has not run yet
        switch.lease._until = time.monotonic()

    with Customer() as customer:
        call = service.queue(b="13", eventurl=customer.eventurl)
        serve(switch, until=lambda: watched.hung_up, during=wake_up_late)
    assert {cause for _leg, cause in watched.hung_up} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.status == 7


def test_a_lapsed_lease_is_not_renewed(service: Service) -> None:
    """The call was dropped, and late writes, as by a frozen database, must not be charged."""
    call, ended_call = service.queue(), service.queue()
    keys = [claimed.key for claimed in claims.claim("one", 10, Outlook(["simulated"])).calls]
    store.save([Change(CallKey(ended_call.pk, 1), done=True, finish=FREE_OF_CHARGE)])
    claims.let_lapse(CallKey(call.pk, 1))
    before = list(Call.objects.order_by("pk").values())
    assert claims.renew("one", keys) == {CallKey(call.pk, 1)}
    assert list(Call.objects.order_by("pk").values()) == before


def test_a_lease_starts_when_its_renewal_was_sent(
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


def test_a_call_whose_claim_outlasts_the_lease_rings_nobody(
    service: Service,
    watched: type[WatchedGateway],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "LEASE": 1}
    claim = claims.claim

    def claim_slowly(*args: Any, **kwargs: Any) -> claims.Claims:
        claimed = claim(*args, **kwargs)
        if claimed.calls:
            time.sleep(1.1)  # for example, if the process or the database was frozen
        return claimed

    monkeypatch.setattr(claims, "claim", claim_slowly)
    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(engine(watched), until=ended(call))
    call.refresh_from_db()
    assert (call.status, call.hangup_cause) == (2, "switch_lost")
    assert customer.statuses() == [1, 2]
    assert watched.dialed == []


def test_a_switch_without_a_lease_claims_no_calls(
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
    bad = service.queue(b="21", custom="bad")  # rings long, so that 3 is sent first
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


def test_each_dialed_leg_is_hung_up_or_ends_by_itself(
    service: Service, watched: type[WatchedGateway]
) -> None:
    endings = ["01", "02", "03", "06", "10", "99"]
    for a, b in ((a, b) for a in endings for b in endings):
        service.queue(a, b, max_duration=50, from_number=number(a))
    serve(engine(watched), until=ended())
    hung_up = {leg for leg, _cause in watched.hung_up}
    assert set(watched.dialed) == hung_up | set(watched.ended_by_phone)
    assert not leftovers(watched.dialed)
    assert Account.objects.get().held == 0


def leftovers(dialed: Iterable[LegKey]) -> list[LegKey]:
    """The legs whose rows have no end."""
    ended_legs = {
        (leg["call"], leg["side"], leg["attempt"])
        for leg in Call.legs.rel.related_model.objects.filter(ended_at__isnull=False).values(
            "call", "side", "attempt"
        )
    }
    return [leg for leg in dialed if (leg.call.pk, leg.side, leg.attempt) not in ended_legs]
