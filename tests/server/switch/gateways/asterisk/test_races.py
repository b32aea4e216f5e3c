"""Responses, events, and hang-ups by the switch in any order."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from django_poketalk.server.switch.gateways.asterisk import connection, hang_ups
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    Ringing,
    Side,
)
from tests.server.switch.processes import wait_for

from .channels import Phone
from .fake_switch import A, FakeSwitch, Pbx, run, until

SLOW = 1.5  # seconds until a response; events arrive earlier, even on a busy machine
RINGS, ANSWERS = Ringing(Side.A, 1), Answered(Side.A, 1)


def kinds(facts: list[object]) -> list[type]:
    return [type(fact) for fact in facts]


def failed(cause: Cause = Cause.GATEWAY_DOWN, *, transport: bool, q850: int = 0) -> Failed:
    return Failed(Side.A, 1, cause, transport, 0, q850)


def test_a_channel_with_our_id_is_originated_answered_and_hung_up(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        facts = await switch.wait_for_facts(2)
        [channel] = pbx.channels
        assert facts == [RINGS, ANSWERS]
        assert channel == f"{switch.app}.17.1.A1"
        switch.hang_up(A)
        await until(lambda: not pbx.channels)

    assert kinds(run(pbx, script)) == [Ringing, Answered]  # our own hang-up is not reported


@pytest.mark.parametrize(
    ("cause", "reason"),
    [(Cause.NORMAL, 16), (Cause.NO_ANSWER, 19), (Cause.VETOED, 16), (Cause.GATEWAY_DOWN, 34)],
)
def test_a_hang_up_gives_asterisk_the_reason(pbx: Pbx, cause: Cause, reason: int) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.hang_up(A, cause)

    run(pbx, script)

    wait_for(lambda: list(pbx.hangup_causes.values()) == [reason])


def test_asterisks_own_timeout_means_no_answer(
    pbx: Pbx,
) -> None:
    pbx.phones = {"02": Phone(rings=False, answers=None)}

    async def script(switch: FakeSwitch) -> None:
        switch.route = replace(switch.route, ring_timeout=1)
        switch.ring(A, "02")
        await switch.wait_for_facts(1)

    [fact] = run(pbx, script)

    assert fact == Failed(Side.A, 1, Cause.NO_ANSWER, False, 480, 19)


def test_events_may_come_before_the_response(pbx: Pbx) -> None:
    pbx.response_delay = SLOW

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2, SLOW - 0.1)
        await asyncio.sleep(SLOW)

    assert kinds(run(pbx, script)) == [Ringing, Answered]


def test_a_failure_before_the_response_is_reported_once(pbx: Pbx) -> None:
    pbx.response_delay, pbx.phones = (
        SLOW,
        {"01": Phone(rings=False, answers=None, fails=0, status=486)},
    )

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "01")
        await switch.wait_for_facts(1, SLOW - 0.1)
        await asyncio.sleep(SLOW)

    assert run(pbx, script) == [Failed(Side.A, 1, Cause.BUSY, False, 486, 17)]


@pytest.mark.parametrize("unanswered", [set(), {("POST", "channels")}])
def test_a_leg_hung_up_before_the_response_leaves_no_phone_ringing(
    pbx: Pbx, unanswered: set[tuple[str, str]]
) -> None:
    pbx.unanswered = unanswered
    pbx.delay, pbx.phones = 0.2, {"02": Phone(answers=None)}
    pbx.sends_events = False  # otherwise the first event would hang it up

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A, "02")
        await until(lambda: pbx.requests_to("POST", "channels"))
        switch.hang_up(A)

    run(pbx, script)

    # A channel hung up before it is dialed has no other event.
    wait_for(lambda: (len(pbx.hangup_causes), pbx.channels) == (1, {}))


def test_a_leg_hung_up_before_the_request_is_not_originated(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        switch.hang_up(A)
        await switch.listen()

    assert run(pbx, script) == []
    assert [method for method, *_ in pbx.requests] == ["GET", "GET", "PUT"]


@pytest.mark.fake("the real one sends both")
@pytest.mark.parametrize("kind", ["Dial", "ChannelStateChange"])
def test_both_kinds_of_ringing_events_are_reported(pbx: Pbx, kind: str) -> None:
    pbx.phones = {"02": Phone(rings=False, answers=None)}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "02")
        await until(lambda: pbx.channels)
        channel = {"id": f"{switch.app}.17.1.A1", "state": "Down" if kind == "Dial" else "Ringing"}
        event = {"type": kind, "dialstatus": "RINGING", "peer": channel, "channel": channel}
        pbx.send(switch.app, json.dumps(event))
        assert await switch.wait_for_facts(1) == [RINGS]

    run(pbx, script)


@pytest.mark.fake("it never enters it")
def test_a_channel_is_not_answered_before_it_enters_our_application(pbx: Pbx) -> None:
    """Asterisk hangs up a phone that answers while our application is not active: no charge."""
    pbx.phones = {"02": Phone(answers=None)}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "02")
        await switch.wait_for_facts(1)
        [channel] = pbx.channels.values()
        up = channel.as_json() | {"state": "Up"}
        pbx.send(switch.app, json.dumps({"type": "ChannelStateChange", "channel": up}))
        pbx.hang_up(channel, 16)
        await switch.wait_for_facts(2)

    assert run(pbx, script) == [RINGS, failed(Cause.NO_ANSWER, transport=False, q850=16)]


@pytest.mark.fake("the response is lost late, after the events")
def test_events_replace_a_missing_response(pbx: Pbx) -> None:
    pbx.unanswered = {("POST", "channels")}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)

    assert kinds(run(pbx, script)) == [Ringing, Answered]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500])
def test_a_refused_request_lets_another_gateway_be_tried(pbx: Pbx, status: int) -> None:
    pbx.statuses = {("POST", "channels"): status}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(1)

    assert run(pbx, script) == [failed(transport=True)]


def test_without_a_clear_response_another_gateway_is_tried_only_if_no_phone_rings(
    pbx: Pbx,
) -> None:
    pbx.statuses = {("POST", "channels"): 502}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(1)
        pbx.statuses[("DELETE", "channels")] = 503
        switch.ring(A)
        await switch.wait_for_facts(2)
        pbx.statuses = {("POST", "channels"): 504}  # it may still be executed
        switch.ring(A)
        await switch.wait_for_facts(3)

    assert run(pbx, script) == [failed(transport=each) for each in (True, False, False)]


@pytest.mark.fake("it loses the events")
def test_a_phone_that_may_have_rung_is_not_rung_through_another_gateway(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was executed, but the response and the events were lost."""
    pbx.unanswered, pbx.phones = {("POST", "channels")}, {"02": Phone(answers=None)}
    pbx.sends_events = False

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "02")
        await switch.wait_for_facts(1)

    assert run(pbx, script) == [failed(transport=False)]
    wait_for(lambda: (len(pbx.all_channels), pbx.channels) == (1, {}))


@pytest.mark.parametrize("phone", [Phone(answers=None), Phone(rings=False, answers=0)])
def test_a_phone_that_rings_after_its_leg_has_failed_is_hung_up(
    pbx: Pbx,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    phone: Phone,
) -> None:
    """Asterisk may execute a request that got no response after the DELETE that follows it. No
    other gateway is tried, so that nobody is rung twice.
    """
    monkeypatch.setattr(connection, "RESPONSE_TIMEOUT", 0.1)
    pbx.delay, pbx.phones = 0.5, {"02": phone}

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A, "02")
        assert await switch.wait_for_facts(1) == [failed(transport=False)]
        await until(lambda: pbx.hangup_causes and not pbx.channels)

    run(pbx, script)

    assert "cannot originate a call: no response in time" in caplog.text


def test_a_failed_delete_is_retried(pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_ups, "RETRY_AFTER", (0.05, 0.05))
    pbx.statuses = {("DELETE", "channels"): 503}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.hang_up(A)
        await until(lambda: any(method == "DELETE" for method, *_ in pbx.requests))
        pbx.statuses.clear()
        await until(lambda: not pbx.channels)

    run(pbx, script)
