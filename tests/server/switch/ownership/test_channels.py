"""Channels are reserved for both legs, over all switches, before anyone is rung. Accounts take
turns.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server.models import (
    Account,
    Call,
    Channel,
    Gateway,
    LedgerEntry,
    Leg,
    TestCall,
)
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.base import CallKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Route
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.gateway_states import GatewayAvailability, GatewayView
from django_poketalk.server.switch.ownership import catalog, channels, claims, plan

from ..breakable_gateway import BreakableGateway
from ..conftest import SPEED, Service, closing, ended, serve

pytestmark = pytest.mark.django_db(transaction=True)

SIMULATED = GatewayAvailability(["simulated"])


def limit(gateway: Gateway, channels: int) -> None:
    Gateway.objects.filter(pk=gateway.pk).update(max_channels=channels)


def route(gateway: Gateway) -> Route:
    return catalog.route(Gateway.objects.get(pk=gateway.pk))


def results() -> Counter[tuple[int | None, str]]:
    return Counter(Call.objects.values_list("status", "hangup_cause"))


def charges() -> int:
    return LedgerEntry.objects.filter(amount__lt=0).count()


def watched(most: list[int]) -> dict[str, type[SimulatedGateway]]:
    """A kind of gateway that records how many legs are on it at most."""
    live: set[Any] = set()

    class Watched(SimulatedGateway):
        def originate(self, leg: Any, *args: Any) -> None:
            live.add(leg)
            most.append(len(live))
            super().originate(leg, *args)

        def _stop(self, leg: Any) -> None:
            live.discard(leg)
            super()._stop(leg)

    return {"simulated": Watched}


def test_forty_calls_share_ten_channels_and_nobody_is_rung_in_vain(
    service: Service, settings: Any
) -> None:
    settings.POKETALK_SERVER = {**settings.POKETALK_SERVER, "QUEUE_TIMEOUT": 600}
    limit(service.gateway, 10)
    calls = [service.queue(b="06", max_duration=20, hold=20) for _ in range(40)]
    most: list[int] = []
    kinds = watched(most)

    serve(Engine("one", SPEED, kinds), Engine("two", SPEED, kinds), until=ended(*calls))

    assert results() == {(8, "normal"): 40}
    assert max(most) <= 10
    assert not Channel.objects.exists()


def test_a_gateway_with_one_channel_fails_at_once_and_nobody_is_rung(service: Service) -> None:
    limit(service.gateway, 1)
    call = service.queue()

    serve(Engine("test", SPEED), until=ended(call))

    assert results() == {(2, "no_channel"): 1}
    assert not Leg.objects.exists()
    assert charges() == 0


def test_two_gateways_with_one_channel_each_carry_a_call(service: Service) -> None:
    other = Gateway.objects.create(provider=service.provider, name="Other", kind="simulated")
    for gateway in (service.gateway, other):
        limit(gateway, 1)
    call = service.queue(b="06")

    serve(Engine("test", SPEED), until=ended(call))

    assert results() == {(8, "normal"): 1}
    assert dict(call.legs.values_list("side", "gateway")) == {
        "A": service.gateway.pk,
        "B": other.pk,
    }


def test_waiting_calls_fail_with_no_channel_after_the_queue_timeout(service: Service) -> None:
    limit(service.gateway, 2)
    first, second = service.queue(), service.queue()
    assert [each.key.pk for each in claims.claim("one", 10, SIMULATED).calls] == [first.pk]
    assert claims.claim("two", 10, SIMULATED) == claims.Claims([], some_wait=True)

    Call.objects.filter(pk=second.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    [failed] = claims.claim("two", 10, SIMULATED, overdue=True).calls

    assert failed.refused is Cause.NO_CHANNEL
    assert Channel.objects.filter(gateway=service.gateway).count() == 2


def test_a_test_call_uses_a_channel(service: Service) -> None:
    limit(service.gateway, 2)
    test_call = TestCall.objects.create(
        gateway=service.gateway, number="442079460199", state=TestCall.State.ACTIVE
    )
    service.queue()
    assert not claims.claim("one", 10, SIMULATED).calls

    test_call.delete()
    assert len(claims.claim("one", 10, SIMULATED).calls) == 1


def test_simultaneous_switches_never_reserve_more_channels_than_there_are(
    service: Service,
) -> None:
    limit(service.gateway, 7)  # three calls
    for _ in range(30):
        service.queue(hold=1)
    claimed: list[int] = []
    start = threading.Barrier(4)

    def switch(name: str) -> None:
        start.wait(20)
        for _ in range(10):
            claimed.extend(each.key.pk for each in claims.claim(name, 2, SIMULATED).calls)

    threads = [
        threading.Thread(target=closing, args=(lambda name=name: switch(name),))
        for name in ("one", "two", "three", "four")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(claimed) == len(set(claimed)) == 3
    assert Channel.objects.count() == 6


def test_failover_moves_the_reservation(service: Service) -> None:
    """Number 04's gateway is down, whichever it is, so both are tried for leg B."""
    other = Gateway.objects.create(provider=service.provider, name="Other", kind="simulated")
    limit(service.gateway, 2)
    limit(other, 2)
    call = service.queue(b="04")

    serve(Engine("test", SPEED), until=ended(call))

    tried = call.legs.filter(side="B").order_by("attempt").values_list("gateway", flat=True)
    assert list(tried) == [service.gateway.pk, other.pk]
    assert not Channel.objects.exists()


def test_a_move_takes_the_first_pair_that_is_free(service: Service) -> None:
    other = Gateway.objects.create(provider=service.provider, name="Other", kind="simulated")
    limit(service.gateway, 3)
    limit(other, 1)
    mine, _others = service.queue(), service.queue()
    [claimed] = claims.claim("one", 1, SIMULATED).calls
    here, there = route(service.gateway), route(other)

    moved = channels.move(claimed.key, [(there, there), (here, there), (here, here)])

    assert moved == (here, there)
    assert dict(mine.channels.values_list("side", "gateway")) == {
        "A": service.gateway.pk,
        "B": other.pk,
    }
    assert channels.move(CallKey(mine.pk, claimed.key.fence + 1), [(here, here)]) is None
    Call.objects.filter(pk=mine.pk).update(state="ending", held=0)
    assert channels.move(claimed.key, [(here, here)]) is None
    assert mine.channels.count() == 2


def test_the_channels_of_a_dead_switch_are_freed_when_its_calls_end(service: Service) -> None:
    limit(service.gateway, 2)
    lost, waiting = service.queue(), service.queue(b="06")
    [claimed] = claims.claim("dead", 1, SIMULATED).calls
    claims.let_lapse(claimed.key)

    serve(Engine("test", SPEED), until=ended(lost, waiting))

    assert results() == {(2, "switch_lost"): 1, (8, "normal"): 1}
    assert not Channel.objects.exists()


# Gateways that are down


def test_a_gateway_that_is_down_is_passed_over(service: Service) -> None:
    other = Gateway.objects.create(provider=service.provider, name="Other", kind="simulated")
    call = service.queue()

    [claimed] = claims.claim(
        "one", 1, GatewayAvailability(["simulated"], down=[service.gateway.pk])
    ).calls

    assert [each.gateway for each in claimed.plan.routes_a] == [other.pk]
    assert [each.gateway for each in claimed.plan.routes_b] == [other.pk]
    assert claimed.key.pk == call.pk


def test_without_a_gateway_for_leg_b_nobody_is_rung(service: Service) -> None:
    Gateway.objects.filter(pk=service.gateway.pk).update(prefixes="44207")
    Gateway.objects.create(provider=service.provider, name="US", kind="simulated", prefixes="1")
    call = service.queue()
    Call.objects.filter(pk=call.pk).update(to_number="12025550199")
    engine = Engine("test", SPEED, {"simulated": BreakableGateway})
    phones: Any = engine._gateways["simulated"]
    phones.problems[Gateway.objects.get(name="US").pk] = "out of service"
    engine._gateway_states.look(plan.active_gateways(["simulated"]), timezone.now())

    serve(engine, until=ended(call))

    assert results() == {(2, "no_gateway"): 1}
    assert not Leg.objects.exists()
    assert charges() == 0


def test_a_call_waits_for_a_switch_that_can_use_the_gateway(service: Service) -> None:
    call = service.queue()
    heartbeat.beat("two", 0, [GatewayView(service.gateway.pk, "", "", timezone.now())])
    up_elsewhere = {pk for pk, is_up in plan.up_elsewhere("one").items() if is_up}
    availability = GatewayAvailability(
        ["simulated"], down=[service.gateway.pk], up_elsewhere=up_elsewhere
    )

    assert claims.claim("one", 10, availability) == claims.Claims([], some_wait=True)

    heartbeat.sign_off("two")
    assert plan.up_elsewhere("one") == {}
    [failed] = claims.claim(
        "one", 1, GatewayAvailability(["simulated"], down=[service.gateway.pk])
    ).calls
    assert (failed.key.pk, failed.refused) == (call.pk, Cause.NO_GATEWAY)


# Turns


def test_accounts_take_turns(service: Service) -> None:
    small = Account.objects.create(
        name="Small",
        provider=service.provider,
        price_list=service.account.price_list,
        credit_limit=100,
    )
    for _ in range(30):
        service.queue(hold=1, turn=Call.objects.next_turn(service.account))
    claims.claim("one", 10, SIMULATED)
    for _ in range(2):
        turn = Call.objects.next_turn(small)
        Service(small, service.provider, service.gateway, service.rate).queue(hold=1, turn=turn)

    claimed = [each.account for each in claims.claim("one", 4, SIMULATED).calls]

    assert sorted(claimed) == sorted([service.account.pk, small.pk] * 2)


def test_an_empty_queue_begins_again_with_the_first_turn(service: Service) -> None:
    first = service.queue(turn=Call.objects.next_turn(service.account))
    second = service.queue(turn=Call.objects.next_turn(service.account))
    assert (first.turn, second.turn) == (0, 1)

    claims.claim("one", 10, SIMULATED)

    assert Call.objects.next_turn(service.account) == 0


def test_calls_that_wait_for_a_channel_do_not_keep_others_waiting(service: Service) -> None:
    Gateway.objects.create(provider=service.provider, name="US", kind="simulated", prefixes="1")
    limit(service.gateway, 2)
    for _ in range(60):
        service.queue(hold=1)
    other = service.queue(hold=1)
    Call.objects.filter(pk=other.pk).update(from_number="12025550199", to_number="12025550198")
    assert len(claims.claim("one", 50, SIMULATED).calls) == 1

    [claimed] = claims.claim("one", 50, SIMULATED, look=200).calls

    assert claimed.key.pk == other.pk
