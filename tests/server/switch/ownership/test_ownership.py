"""Each call has one owner. A switch that loses a call writes nothing and sends no events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.server.models import Account, Call, Switch
from django_poketalk.server.switch.calls import store
from django_poketalk.server.switch.calls.changes import Change
from django_poketalk.server.switch.calls.store import LostCall
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    Finish,
    HungUp,
    Side,
)
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability
from django_poketalk.server.switch.ownership import claims

from ..conftest import Service, closing, ended, engine, eventually, number, serve
from ..customer import Customer
from ..watched_gateway import WatchedGateway

pytestmark = pytest.mark.django_db(transaction=True)

FREE_OF_CHARGE = Finish(CallStatus.A_FAILED, Cause.BUSY, 0, Decimal(0), Decimal(0))


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
    [claimed] = claims.claim("one", 10, GatewayAvailability(["simulated"])).calls
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
    call, switch = service.queue(), engine()

    async def take_over() -> None:
        await eventually(lambda: Call.objects.filter(status=7).exists())
        await asyncio.to_thread(
            closing, lambda: Call.objects.update(fence=F("fence") + 1, switch="other")
        )
        switch._handle(CallKey(call.pk, 1), HungUp(Side.B, 1))

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
        switch._handle(CallKey(call.pk, 1), HungUp(Side.B, 1))

    with Customer() as customer:
        call = service.queue(eventurl=customer.eventurl)
        serve(switch, until=lambda: watched.hung_up, during=wake_up_late)
    assert {cause for _leg, cause in watched.hung_up} == {Cause.SWITCH_LOST}
    assert 8 not in customer.statuses()
    call.refresh_from_db()
    assert call.status == 7


def test_a_lapsed_lease_is_not_renewed(service: Service) -> None:
    """The call was dropped, and late writes, as by a frozen database, must not be charged."""
    call, ended_call = service.queue(), service.queue()
    keys = [
        claimed.key for claimed in claims.claim("one", 10, GatewayAvailability(["simulated"])).calls
    ]
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
