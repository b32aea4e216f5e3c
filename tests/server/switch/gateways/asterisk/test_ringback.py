"""What A hears before B answers. A's phone is 99, B's is 98."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from django_poketalk.server.switch.gateways.asterisk.hang_ups import HangUps
from django_poketalk.server.switch.machine.facts_and_commands import (
    Cause,
    Failed,
    LegFact,
    Ringing,
    Side,
)

from .channels import UP, Phone
from .fake_asterisk import FakeAsterisk
from .fake_switch import CALLER, A, B, FakeSwitch, Pbx, run, until
from .real_asterisk import RealAsterisk
from .sip_phones import ANNOUNCEMENT, header

SLOW = 0.3  # seconds
TONE, NETWORK = "tone", "network"


def sound_at_a(pbx: Pbx) -> str:
    """What A hears now, or heard last: a tone of Asterisk, or B's network."""
    if isinstance(pbx, RealAsterisk):
        last = bytes(pbx.phone_call("99").sound[-len(ANNOUNCEMENT) :])
        return last and (NETWORK if last == ANNOUNCEMENT else TONE)
    [a] = pbx.channels_to("99")
    others = {name for bridge in pbx.bridges.values() if a.id in bridge for name in bridge - {a.id}}
    is_early = any(pbx.channels[name].state != UP for name in others)
    return TONE if a.hears_tone else NETWORK if is_early else ""


async def hears(pbx: Pbx, sound: str) -> None:
    await until(lambda: sound_at_a(pbx) == sound)


async def ring_b(switch: FakeSwitch, **trunk: bool) -> None:
    """Ring B when A has answered."""
    switch.ring(A)
    await switch.wait_for_facts(2)
    switch.ring(B, "98", **trunk)


async def failure(switch: FakeSwitch) -> LegFact:
    await until(lambda: isinstance(switch.facts[-1], Failed))
    return switch.facts[-1]


async def connect(switch: FakeSwitch) -> None:
    await switch.wait_for_facts(4)
    switch.gateway.bridge(A, B)
    await until(lambda: switch.pbx.bridged)


def test_a_hears_ringing_until_b_answers(pbx: Pbx) -> None:
    pbx.phones = {"98": Phone(answers=SLOW)}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch)
        await hears(pbx, TONE)
        await connect(switch)
        await asyncio.sleep(SLOW)
        if isinstance(pbx, RealAsterisk):  # B is silent, so there is nothing in the bridge
            packets = pbx.phone_call("99").rtp
            await asyncio.sleep(SLOW)
            assert pbx.phone_call("99").rtp == packets
        else:
            assert sound_at_a(pbx) == ""

    run(pbx, script)


@pytest.mark.fake("it delays a response")
def test_a_tone_that_begins_late_is_stopped_before_the_bridge(pbx: FakeAsterisk) -> None:
    """B answers while the request for the tone is under way. The fake would refuse the bridge."""
    pbx.tone_delay = SLOW
    pbx.phones = {"98": Phone(answers=0.05)}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch)
        await connect(switch)
        paths = [(method, path.rpartition("/")[2]) for method, path, _query in pbx.requests]
        assert ("POST", "ring") in paths
        assert paths.index(("DELETE", "ring")) < paths.index(("POST", "addChannel"))

    run(pbx, script)


def test_without_early_media_a_hears_ringing_while_the_network_of_b_plays(pbx: Pbx) -> None:
    pbx.phones = {"98": Phone(rings=False, early_media=True, answers=None)}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch)
        assert (await switch.wait_for_facts(3))[2] == Ringing(Side.B, 1)
        await hears(pbx, TONE)

    run(pbx, script)


@pytest.mark.parametrize("rings", [True, False])
def test_with_early_media_a_hears_the_network_of_b(pbx: Pbx, rings: bool) -> None:
    pbx.phones = {"98": Phone(rings=rings, early_media=True, answers=2 * SLOW)}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        await hears(pbx, NETWORK)
        assert len(await switch.wait_for_facts(3)) == 3  # B has not answered yet
        await connect(switch)
        await asyncio.sleep(SLOW)
        assert set(pbx.bridged) == {frozenset(f"{switch.app}.17.1.{leg}1" for leg in "AB")}
        pbx.hang_up(next(iter(pbx.channels_to("98"))))
        await switch.wait_for_facts(5)
        await until(lambda: not pbx.bridges)

    run(pbx, script)


def test_with_early_media_the_phone_displays_the_same_number(pbx: Pbx) -> None:
    pbx.phones = {"98": Phone(early_media=True, answers=None)}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        await switch.wait_for_facts(3)
        if isinstance(pbx, RealAsterisk):
            assert f"<sip:{CALLER}@" in header(pbx.phone_call("98").invite, "From")
        else:
            [b] = pbx.channels_to("98")
            assert b.variables == {"CONNECTEDLINE(all)": CALLER}
            assert b.query["originator"] == f"{switch.app}.17.1.A1"

    run(pbx, script)


def test_with_early_media_a_silent_network_leaves_the_ringing_tone(pbx: Pbx) -> None:
    pbx.phones = {"98": Phone(answers=SLOW)}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        await hears(pbx, TONE)
        await connect(switch)

    run(pbx, script)


def test_with_early_media_a_phone_rings_no_longer_than_the_ring_timeout(pbx: Pbx) -> None:
    pbx.phones = {"98": Phone(answers=None)}

    async def script(switch: FakeSwitch) -> None:
        switch.route = replace(switch.route, ring_timeout=1)
        await ring_b(switch, early_media=True)
        assert await failure(switch) == Failed(Side.B, 1, Cause.NO_ANSWER, False, 480, 19)

    run(pbx, script)


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        (Phone(answers=None, fails=0.1, status=486), (Cause.BUSY, False, 486, 17)),
        (
            Phone(rings=False, early_media=True, answers=None, fails=0.1, status=503),
            (Cause.GATEWAY_DOWN, True, 503, 34),
        ),
    ],
)
def test_with_early_media_a_failure_of_b_is_reported_with_its_cause(
    pbx: Pbx, phone: Phone, expected: tuple[Cause, bool, int, int]
) -> None:
    pbx.phones = {"98": phone}

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        assert await failure(switch) == Failed(Side.B, 1, *expected)
        await until(lambda: len(pbx.channels) == 1)

    run(pbx, script)


@pytest.mark.parametrize("early_media", [False, True])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (486, (Cause.BUSY, False, 486, 17)),
        (503, (Cause.GATEWAY_DOWN, True, 503, 34)),
        (404, (Cause.UNALLOCATED, False, 404, 1)),
        (603, (Cause.DECLINED, False, 603, 21)),
    ],
)
def test_a_tone_of_the_dialplan_ends_the_leg_with_the_phones_cause(
    pbx: Pbx, early_media: bool, status: int, expected: tuple[Cause, bool, int, int]
) -> None:
    pbx.phones = {"98": Phone(rings=False, answers=None, fails=0.1, status=status)}
    endpoint = "Local/{number}@from-freepbx/n"

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.ring(B, "98", endpoint=endpoint, early_media=early_media)
        assert await failure(switch) == Failed(Side.B, 1, *expected)
        await until(lambda: len(pbx.channels) == 1)

    run(pbx, script)


@pytest.mark.parametrize("early_media", [False, True])
def test_an_extension_that_is_not_registered_is_unreachable(pbx: Pbx, early_media: bool) -> None:
    endpoint = "PJSIP/1003" if isinstance(pbx, RealAsterisk) else "PJSIP/{number}"

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        switch.ring(B, endpoint=endpoint, early_media=early_media)
        assert await failure(switch) == Failed(Side.B, 1, Cause.UNREACHABLE, True)

    run(pbx, script)


def test_with_early_media_another_gateway_rings_into_the_same_bridge(pbx: Pbx) -> None:
    """B's first gateway fails after an announcement, without ringing."""
    pbx.phones = {"98": Phone(rings=False, early_media=True, answers=None, fails=SLOW, status=503)}
    second = replace(B, attempt=2)

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        await failure(switch)
        switch.ring(second, "97", early_media=True)
        await switch.wait_for_facts(6)
        switch.gateway.bridge(A, second)
        both = {f"{switch.app}.17.1.{leg}" for leg in ("A1", "B2")}
        await until(lambda: list(pbx.bridges.values()) == [both])

    run(pbx, script)


@pytest.mark.parametrize("early_media", [False, True])
def test_a_gateway_without_progress_has_failed(pbx: Pbx, early_media: bool) -> None:
    """A trunk that never answers looks like a phone that nobody answers, but does not ring."""
    pbx.phones = {"98": Phone(rings=False, answers=None)}
    is_real = isinstance(pbx, RealAsterisk)

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        endpoint = "PJSIP/{number}@deadtrunk" if is_real else "PJSIP/{number}@trunk"
        switch.ring(B, "98", endpoint=endpoint, early_media=early_media, progress_timeout=1)
        assert await failure(switch) == Failed(Side.B, 1, Cause.GATEWAY_DOWN, transport=True)
        await until(lambda: len(pbx.channels) == 1)

    run(pbx, script)


@pytest.mark.fake("it leaves a request without a response")
def test_a_gateway_without_progress_has_failed_even_if_the_event_is_first(
    pbx: FakeAsterisk,
) -> None:
    """The event alone says that nobody has answered."""
    pbx.phones = {"98": Phone(rings=False, answers=None)}
    pbx.unanswered = {("DELETE", "channels")}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "98", progress_timeout=1)
        assert await switch.wait_for_facts(1) == [
            Failed(Side.A, 1, Cause.GATEWAY_DOWN, transport=True)
        ]

    run(pbx, script)


@pytest.mark.parametrize("phone", [Phone(answers=None), Phone(rings=False, answers=0.1)])
def test_a_phone_that_rings_or_answers_is_not_given_up(pbx: Pbx, phone: Phone) -> None:
    pbx.phones = {"99": phone}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, progress_timeout=1)
        await asyncio.sleep(1 + SLOW)
        assert not any(isinstance(fact, Failed) for fact in switch.facts)
        assert len(pbx.channels) == 1

    run(pbx, script)


@pytest.mark.fake("it refuses a request")
@pytest.mark.parametrize("status", [404, 500])
def test_a_phone_that_cannot_be_dialed_after_its_creation_is_hung_up(
    pbx: FakeAsterisk, status: int
) -> None:
    pbx.refuses_dial = status

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        assert await failure(switch) == Failed(Side.B, 1, Cause.GATEWAY_DOWN, transport=True)
        await until(lambda: len(pbx.channels) == 1)

    run(pbx, script)


@pytest.mark.fake("it refuses a request")
def test_another_gateway_is_tried_also_if_the_channel_ends_before_the_response_to_its_hang_up(
    pbx: FakeAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx.refuses_dial = 500
    hang_up = HangUps.try_once

    async def respond_late(hang_ups: HangUps, channel: str, reason: str = "normal") -> int:
        status = await hang_up(hang_ups, channel, reason)
        await asyncio.sleep(0.1)
        return status

    monkeypatch.setattr(HangUps, "try_once", respond_late)

    async def script(switch: FakeSwitch) -> None:
        await ring_b(switch, early_media=True)
        assert await failure(switch) == Failed(Side.B, 1, Cause.GATEWAY_DOWN, transport=True)

    run(pbx, script)
