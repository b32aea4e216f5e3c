"""The WebSocket to Asterisk, and what comes down it."""

from __future__ import annotations

import asyncio
import json

import pytest

from django_poketalk.server.switch.gateways.asterisk import connection
from django_poketalk.server.switch.gateways.base import CallKey
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    HungUp,
    LegFact,
    Ringing,
    Side,
)

from .ari import Ari
from .desk import A, Desk, at, until


def test_what_is_no_event_changes_nothing(pbx: Ari, caplog: pytest.LogCaptureFixture) -> None:
    odd = ["", "{", "[]", "null", '"x"', "{}", '{"type": 5}', '{"type": "StasisStart"}']
    odd += ['{"type": "Dial", "peer": []}', '{"type": "ChannelDestroyed", "channel": {"id": {}}}']

    async def script(desk: Desk) -> None:
        await desk.listen()
        for text in odd:
            pbx.tell(desk.app, text)
        desk.ring(A)
        await desk.told(of=2)
        event = {"type": "ChannelDestroyed", "channel": {"id": f"{desk.app}.17.1.A1"}}
        pbx.tell(desk.app, json.dumps(event | {"cause": "16", "tech_cause": "x"}))
        await desk.told(of=3)

    assert at(pbx, script)[2] == HungUp(Side.A, 1, Cause.NORMAL, 0, 0)
    assert pbx.handshakes == 1
    assert "could not be taken" not in caplog.text


def test_an_error_in_the_switch_costs_one_event_and_no_other(
    pbx: Ari, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(desk: Desk) -> None:
        report = desk.gateway.report

        def fail_once(call: CallKey, fact: LegFact) -> None:
            if isinstance(fact, Ringing):
                raise RuntimeError("A mistake.")
            report(call, fact)

        desk.gateway.report = fail_once
        desk.ring(A)
        assert await desk.told(of=1) == [Answered(Side.A, 1, f"{desk.app}.17.1.A1")]

    at(pbx, script)

    assert (pbx.handshakes, pbx.channels) == (1, {})
    assert "an event could not be taken" in caplog.text


def test_a_websocket_outlives_the_time_that_a_request_may_take(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_WITHIN", 0.2)

    async def script(desk: Desk) -> None:
        await desk.listen()
        await asyncio.sleep(0.5)
        desk.ring(A)
        await desk.told(of=2)

    at(pbx, script)

    assert pbx.handshakes == 1


def test_an_asterisk_that_goes_silent_is_down(pbx: Ari, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers no ping: a network that has gone says nothing either."""
    monkeypatch.setattr(connection, "HEARTBEAT", 0.1)
    pbx.answers_pings = False

    async def script(desk: Desk) -> None:
        await desk.listen()
        await until(lambda: pbx.handshakes >= 2)

    at(pbx, script)
