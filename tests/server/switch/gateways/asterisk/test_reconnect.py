"""Channels outlive a lost WebSocket: what became of them is found out, and whose they are."""

from __future__ import annotations

import asyncio

import pytest

from django_poketalk.server.switch.gateways.asterisk import calls, endings
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

from .ari import Ari
from .channels import UP, Phone
from .desk import A, B, Desk, at, until

OTHER = LegKey(CallKey(18, 1), Side.A, 1)
LOST_A, LOST_B = (HungUp(side, 1, Cause.GATEWAY_DOWN) for side in Side)


async def back(desk: Desk) -> None:
    """Lose the WebSocket for a moment, and have it again."""
    lists = len(desk.pbx.asked("GET", "bridges"))
    desk.pbx.lets_listen = True
    await until(lambda: len(desk.pbx.asked("GET", "bridges")) > lists)
    await desk.listen()


def test_legs_that_are_still_up_go_on(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.drop(for_good=True)
        await back(desk)
        assert len(desk.facts) == 4
        assert len(pbx.bridges) == 1
        pbx.put_down(pbx.channels[f"{desk.app}.17.1.B1"])
        await desk.told(of=5)

    assert at(pbx, script)[4] == HungUp(Side.B, 1, Cause.NORMAL, 0, 16)


def test_a_leg_that_rang_and_was_answered_meanwhile_is_told(pbx: Ari) -> None:
    pbx.phones = {"02": Phone(rings=False, answers=None)}

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A, "02")
        await until(lambda: pbx.channels)
        [channel] = pbx.channels.values()
        pbx.drop(for_good=True)
        channel.state = "Ringing"
        await back(desk)
        await desk.told(of=1)
        pbx.drop(for_good=True)
        channel.state, channel.in_stasis = UP, True
        await back(desk)
        await desk.told(of=2)

    assert [type(fact) for fact in at(pbx, script)] == [Ringing, Answered]


def test_an_answer_that_asterisk_takes_for_nobody_s_is_not_told_as_one(pbx: Ari) -> None:
    """Up, but not in our application: it is being hung up."""
    pbx.phones = {"02": Phone(answers=None)}

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A, "02")
        await desk.told(of=1)
        [channel] = pbx.channels.values()
        pbx.drop(for_good=True)
        channel.state = UP
        await back(desk)
        pbx.put_down(channel, 16)
        await desk.told(of=2)

    assert at(pbx, script)[1] == Failed(Side.A, 1, Cause.NO_ANSWER, False, 0, 16)


@pytest.mark.parametrize("answered", [True, False])
def test_a_leg_that_ended_meanwhile_is_told(pbx: Ari, answered: bool) -> None:
    """Why, nobody knows. Nobody is rung another way: the phone may have rung unheard."""
    pbx.phones = {"02": Phone(rings=False, answers=None)}
    facts: list[LegFact]

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A, "99" if answered else "02")
        await until(lambda: pbx.channels and (not answered or len(desk.facts) == 2))
        pbx.drop(for_good=True)
        pbx.put_down(next(iter(pbx.channels.values())))
        await back(desk)
        await desk.told(of=3 if answered else 1)

    facts = at(pbx, script)
    assert facts[-1] == (LOST_A if answered else Failed(Side.A, 1, Cause.GATEWAY_DOWN))


def test_an_asterisk_that_was_restarted_has_lost_all(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.restart()
        pbx.drop()
        await desk.told(of=6)

    assert set(at(pbx, script)[4:]) == {LOST_A, LOST_B}


def test_a_channel_that_nobody_has_any_more_is_ended(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "AGAIN", ())

    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.drop(for_good=True)
        pbx.answers = {("DELETE", "channels"): 503, ("DELETE", "bridges"): 503}
        desk.hang_up(A)
        desk.hang_up(B)
        await until(lambda: len([1 for method, *_ in pbx.requests if method == "DELETE"]) >= 3)
        pbx.answers = {}
        assert len(pbx.channels) == 2
        await back(desk)
        await until(lambda: not pbx.channels and not pbx.bridges)

    at(pbx, script)


def test_a_channel_that_nobody_has_heard_of_is_ended(pbx: Ari) -> None:
    """Its request was carried out, but neither the answer nor an event has told of it."""
    pbx.silent, pbx.phones = {("POST", "channels")}, {"02": Phone(answers=None)}
    pbx.answers, pbx.tells = {("DELETE", "channels"): 503}, False

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A, "02")
        await desk.told(of=1)
        pbx.answers = {}
        assert pbx.channels
        pbx.drop()
        await until(lambda: not pbx.channels)

    at(pbx, script)


def test_what_could_not_be_ended_does_not_wait_for_the_websocket_to_be_lost(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Asterisk that has all the HTTP sessions it may have still tells what happens."""
    monkeypatch.setattr(endings, "AGAIN", ())

    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.answers = {("DELETE", "channels"): 503}
        desk.hang_up(A)
        desk.hang_up(B)
        await asyncio.sleep(0.1)
        assert len(pbx.channels) == 2
        pbx.answers = {}
        await until(lambda: desk.gateway.watch([desk.route]) or not pbx.channels)

    at(pbx, script)

    assert pbx.handshakes == 1


def test_a_switch_that_stops_says_which_phones_it_could_not_put_down(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(calls, "GOODBYE", 0.2)
    legs = []

    async def script(desk: Desk) -> None:
        await desk.talk()
        legs.extend(sorted(pbx.channels))
        pbx.answers = {("DELETE", "channels"): 503}

    at(pbx, script)

    assert f"Asterisk at {pbx.url} was left with {', '.join(legs)}." in caplog.text


def test_another_living_switch_s_channels_are_let_be(pbx: Ari) -> None:
    async def script(one: Desk) -> None:
        other = Desk(pbx)
        await other.gateway.open()
        try:
            await other.talk()
            await one.talk()
            assert len(pbx.channels) == 4  # of the same call's number, and none in the other's way
            pbx.drop()
            await until(lambda: len(pbx.asked("GET", "bridges")) == 2)
            await one.listen()
            await other.listen()
            one.hang_up(A)
            one.hang_up(B)
            await until(lambda: len(pbx.channels) == 2)
            pbx.drop()
            await until(lambda: len(pbx.asked("GET", "bridges")) == 4)
            assert {channel.app for channel in pbx.channels.values()} == {other.app}
            assert len(other.facts) == 4
        finally:
            await other.gateway.close()

    at(pbx, script)


def test_one_asterisk_by_two_addresses_has_two_applications(pbx: Ari) -> None:
    """As one would, Asterisk listened to the later of the two alone, which ended all the other's
    calls.
    """

    async def script(desk: Desk) -> None:
        await desk.talk()
        desk.ring(OTHER, url=f"{pbx.url}/ari")
        await desk.told(of=6)
        assert pbx.handshakes == len({channel.app for channel in pbx.channels.values()}) == 2
        pbx.drop()
        await until(lambda: len(pbx.asked("GET", "bridges")) == 2)
        await desk.listen()
        assert len(pbx.channels) == 3
        assert len(desk.facts) == 6

    at(pbx, script)

    assert (pbx.channels, pbx.bridges, pbx.handshakes) == ({}, {}, 4)


def test_what_somebody_else_has_in_asterisk_is_let_be(pbx: Ari) -> None:
    async def script(desk: Desk) -> None:
        await desk.talk()
        [a, b] = pbx.channels.values()
        theirs = ["1722.5", "poketalk", "poketalk.17.1.A1", f"{desk.app}.17.1.A1;2"]
        theirs += [f"x{desk.app}.17.1.A1", f"{desk.app}.17.1.C1", f"{desk.app}.17.1.A1.B2"]
        for name in theirs:
            pbx.channels[name] = type(a)(name, "PJSIP/x", {"app": "x"})
        pbx.bridges["theirs.bridge"] = set()
        pbx.drop()
        await until(lambda: pbx.asked("GET", "bridges"))
        desk.gateway.end_dialog(a.id, desk.route)
        await until(lambda: a.id not in pbx.channels and b.id not in pbx.channels)
        await until(lambda: list(pbx.bridges) == ["theirs.bridge"])
        assert list(pbx.channels) == theirs

    at(pbx, script)


def test_calls_are_given_up_when_asterisk_stays_away(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOST_AFTER", 0.1)
    monkeypatch.setattr(endings, "AGAIN", ())

    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.answers = {("DELETE", "channels"): 503}
        pbx.drop(for_good=True)
        await desk.told(of=6)
        pbx.answers = {}
        assert len(pbx.channels) == 2
        await back(desk)
        await until(lambda: not pbx.channels)

    assert set(at(pbx, script)[4:]) == {LOST_A, LOST_B}


def test_phones_of_calls_that_are_given_up_are_put_down_while_nobody_may_listen(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOST_AFTER", 0.1)

    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.drop(for_good=True)
        await desk.told(of=6)
        await until(lambda: not pbx.channels)

    at(pbx, script)


def test_an_error_as_the_websocket_opens_is_not_the_end_of_it(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = calls.Asterisk.connected

    async def broken(self: calls.Asterisk) -> None:
        monkeypatch.setattr(calls.Asterisk, "connected", connected)
        raise RuntimeError("A mistake.")

    monkeypatch.setattr(calls.Asterisk, "connected", broken)

    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.ring(A)
        await desk.told(of=2)

    at(pbx, script)

    assert pbx.handshakes == 2


def test_a_short_loss_gives_nothing_up(pbx: Ari, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LOST_AFTER", 0.3)

    async def script(desk: Desk) -> None:
        await desk.talk()
        pbx.drop()
        await until(lambda: pbx.asked("GET", "bridges"))
        await asyncio.sleep(0.4)
        assert len(desk.facts) == 4

    at(pbx, script)


def test_the_phones_of_a_switch_that_is_gone_are_put_down_and_no_others(pbx: Ari) -> None:
    """The one that was stored, and those of its call that were not yet."""
    pbx.phones = {"02": Phone(answers=None)}

    async def script(dead: Desk) -> None:
        await dead.listen()
        dead.ring(A)
        await dead.told(of=2)
        dead.ring(B, "02")
        await dead.told(of=3)
        dead.ring(OTHER)
        await dead.told(of=5)
        next_one = Desk(pbx)
        await next_one.gateway.open()
        next_one.gateway.end_dialog(f"{dead.app}.17.1.A1", next_one.route)
        await until(lambda: list(pbx.channels) == [f"{dead.app}.18.1.A1"])
        await next_one.gateway.close()

    at(pbx, script)


@pytest.mark.parametrize(
    "unanswered",
    [{("DELETE", "channels"), ("GET", "channels")}, {("GET", "channels")}],
)
def test_what_could_not_be_ended_is_ended_when_asterisk_is_back(
    pbx: Ari, monkeypatch: pytest.MonkeyPatch, unanswered: set[tuple[str, str]]
) -> None:
    """All there is of the call, as when it can be ended at once."""
    monkeypatch.setattr(endings, "AGAIN", ())

    async def script(dead: Desk) -> None:
        await dead.talk()
        next_one = Desk(pbx)
        await next_one.gateway.open()
        await next_one.listen()
        pbx.answers = dict.fromkeys(unanswered, 503)
        next_one.gateway.end_dialog(f"{dead.app}.17.1.A1", next_one.route)
        await until(lambda: pbx.asked("GET", "channels"))
        await asyncio.sleep(0.1)
        assert pbx.channels
        pbx.answers = {}
        pbx.drop()
        await until(lambda: not pbx.channels and not pbx.bridges)
        await next_one.gateway.close()

    at(pbx, script)


@pytest.mark.parametrize(
    "dialog", ["", "{}", '{"call_id": 1}', "../bridges", "1722.5", "a b.1.1.A1"]
)
def test_a_dialog_of_another_kind_of_gateway_does_no_harm(pbx: Ari, dialog: str) -> None:
    async def script(desk: Desk) -> None:
        await desk.listen()
        desk.gateway.end_dialog(dialog, desk.route)

    at(pbx, script)

    assert not [1 for method, *_ in pbx.requests if method == "DELETE"]
