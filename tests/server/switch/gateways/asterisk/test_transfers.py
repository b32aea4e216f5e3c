"""Phones that transfer or forward a call: it ends, and nobody is left on the line.

The phone that they name is 97.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from django_poketalk.server.models import Call
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways.asterisk import redirections
from django_poketalk.server.switch.gateways.asterisk.redirections import Redirection
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed, HungUp, Side
from tests.server.switch.conftest import Service, ended, eventually, serve
from tests.server.switch.processes import talking

from .channels import Phone
from .fake_switch import A, B, FakeSwitch, Pbx, run, until
from .real_asterisk import RealAsterisk

PHONES = {
    "97": Phone(answers=0.3),
    "02": Phone(answers=None),
    "03": Phone(forwards="97"),
    "04": Phone(early_media=True, answers=None),
}
WITHIN = 5.0  # seconds; two on a machine at rest

either_phone = pytest.mark.parametrize("side", list(Side))
either_way = pytest.mark.parametrize("attended", [False, True])


def transferred(side: Side) -> HungUp:
    return HungUp(side, 1, Cause.TRANSFERRED)


async def talk(switch: FakeSwitch) -> None:
    """Connect the phones 98 and 99."""
    switch.ring(A, "98")
    await switch.wait_for_facts(2)
    switch.ring(B, "99")
    await switch.wait_for_facts(4)
    await switch.bridge()


def transfer(switch: FakeSwitch, side: Side, *, attended: bool = False) -> None:
    [channel] = switch.pbx.channels_to("98" if side is Side.A else "99")
    switch.pbx.transfer(channel, "97", attended=attended)


async def ends(switch: FakeSwitch, side: Side, *, facts: int) -> None:
    """Wait for the end of this leg, end the other one as the switch does, and see nobody left."""
    assert (await switch.wait_for_facts(facts, WITHIN))[facts - 1] == transferred(side)
    switch.hang_up(B if side is Side.A else A)
    await until(lambda: not switch.pbx.channels and not switch.pbx.bridges, WITHIN)


@either_phone
@either_way
def test_a_transfer_ends_both_legs_and_the_phone_that_it_rings(
    pbx: Pbx, side: Side, attended: bool
) -> None:
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        await talk(switch)
        transfer(switch, side, attended=attended)
        await ends(switch, side, facts=5)

    run(pbx, script)

    assert pbx.channels_to("97")


def test_an_attended_transfer_while_b_rings_ends_the_call(pbx: Pbx) -> None:
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "98")
        await switch.wait_for_facts(2)
        switch.ring(B, "02")
        await switch.wait_for_facts(3)
        transfer(switch, Side.A, attended=True)
        await ends(switch, Side.A, facts=4)

    run(pbx, script)


def test_a_blind_transfer_while_b_rings_is_refused_by_asterisk(pbx: Pbx) -> None:
    """A is not in a bridge, so nobody is rung, and the call goes on."""
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "98")
        await switch.wait_for_facts(2)
        switch.ring(B, "02")
        await switch.wait_for_facts(3)
        transfer(switch, Side.A)
        if isinstance(pbx, RealAsterisk):
            await until(lambda: pbx.phone_call("98").responses == ["REFER 202"])
        await asyncio.sleep(0.3)
        assert len(switch.facts) == 3
        assert not pbx.channels_to("97")

    run(pbx, script)


def test_a_blind_transfer_during_early_media_ends_the_call(pbx: Pbx) -> None:
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "98")
        await switch.wait_for_facts(2)
        switch.ring(B, "04", early_media=True)
        await until(lambda: pbx.bridged)
        transfer(switch, Side.A)
        await until(lambda: transferred(Side.A) in switch.facts, WITHIN)
        switch.hang_up(B)
        await until(lambda: not pbx.channels and not pbx.bridges, WITHIN)

    run(pbx, script)


@pytest.mark.parametrize("early_media", [False, True])
@either_phone
def test_a_phone_that_forwards_the_call_fails(pbx: Pbx, side: Side, early_media: bool) -> None:
    pbx.phones = PHONES | {"97": Phone(answers=WITHIN)}

    async def script(switch: FakeSwitch) -> None:
        if side is Side.B:
            switch.ring(A)
            await switch.wait_for_facts(2)
        switch.ring(A if side is Side.A else B, "03", early_media=early_media)
        await until(lambda: any(isinstance(fact, Failed) for fact in switch.facts), WITHIN)
        switch.hang_up(A)
        await until(lambda: not pbx.channels, WITHIN)

    facts = run(pbx, script)

    assert isinstance(facts[-1], Failed)
    assert (facts[-1].cause, facts[-1].transport) == (Cause.FORWARDED, False)
    if isinstance(pbx, RealAsterisk):
        assert not any(call.answered for call in pbx.phone_calls if call.ending == "97")


def test_a_phone_that_is_moved_into_the_dialplan_is_hung_up(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        await talk(switch)
        pbx.move(pbx.channels_to("99")[0])
        await ends(switch, Side.B, facts=5)

    run(pbx, script)


@either_phone
def test_a_transfer_during_a_gap_of_the_websocket_leaves_nobody(pbx: Pbx, side: Side) -> None:
    """The channel that has replaced ours is found by its application."""
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        await talk(switch)
        pbx.drop_websockets(refuse=True)
        before = set(pbx.channels)
        transfer(switch, side)
        await until(lambda: len(set(pbx.channels) & before) == 1)
        pbx.accepts_websockets = True
        lost = HungUp(side, 1, Cause.GATEWAY_DOWN)
        await until(lambda: lost in switch.facts, 5)
        switch.hang_up(B if side is Side.A else A)
        await until(lambda: not pbx.channels and not pbx.bridges, WITHIN)

    run(pbx, script)


def test_the_next_switch_ends_a_transfer_that_followed_the_death_of_the_switch(pbx: Pbx) -> None:
    pbx.phones = PHONES

    async def script(dead: FakeSwitch) -> None:
        await talk(dead)
        pbx.drop_websockets(refuse=True)
        before = set(pbx.channels)
        transfer(dead, Side.B)
        await until(lambda: len(set(pbx.channels) & before) == 1)
        next_one = FakeSwitch(pbx)
        await next_one.gateway.open()
        next_one.gateway.end_dialog(f"{dead.app}.17.1.B1", next_one.route)
        await until(lambda: not pbx.channels and not pbx.bridges, 5)
        await next_one.gateway.close()

    run(pbx, script)


def test_a_channel_that_enters_our_application_without_a_call_is_hung_up(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        await switch.listen()
        pbx.originate("PJSIP/442079460199@trunk", switch.app)
        await until(lambda: pbx.channels_to("99") and not pbx.channels, 5)

    run(pbx, script)


# Behind a dialplan, only the real Asterisk knows what happens.


@pytest.mark.real("the fake has no dialplan")
@either_phone
@either_way
def test_a_transfer_behind_a_dialplan_ends_the_call(
    pbx: RealAsterisk, side: Side, attended: bool
) -> None:
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        await talk(switch)
        pbx.transfer(pbx.channels_to("98" if side is Side.A else "99")[0], "97", attended=attended)
        await ends(switch, side, facts=5)

    run(pbx, script, endpoint="Local/{number}@from-internal/n")


@pytest.mark.real("the fake has no dialplan")
def test_a_forward_behind_a_dialplan_is_the_same_leg(pbx: RealAsterisk) -> None:
    pbx.phones = PHONES

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "03")
        assert [fact.side for fact in await switch.wait_for_facts(2)] == [Side.A, Side.A]
        assert pbx.phone_call("97").answered
        switch.hang_up(A)
        await until(lambda: not pbx.channels, WITHIN)

    run(pbx, script, endpoint="Local/{number}@from-internal/n")


# From the queued row to the ledger


@pytest.mark.django_db(transaction=True)
def test_the_cause_is_stored_and_the_talk_is_charged(service: Service, pbx: Pbx) -> None:
    pbx.phones = PHONES
    talks = service.queue(a="98", b="99", max_duration=100)
    forwards_b, forwards_a = service.queue(b="03"), service.queue(a="03")

    async def transfer_b() -> None:
        await eventually(talking(talks))
        await eventually(lambda: bool(pbx.bridged))
        [b] = [each for each in pbx.channels_to("99") if each.id.endswith("B1")]
        pbx.transfer(b, "97")

    serve(Engine("test"), until=ended(talks, forwards_a, forwards_b), during=transfer_b)

    calls: list[Any] = [(call.status, call.hangup_cause) for call in Call.objects.order_by("pk")]
    assert calls == [(8, Cause.TRANSFERRED), (6, Cause.FORWARDED), (2, Cause.FORWARDED)]
    talks.refresh_from_db()
    assert {leg.side: leg.hangup_cause for leg in talks.legs.all()} == {
        "A": Cause.OTHER_LEG,
        "B": Cause.TRANSFERRED,
    }
    assert talks.duration <= 5


# Events


@pytest.mark.parametrize(
    "event",
    [
        {"type": "StasisStart", "channel": {"id": "1"}, "args": []},
        {"type": "StasisStart", "channel": {"id": "1"}, "replace_channel": None},
        {"type": "StasisStart", "channel": {"id": "1"}, "replace_channel": {"id": 2}},
        {"type": "StasisEnd", "channel": {"id": "1"}, "replace_channel": {"id": "2"}},
        {"type": "Dial", "peer": {"id": "1"}, "dialstatus": "CANCEL"},
        {"type": "BridgeBlindTransfer", "result": "Invalid", "transferee": {"id": "1"}},
        {"type": "BridgeAttendedTransfer", "result": "Success"},
        {},
    ],
)
def test_other_events_are_no_redirections(event: dict[str, Any]) -> None:
    assert redirections.find(event) is None


def test_an_attended_transfer_out_of_the_application_names_both_channels() -> None:
    event = {
        "type": "BridgeAttendedTransfer",
        "result": "Success",
        "destination_type": "application",
        "transferer_first_leg": {"id": "x.A1"},
        "transferer_second_leg": {"id": "2"},
        "transfer_target": {"id": "3"},
    }
    assert redirections.find(event) == Redirection("x.A1", Cause.TRANSFERRED, "3")


def test_a_transfer_behind_a_dialplan_names_the_other_half_of_our_channel() -> None:
    event = {"type": "BridgeBlindTransfer", "result": "Success", "transferee": {"id": "x.A1;2"}}
    assert redirections.find(event) == Redirection("x.A1", Cause.TRANSFERRED)
