"""Channels survive a lost WebSocket: after a reconnection, their states are read from Asterisk."""

from __future__ import annotations

import asyncio

import pytest

from django_poketalk.server.switch.gateways.asterisk import hang_ups, stasis
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    LegFact,
    Ringing,
    Side,
)

from .channels import UP, Phone
from .fake_switch import A, B, FakeSwitch, Pbx, run, until

OTHER = LegKey(CallKey(18, 1), Side.A, 1)
LOST_A, LOST_B = (HungUp(side, 1, Cause.GATEWAY_DOWN) for side in Side)


async def reconnect(switch: FakeSwitch) -> None:
    """Accept WebSockets again, and wait until the switch has reconnected."""
    lists = len(switch.pbx.requests_to("GET", "bridges"))
    switch.pbx.accepts_websockets = True
    await until(lambda: len(switch.pbx.requests_to("GET", "bridges")) > lists)
    await switch.listen()


def test_legs_that_are_still_up_continue_after_a_gap(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.drop_websockets(refuse=True)
        await reconnect(switch)
        assert len(switch.facts) == 4
        assert len(pbx.bridges) == 1
        pbx.hang_up(pbx.channels[f"{switch.app}.17.1.B1"])
        await switch.wait_for_facts(5)

    assert run(pbx, script)[4] == HungUp(Side.B, 1, Cause.NORMAL, 0, 16)


@pytest.mark.fake("it chooses the states")
def test_ringing_and_answer_during_a_gap_are_reported(pbx: Pbx) -> None:
    pbx.phones = {"02": Phone(rings=False, answers=None)}

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A, "02")
        await until(lambda: pbx.channels)
        [channel] = pbx.channels.values()
        pbx.drop_websockets(refuse=True)
        channel.state = "Ringing"
        await reconnect(switch)
        await switch.wait_for_facts(1)
        pbx.drop_websockets(refuse=True)
        channel.state, channel.in_stasis = UP, True
        await reconnect(switch)
        await switch.wait_for_facts(2)

    assert [type(fact) for fact in run(pbx, script)] == [Ringing, Answered]


@pytest.mark.fake("it chooses the states")
def test_an_answer_outside_our_application_is_not_reported(pbx: Pbx) -> None:
    """A channel that is up but not in our application is being hung up."""
    pbx.phones = {"02": Phone(answers=None)}

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A, "02")
        await switch.wait_for_facts(1)
        [channel] = pbx.channels.values()
        pbx.drop_websockets(refuse=True)
        channel.state = UP
        await reconnect(switch)
        pbx.hang_up(channel, 16)
        await switch.wait_for_facts(2)

    assert run(pbx, script)[1] == Failed(Side.A, 1, Cause.NO_ANSWER, False, 0, 16)


@pytest.mark.parametrize("answered", [True, False])
def test_an_end_during_a_gap_is_reported(pbx: Pbx, answered: bool) -> None:
    """The cause is unknown. No other gateway is tried, because the phone may have rung."""
    pbx.phones = {"02": Phone(rings=False, answers=None)}
    facts: list[LegFact]

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A, ending := "99" if answered else "02")
        await until(lambda: pbx.channels_to(ending) and (not answered or len(switch.facts) == 2))
        pbx.drop_websockets(refuse=True)
        pbx.hang_up(pbx.channels_to(ending)[0])
        await reconnect(switch)
        await switch.wait_for_facts(3 if answered else 1)

    facts = run(pbx, script)
    assert facts[-1] == (LOST_A if answered else Failed(Side.A, 1, Cause.GATEWAY_DOWN))


def test_a_restarted_asterisk_has_lost_all_legs(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.restart()
        pbx.drop_websockets()
        await switch.wait_for_facts(6)

    assert set(run(pbx, script)[4:]) == {LOST_A, LOST_B}


def test_a_channel_without_a_leg_is_hung_up(pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_ups, "RETRY_AFTER", ())

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.drop_websockets(refuse=True)
        pbx.statuses = {("DELETE", "channels"): 503, ("DELETE", "bridges"): 503}
        switch.hang_up(A)
        switch.hang_up(B)
        await until(lambda: len([1 for method, *_ in pbx.requests if method == "DELETE"]) >= 3)
        pbx.statuses = {}
        assert len(pbx.channels) == 2
        await reconnect(switch)
        await until(lambda: not pbx.channels and not pbx.bridges)

    run(pbx, script)


@pytest.mark.fake("it loses the events")
def test_a_channel_that_was_never_confirmed_is_hung_up(pbx: Pbx) -> None:
    """The request was executed, but the response and the events were lost."""
    pbx.unanswered, pbx.phones = {("POST", "channels")}, {"02": Phone(answers=None)}
    pbx.statuses, pbx.sends_events = {("DELETE", "channels"): 503}, False

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A, "02")
        await switch.wait_for_facts(1)
        pbx.statuses = {}
        assert pbx.channels
        pbx.drop_websockets()
        await until(lambda: not pbx.channels)

    run(pbx, script)


def test_a_failed_hang_up_is_retried_without_a_reconnect(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Asterisk at its limit of HTTP sessions still sends events."""
    monkeypatch.setattr(hang_ups, "RETRY_AFTER", ())

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.statuses = {("DELETE", "channels"): 503}
        switch.hang_up(A)
        switch.hang_up(B)
        await asyncio.sleep(0.1)
        assert len(pbx.channels) == 2
        pbx.statuses = {}
        await until(lambda: switch.gateway.watch([switch.route]) or not pbx.channels)

    run(pbx, script)

    assert pbx.handshakes == 1


@pytest.mark.fake("its channels stay behind")
def test_a_switch_that_stops_logs_the_channels_it_could_not_hang_up(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stasis, "CLOSE_TIMEOUT", 0.2)
    legs = []

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        legs.extend(sorted(pbx.channels))
        pbx.statuses = {("DELETE", "channels"): 503}

    run(pbx, script)

    assert f"Asterisk at {pbx.url}: could not hang up {', '.join(legs)}." in caplog.text


def test_channels_of_another_live_switch_are_left_alone(pbx: Pbx) -> None:
    async def script(one: FakeSwitch) -> None:
        other = FakeSwitch(pbx)
        await other.gateway.open()
        try:
            await other.talk()
            await one.talk()
            assert len(pbx.channels) == 4  # of the same call number, without a conflict
            pbx.drop_websockets()
            await until(lambda: len(pbx.requests_to("GET", "bridges")) == 2)
            await one.listen()
            await other.listen()
            one.hang_up(A)
            one.hang_up(B)
            await until(lambda: len(pbx.channels) == 2)
            pbx.drop_websockets()
            await until(lambda: len(pbx.requests_to("GET", "bridges")) == 4)
            assert {channel.app for channel in pbx.channels.values()} == {other.app}
            assert len(other.facts) == 4
        finally:
            await other.gateway.close()

    run(pbx, script)


def test_one_asterisk_with_two_addresses_has_two_applications(pbx: Pbx) -> None:
    """Asterisk sends events only to the latest WebSocket of an application, so a shared application
    would end the calls of the other connection.
    """

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        switch.ring(OTHER, url=f"{pbx.url}/ari")
        await switch.wait_for_facts(6)
        assert pbx.handshakes == len({channel.app for channel in pbx.channels.values()}) == 2
        pbx.drop_websockets()
        await until(lambda: len(pbx.requests_to("GET", "bridges")) == 2)
        await switch.listen()
        assert len(pbx.channels) == 3
        assert len(switch.facts) == 6

    run(pbx, script)

    assert (pbx.channels, pbx.bridges, pbx.handshakes) == ({}, {}, 4)


@pytest.mark.fake("it makes channels with odd names")
def test_channels_of_other_applications_are_left_alone(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        [a, b] = pbx.channels.values()
        theirs = ["1722.5", "poketalk", "poketalk.17.1.A1", f"{switch.app}.17.1.A1;2"]
        theirs += [f"x{switch.app}.17.1.A1", f"{switch.app}.17.1.C1", f"{switch.app}.17.1.A1.B2"]
        for name in theirs:
            pbx.channels[name] = type(a)(name, "PJSIP/x", {"app": "x"})
        pbx.bridges["theirs.bridge"] = set()
        pbx.drop_websockets()
        await until(lambda: pbx.requests_to("GET", "bridges"))
        switch.gateway.end_dialog(a.id, switch.route)
        await until(lambda: a.id not in pbx.channels and b.id not in pbx.channels)
        await until(lambda: list(pbx.bridges) == ["theirs.bridge"])
        assert list(pbx.channels) == theirs

    run(pbx, script)


def test_calls_are_ended_when_asterisk_stays_down(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stasis, "LOST_AFTER", 0.1)
    monkeypatch.setattr(hang_ups, "RETRY_AFTER", ())

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.statuses = {("DELETE", "channels"): 503}
        pbx.drop_websockets(refuse=True)
        await switch.wait_for_facts(6)
        await until(lambda: len([1 for method, *_ in pbx.requests if method == "DELETE"]) >= 2)
        pbx.statuses = {}
        assert len(pbx.channels) == 2
        await reconnect(switch)
        await until(lambda: not pbx.channels)

    assert set(run(pbx, script)[4:]) == {LOST_A, LOST_B}


def test_phones_of_ended_calls_are_hung_up_while_the_websocket_is_down(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stasis, "LOST_AFTER", 0.1)

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.drop_websockets(refuse=True)
        await switch.wait_for_facts(6)
        await until(lambda: not pbx.channels)

    run(pbx, script)


def test_an_error_while_connecting_causes_a_reconnection(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = stasis.StasisApplication.on_connected

    async def broken(self: stasis.StasisApplication) -> None:
        monkeypatch.setattr(stasis.StasisApplication, "on_connected", connected)
        raise RuntimeError("A bug.")

    monkeypatch.setattr(stasis.StasisApplication, "on_connected", broken)

    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.ring(A)
        await switch.wait_for_facts(2)

    run(pbx, script)

    assert pbx.handshakes == 2


def test_a_short_gap_ends_no_call(pbx: Pbx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stasis, "LOST_AFTER", 0.3)

    async def script(switch: FakeSwitch) -> None:
        await switch.talk()
        pbx.drop_websockets()
        await until(lambda: pbx.requests_to("GET", "bridges"))
        await asyncio.sleep(0.4)
        assert len(switch.facts) == 4

    run(pbx, script)


def test_phones_of_a_dead_switch_are_hung_up_and_no_others(pbx: Pbx) -> None:
    """The stored channel, and those of the same call that were not stored yet."""
    pbx.phones = {"02": Phone(answers=None)}

    async def script(dead: FakeSwitch) -> None:
        await dead.listen()
        dead.ring(A)
        await dead.wait_for_facts(2)
        dead.ring(B, "02")
        await dead.wait_for_facts(3)
        dead.ring(OTHER)
        await dead.wait_for_facts(5)
        next_one = FakeSwitch(pbx)
        await next_one.gateway.open()
        next_one.gateway.end_dialog(f"{dead.app}.17.1.A1", next_one.route)
        await until(lambda: list(pbx.channels) == [f"{dead.app}.18.1.A1"])
        await next_one.gateway.close()

    run(pbx, script)


@pytest.mark.parametrize(
    "unanswered",
    [{("DELETE", "channels"), ("GET", "channels")}, {("GET", "channels")}],
)
def test_pending_hang_ups_are_retried_when_asterisk_is_back(
    pbx: Pbx, monkeypatch: pytest.MonkeyPatch, unanswered: set[tuple[str, str]]
) -> None:
    """All channels and bridges of the call are removed, as without the failure."""
    monkeypatch.setattr(hang_ups, "RETRY_AFTER", ())

    async def script(dead: FakeSwitch) -> None:
        await dead.talk()
        next_one = FakeSwitch(pbx)
        await next_one.gateway.open()
        await next_one.listen()
        pbx.statuses = dict.fromkeys(unanswered, 503)
        next_one.gateway.end_dialog(f"{dead.app}.17.1.A1", next_one.route)
        await until(lambda: pbx.requests_to("GET", "channels"))
        await asyncio.sleep(0.1)
        assert pbx.channels
        pbx.statuses = {}
        pbx.drop_websockets()
        await until(lambda: not pbx.channels and not pbx.bridges)
        await next_one.gateway.close()

    run(pbx, script)


@pytest.mark.parametrize(
    "dialog", ["", "{}", '{"call_id": 1}', "../bridges", "1722.5", "a b.1.1.A1"]
)
def test_a_dialog_of_another_kind_of_gateway_is_ignored(pbx: Pbx, dialog: str) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        switch.gateway.end_dialog(dialog, switch.route)

    run(pbx, script)

    assert not [1 for method, *_ in pbx.requests if method == "DELETE"]
