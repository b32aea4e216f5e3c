"""Bridging two phones, which may hang up at any moment."""

from __future__ import annotations

import asyncio
import json

import pytest

from django_poketalk.server.switch.gateways.asterisk import stasis
from django_poketalk.server.switch.machine.facts_and_commands import Cause, HungUp, Side
from tests.server.switch.processes import wait_for

from .fake_switch import A, B, FakeSwitch, Pbx, run, until


def kinds(facts: list[object]) -> list[type]:
    return [type(fact) for fact in facts]


def test_two_legs_are_bridged_and_a_hang_up_is_reported(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        [both] = pbx.bridged
        assert both == set(pbx.channels)
        b = pbx.channels[f"{switch.app}.17.1.B1"]
        assert b.query["originator"] == f"{switch.app}.17.1.A1"
        pbx.hang_up(b)
        assert (await switch.wait_for_facts(5))[4] == HungUp(Side.B, 1, Cause.NORMAL, 0, 16)
        await until(lambda: not pbx.bridges)
        await until(lambda: len(pbx.channels) == 1)  # the switch must hang up the other one
        switch.hang_up(A)

    run(pbx, script)

    wait_for(lambda: not pbx.channels)


@pytest.mark.fake("it delays an event")
def test_a_phone_that_hangs_up_while_being_bridged_is_reported_as_hung_up(
    pbx: Pbx, caplog: pytest.LogCaptureFixture
) -> None:
    """The response 404 arrives before the event."""

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.ring(B)
        await switch.wait_for_facts(4)
        a = pbx.channels[f"{switch.app}.17.1.A1"]
        pbx.sends_events = False
        pbx.hang_up(a)
        pbx.sends_events = True
        switch.gateway.bridge(A, B)
        await until(lambda: pbx.requests_to("POST", f"bridges/{switch.app}.17.1.bridge/addChannel"))
        await asyncio.sleep(0.1)
        left = {"type": "ChannelDestroyed", "channel": a.as_json(), "cause": 16}
        pbx.send(switch.app, json.dumps(left))
        assert (await switch.wait_for_facts(5))[4] == HungUp(Side.A, 1, Cause.NORMAL, 0, 16)
        switch.hang_up(B)  # as the switch does after this
        await until(lambda: not pbx.bridges)

    run(pbx, script)

    assert "could not be bridged" not in caplog.text


def test_a_bridge_made_after_both_legs_have_ended_is_destroyed(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.ring(B)
        await switch.wait_for_facts(4)
        pbx.delay = 0.2
        switch.gateway.bridge(A, B)
        await until(lambda: pbx.requests_to("POST", "bridges"))
        switch.hang_up(A)
        switch.hang_up(B)

    run(pbx, script)

    wait_for(lambda: not pbx.bridges)


@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_leg_b_is_hung_up_when_bridging_fails(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(stasis, "DESTROYED_WITHIN", 0.05)
    pbx.statuses = {("POST", "bridges"): status}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.ring(B)
        await switch.wait_for_facts(4)
        switch.gateway.bridge(A, B)
        assert (await switch.wait_for_facts(5))[4] == HungUp(Side.B, 1, Cause.GATEWAY_DOWN)
        await until(lambda: len(pbx.channels) == 1)

    run(pbx, script)

    wait_for(lambda: not pbx.channels)
