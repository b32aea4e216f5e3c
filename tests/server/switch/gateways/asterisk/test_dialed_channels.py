"""The cause of a leg behind a dialplan is that of the channel that the dialplan dials."""

from __future__ import annotations

from typing import Any, cast

import pytest

from django_poketalk.server.switch.gateways.asterisk.connection import Connection
from django_poketalk.server.switch.gateways.asterisk.dialed_channels import DialedChannels
from django_poketalk.server.switch.gateways.asterisk.leg import AsteriskLeg
from django_poketalk.server.switch.machine.facts_and_commands import Cause, Failed, LegFact, Side

from .channels import Phone
from .fake_switch import A, B, FakeSwitch, Pbx, run, until

DECLINES, BUSY = {"cause": 21, "tech_cause": 603}, {"cause": 17, "tech_cause": 486}
TONE: dict[str, Any] = {"cause": 0}  # what is left of the cause behind FreePBX
DIALPLANS = ["from-freepbx", "from-internal"]  # the second one only hangs up


@pytest.mark.parametrize("dialplan", DIALPLANS)
@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        (Phone(answers=None, fails=0.5, status=603), (Cause.DECLINED, False, 603, 21)),
        (Phone(False, None, fails=0.5, status=404), (Cause.UNALLOCATED, False, 404, 1)),
        (Phone(False, None, fails=0.5, status=503), (Cause.GATEWAY_DOWN, True, 503, 34)),
        (Phone(answers=None, fails=0.5, status=486), (Cause.BUSY, False, 486, 17)),
        # The gateway's failover codes decide, as for a phone without a dialplan.
        (Phone(False, None, fails=0.5, status=403), (Cause.REJECTED, True, 403, 21)),
    ],
)
def test_the_dialed_phone_gives_the_cause(
    pbx: Pbx, dialplan: str, phone: Phone, expected: tuple[Cause, bool, int, int]
) -> None:
    pbx.phones = {"98": phone}

    async def script(switch: FakeSwitch) -> None:
        switch.ring(A, "98")
        await until(lambda: any(isinstance(fact, Failed) for fact in switch.facts))
        assert switch.facts[-1] == Failed(Side.A, 1, *expected)
        await until(lambda: not pbx.channels)

    run(pbx, script, endpoint=f"Local/{{number}}@{dialplan}/n")


def test_a_phone_without_a_dialplan_costs_no_subscription(pbx: Pbx) -> None:
    async def script(switch: FakeSwitch) -> None:
        switch.ring(A)
        await switch.wait_for_facts(2)
        path = f"applications/{switch.app}/subscription"
        assert not pbx.requests_to("POST", path)
        switch.ring(B, endpoint="Local/{number}@from-internal/n")
        await switch.wait_for_facts(4)
        await until(lambda: len(pbx.requests_to("POST", path)) == 1)

    run(pbx, script)


class Dialplan:
    """A leg behind a dialplan, without an Asterisk."""

    def __init__(self) -> None:
        self.facts: list[LegFact] = []
        self.channels = DialedChannels("app", cast("Connection", None))
        self.leg = AsteriskLeg(
            A, "app.A1", 30, lambda call, fact: self.facts.append(fact), self.channels.forget
        )

    def dial(self, channel: str, caller: str = "app.A1;2") -> str | None:
        event = {"dialstatus": "", "caller": {"id": caller}, "peer": {"id": channel}}
        return self.channels.find(event, {self.leg.channel: self.leg})

    def cause(self, end: dict[str, Any] = TONE) -> Cause:
        self.leg.destroyed(end)
        [fact] = self.facts
        assert isinstance(fact, Failed)
        return fact.cause


def test_the_last_dialed_channel_counts() -> None:
    dialplan = Dialplan()
    assert dialplan.dial("1.1") == "1.1"
    dialplan.channels.hang_up("1.1", DECLINES)
    assert dialplan.dial("1.2") == "1.2"
    dialplan.channels.hang_up("1.2", BUSY)
    assert dialplan.cause() is Cause.BUSY


def test_no_channel_counts_while_another_rings() -> None:
    """One phone of a ring group declines, and the other one rings until the timeout."""
    dialplan = Dialplan()
    dialplan.dial("1.1")
    dialplan.dial("1.2")
    dialplan.channels.hang_up("1.1", DECLINES)
    assert dialplan.cause({"cause": 19}) is Cause.NO_ANSWER


def test_other_channels_do_not_count() -> None:
    dialplan = Dialplan()
    for caller in ("app.A1", "app.A2;2", "1.7"):
        assert dialplan.dial("1.1", caller) is None
    dialplan.channels.hang_up("1.1", DECLINES)
    assert dialplan.cause() is Cause.NO_ANSWER


def test_an_answered_leg_is_not_affected() -> None:
    dialplan = Dialplan()
    dialplan.dial("1.1")
    dialplan.leg.answer()
    dialplan.channels.hang_up("1.1", DECLINES)
    dialplan.leg.destroyed({"cause": 16})
    assert dialplan.facts[-1].cause is Cause.NORMAL  # type: ignore[union-attr]
