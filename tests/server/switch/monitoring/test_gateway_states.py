"""Switches share what they know about their gateways."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.server import health
from django_poketalk.server.models import Gateway, GatewayState, Switch
from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway
from django_poketalk.server.switch.machine.facts_and_commands import Route, Side
from django_poketalk.server.switch.machine.hunt import Attempt
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.gateway_states import (
    GatewayStates,
    GatewayView,
    LastHour,
    NamedRoute,
)

from ..breakable_gateway import BreakableGateway
from ..conftest import SPEED, Service, ended, eventually, serve, serving
from .test_http import fetch, free_port, http

ROUTE = Route(7, "simulated", 30)
NAMED = [NamedRoute(ROUTE, "Phones", "Carrier")]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def view(gateway: Gateway, problem: str = "", **facts: Any) -> GatewayView:
    return GatewayView(gateway.pk, gateway.name, "Carrier", NOON, problem, **facts)


def attempt(ringing: float | None, answered: float | None) -> Attempt:
    return Attempt(Side.A, 1, ROUTE, initiated=1.0, ringing=ringing, answered=answered)


def test_since_is_when_a_gateway_went_down_whatever_the_reasons_were_later() -> None:
    phones = BreakableGateway(Clock(), lambda call, fact: None)
    states = GatewayStates({"simulated": phones})
    minutes = [NOON + timedelta(minutes=n) for n in range(4)]

    assert states.look(NAMED, minutes[0])
    assert not states.look(NAMED, minutes[1])
    phones.problems[7] = "no response"
    assert states.look(NAMED, minutes[2])
    phones.problems[7] = "SIP 503"
    assert states.look(NAMED, minutes[3])

    [found] = states.views(Counter({7: 2}), now=0)
    assert (found.is_up, found.problem, found.since) == (False, "SIP 503", minutes[2])
    assert found.channels == 2


def test_the_last_hour_forgets_older_legs() -> None:
    figures = LastHour()
    figures.add(attempt(ringing=3.0, answered=5.0), now=0)
    figures.add(attempt(ringing=2.0, answered=None), now=1800)
    figures.add(attempt(ringing=None, answered=None), now=1801)

    early, late = figures.sum(3600), figures.sum(3900)

    assert (early.legs, early.answered, early.rang, early.seconds_to_ring) == (3, 1, 2, 3.0)
    assert (late.legs, late.answered, late.rang, late.seconds_to_ring) == (2, 0, 1, 1.0)


@pytest.mark.django_db
def test_a_view_expires_with_the_heartbeat_of_its_switch(service: Service) -> None:
    heartbeat.beat("office", 0, [view(service.gateway, "no response")])
    heartbeat.beat("attic", 0, [view(service.gateway)])

    def seen() -> health.Health:
        return health.current_health(timezone.now())

    [both] = seen().gateways
    assert both.is_up is True
    assert [state.switch.name for state in both.down] == ["office"]

    Switch.objects.filter(name="attic").update(seen_at=timezone.now() - timedelta(minutes=1))
    [one] = seen().gateways
    assert (one.is_up, one.since) == (False, NOON)
    assert seen().problems == ["no_gateway"]

    heartbeat.sign_off("office")
    [none] = seen().gateways
    assert none.is_up is None
    assert seen().problems == ["no_switch"]


@pytest.mark.django_db
def test_a_later_heartbeat_replaces_the_states(service: Service) -> None:
    other = Gateway.objects.create(provider=service.provider, name="Other", kind="simulated")
    heartbeat.beat("office", 0, [view(service.gateway, "no response"), view(other)])

    heartbeat.beat("office", 0, [view(service.gateway, channels=3)])

    state = GatewayState.objects.get()
    assert (state.gateway, state.is_up, state.problem) == (service.gateway, True, "")
    assert state.channels == 3


@pytest.mark.django_db(transaction=True)
def test_a_switch_stores_and_publishes_the_state_of_a_gateway_by_its_name(
    service: Service,
) -> None:
    service.queue(b="01")
    engine = Engine("test", SPEED, {"simulated": BreakableGateway})
    port, metrics = free_port(), ""

    def is_stored(**facts: Any) -> Callable[[], bool]:
        return GatewayState.objects.filter(gateway=service.gateway, **facts).exists

    async def go_down() -> None:
        nonlocal metrics
        await eventually(ended())
        await eventually(is_stored(is_up=True))
        phones: Any = engine._gateways["simulated"]
        phones.problems[service.gateway.pk] = "out of service"
        await eventually(is_stored(is_up=False, problem="out of service", legs=2, answered=1))
        _status, metrics = await fetch(port, "/metrics")

    async def run() -> None:
        async with http.serve_monitoring(engine.snapshot, f"127.0.0.1:{port}"):
            await serving(engine, until=lambda: True, during=go_down)

    asyncio.run(run())

    labels = '{gateway="Phones",provider="Carrier"}'
    assert f"poketalk_switch_gateway_up{labels} 0.0\n" in metrics
    assert f"poketalk_switch_gateway_legs{labels} 2.0\n" in metrics
    assert f"poketalk_switch_gateway_answered{labels} 1.0\n" in metrics
    assert not GatewayState.objects.exists()  # the switch has signed off


@pytest.mark.django_db(transaction=True)
def test_the_channels_of_live_calls_are_counted(service: Service) -> None:
    service.queue()
    serve(Engine("test", SPEED), until=GatewayState.objects.filter(channels=2).exists)


@pytest.mark.parametrize(
    ("own", "elsewhere", "is_up"),
    [
        (None, {}, True),
        (None, {7: False}, False),
        (None, {7: True}, True),
        ("", {7: False}, True),
        ("no response", {7: True}, False),
    ],
)
def test_a_switch_believes_the_others_about_a_gateway_that_it_does_not_know(
    own: str | None, elsewhere: dict[int, bool], is_up: bool
) -> None:
    class Phones(SimulatedGateway):
        def problem(self, route: Route) -> str | None:
            return own

    states = GatewayStates({"simulated": Phones(Clock(), lambda call, fact: None)})
    states.look(NAMED, NOON, elsewhere)

    assert states.availability().is_up(ROUTE) is is_up
    assert states.availability().is_up_somewhere(ROUTE) is (is_up or elsewhere.get(7, False))
