"""Two phones are connected, and hang up at any moment of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from django_poketalk.server.switch.gateways.asterisk import calls
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    HungUp,
    Side,
)

from .ari import Ari
from .desk import A, B, Desk, at, until


def kinds(facts: list[object]) -> list[type]:
    return [type(fact) for fact in facts]


def test_two_phones_are_connected_and_one_that_leaves_is_told(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        await desk.talk()
        [both] = pbx.joined
        assert both == set(pbx.channels)
        b = pbx.channels[f"{desk.app}.17.1.B1"]
        assert b.query["originator"] == f"{desk.app}.17.1.A1"
        pbx.put_down(b, 31)
        assert (await desk.told(of=5))[4] == HungUp(Side.B, 1, Cause.NORMAL, 0, 31)
        await until(lambda: not pbx.bridges)
        assert len(pbx.channels) == 1  # the other one is the switch's to put down
        desk.hang_up(A)

    at(pbx, script)

    assert pbx.channels == {}


def test_a_phone_that_leaves_as_it_is_connected_is_told_as_one_that_left(
    pbx: Ari, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer that it is not there comes before the event."""

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)
        desk.ring(B)
        await desk.told(of=4)
        a = pbx.channels[f"{desk.app}.17.1.A1"]
        pbx.tells = False
        pbx.put_down(a)
        pbx.tells = True
        desk.gateway.bridge(A, B)
        await until(lambda: pbx.asked("POST", f"bridges/{desk.app}.17.1.bridge/addChannel"))
        await asyncio.sleep(0.1)
        left = {"type": "ChannelDestroyed", "channel": a.as_json(), "cause": 16}
        pbx.tell(desk.app, json.dumps(left))
        assert (await desk.told(of=5))[4] == HungUp(Side.A, 1, Cause.NORMAL, 0, 16)
        desk.hang_up(B)  # as the switch does then
        await until(lambda: not pbx.bridges)

    at(pbx, script)

    assert "could not be connected" not in caplog.text


def test_a_bridge_that_comes_when_both_have_left_is_taken_away(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)
        desk.ring(B)
        await desk.told(of=4)
        pbx.late = 0.2
        desk.gateway.bridge(A, B)
        await until(lambda: pbx.asked("POST", "bridges"))
        desk.hang_up(A)
        desk.hang_up(B)

    at(pbx, script)

    assert pbx.bridges == {}


@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_phones_that_cannot_be_connected_do_not_wait_in_silence(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(calls, "LEAVE_WITHIN", 0.05)
    pbx.answers = {("POST", "bridges"): status}

    async def script(desk: Desk) -> None:
        desk.ring(A)
        await desk.told(of=2)
        desk.ring(B)
        await desk.told(of=4)
        desk.gateway.bridge(A, B)
        assert (await desk.told(of=5))[4] == HungUp(Side.B, 1, Cause.GATEWAY_DOWN)
        await until(lambda: len(pbx.channels) == 1)

    at(pbx, script)

    assert pbx.channels == {}


def test_a_phone_that_is_led_away_is_put_down(pbx: Ari, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LEAVE_WITHIN", 0.05)

    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.lead_away(pbx.channels[f"{desk.app}.17.1.B1"])
        await desk.told(of=5)

    assert kinds(at(pbx, script))[4] is HungUp
