"""Extensions that Asterisk dials after the answer."""

from __future__ import annotations

import asyncio

import pytest

from django_poketalk.server.switch.machine.facts_and_commands import HungUp

from .fake_switch import A, B, FakeSwitch, Pbx, run, until


def dialed(pbx: Pbx) -> list[tuple[str, dict[str, str]]]:
    """The requests to dial digits: their paths and queries."""
    return [(path, query) for _method, path, query in pbx.requests if path.endswith("/dtmf")]


async def connect(switch: FakeSwitch) -> None:
    """Answer both phones, bridge them, and dial at the same moment, as the switch does."""
    switch.ring(A, "98")
    await switch.wait_for_facts(2)
    switch.ring(B)
    await switch.wait_for_facts(4)
    switch.gateway.bridge(A, B)
    switch.gateway.dial_extension(B, "w1,2")


def test_it_is_dialed_on_leg_b_after_the_legs_are_bridged(pbx: Pbx) -> None:
    pbx.delay = 0.2  # of the bridge

    async def script(switch: FakeSwitch) -> None:
        await connect(switch)
        await until(lambda: dialed(pbx))

    run(pbx, script)

    [(path, query)] = dialed(pbx)
    assert path.endswith(".B1/dtmf")
    assert query == {"dtmf": "w1wwww2", "before": "1000"}
    bridging = [path for _method, path, _query in pbx.requests if path.endswith("/addChannel")]
    paths = [path for _method, path, _query in pbx.requests]
    assert paths.index(*bridging) < paths.index(path)
    assert pbx.bridged


@pytest.mark.fake("it refuses the digits")
def test_a_failure_is_logged_without_the_digits_and_the_call_goes_on(
    pbx: Pbx, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(switch: FakeSwitch) -> None:
        pbx.refuses_dtmf = True
        await connect(switch)
        await until(lambda: "The extension was not dialed: HTTP 500" in caplog.text)
        await asyncio.sleep(0.1)
        assert not any(isinstance(fact, HungUp) for fact in switch.facts)
        assert len(pbx.channels) == 2

    run(pbx, script)

    assert "w1" not in caplog.text


def test_a_phone_that_has_hung_up_is_sent_nothing(pbx: Pbx) -> None:
    pbx.delay = 0.2

    async def script(switch: FakeSwitch) -> None:
        await connect(switch)
        pbx.hang_up(pbx.channels[f"{switch.app}.17.1.B1"])
        await switch.wait_for_facts(5)
        await asyncio.sleep(0.3)

    run(pbx, script)

    assert dialed(pbx) == []
