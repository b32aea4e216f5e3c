"""The WebSocket to Asterisk and its messages."""

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
from tests.server.switch.processes import wait_for

from .fake_asterisk import FakeAsterisk
from .fake_switch import A, FakeSwitch, Pbx, run, until


@pytest.mark.fake("it sends what Asterisk never does")
def test_malformed_events_are_ignored(pbx: Pbx, caplog: pytest.LogCaptureFixture) -> None:
    odd = ["", "{", "[]", "null", '"x"', "{}", '{"type": 5}', '{"type": "StasisStart"}']
    odd += ['{"type": "Dial", "peer": []}', '{"type": "ChannelDestroyed", "channel": {"id": {}}}']

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        for text in odd:
            pbx.send(switch.app, text)
        switch.ring(A)
        await switch.wait_for_facts(2)
        event = {"type": "ChannelDestroyed", "channel": {"id": f"{switch.app}.17.1.A1"}}
        pbx.send(switch.app, json.dumps(event | {"cause": "16", "tech_cause": "x"}))
        await switch.wait_for_facts(3)

    assert run(pbx, script)[2] == HungUp(Side.A, 1, Cause.NORMAL, 0, 0)
    assert pbx.handshakes == 1
    assert "cannot handle an event" not in caplog.text


def test_an_error_in_the_switch_loses_only_one_event(
    pbx: Pbx, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(switch: FakeSwitch) -> None:
        report = switch.gateway.report

        def fail_once(call: CallKey, fact: LegFact) -> None:
            if isinstance(fact, Ringing):
                raise RuntimeError("A bug.")
            report(call, fact)

        switch.gateway.report = fail_once
        switch.ring(A)
        assert await switch.wait_for_facts(1) == [Answered(Side.A, 1)]

    run(pbx, script)

    wait_for(lambda: (pbx.handshakes, pbx.channels) == (1, {}))
    assert "cannot handle an event" in caplog.text


def test_the_timeout_of_requests_does_not_apply_to_the_websocket(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RESPONSE_TIMEOUT", 0.2)

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        await asyncio.sleep(0.5)
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script)

    assert pbx.handshakes == 1


@pytest.mark.fake("the real one answers")
def test_an_asterisk_that_does_not_answer_pings_is_down(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost network does not answer pings either."""
    monkeypatch.setattr(connection, "HEARTBEAT", 0.1)
    pbx.answers_pings = False

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        await until(lambda: pbx.handshakes >= 2)

    run(pbx, script)


def test_an_application_that_asterisk_does_not_have_is_opened_again(
    pbx: Pbx, caplog: pytest.LogCaptureFixture
) -> None:
    """A WebSocket that was opened while its predecessor was cut may receive nothing."""
    pbx.statuses = {("GET", "applications"): 404}

    async def script(switch: FakeSwitch) -> None:
        switch.gateway.watch([switch.route])
        await until(lambda: pbx.handshakes >= 3)
        assert not switch.asterisk.connection.is_up
        pbx.statuses = {}
        await switch.listen()
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script)

    assert "is down: HTTP 404 for our application" in caplog.text


@pytest.mark.fake("the real one removes an application in few of many tries")
def test_an_application_that_is_removed_later_is_opened_again(
    pbx: FakeAsterisk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "CHECK_EVERY", 0.05)

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        pbx.removed.add(switch.app)
        await until(lambda: pbx.handshakes == 2)
        await switch.listen()
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script)

    assert "Asterisk has removed our application" in caplog.text


def test_asterisk_has_the_application_after_each_of_many_reconnections(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pause, the real one removes it now and then."""
    monkeypatch.setattr(connection, "MIN_PAUSE", 0)
    monkeypatch.setattr(connection, "CHECK_EVERY", 0.1)

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        for _ in range(60):
            before = pbx.handshakes
            pbx.drop_websockets()
            await until(lambda before=before: pbx.handshakes > before)
            await asyncio.sleep(0.02)  # in which it is removed, if at all
            await until(lambda: pbx.has_application(switch.app))
            await switch.listen()
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script)
