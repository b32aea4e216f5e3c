"""The simulated phones, on a fast clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from django_poketalk.server.switch.clock import Clock
from django_poketalk.server.switch.gateways.base import CallKey, LegKey
from django_poketalk.server.switch.gateways.simulated import SimulatedGateway, phone
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Cause,
    Failed,
    HungUp,
    LegFact,
    Ringing,
    Route,
    Side,
)

LEG = LegKey(CallKey(1, 1), Side.A, 1)
ROUTE = Route(1, "simulated", 30)
RINGING, ANSWERED, HUNG_UP = Ringing(Side.A, 1), Answered(Side.A, 1), HungUp(Side.A, 1)


def failed(cause: Cause, *, transport: bool = False) -> Failed:
    return Failed(Side.A, 1, cause, transport)


def facts_of(
    ending: str, seconds: float, act: Callable[[SimulatedGateway], None] = lambda gateway: None
) -> list[tuple[float, LegFact]]:
    """The facts that a phone reports within some call seconds, with their times."""
    reported: list[tuple[float, LegFact]] = []

    async def run() -> None:
        clock = Clock(200)
        begun = clock.now()
        gateway = SimulatedGateway(
            clock, lambda call, fact: reported.append((clock.now() - begun, fact))
        )
        gateway.originate(LEG, f"4420794600{ending}", "442079460007", ROUTE)
        assert reported == []  # `originate` itself reports nothing
        act(gateway)
        await asyncio.sleep(seconds / clock.speed)
        await gateway.close()

    asyncio.run(run())
    return reported


@pytest.mark.parametrize(
    ("ending", "facts", "last_at"),
    [
        ("01", [failed(Cause.BUSY)], 0),
        ("02", [RINGING], 0),
        ("03", [RINGING, failed(Cause.DECLINED)], 2),
        ("04", [failed(Cause.GATEWAY_DOWN, transport=True)], 0),
        ("05", [failed(Cause.UNALLOCATED)], 0),
        ("06", [RINGING, ANSWERED, HUNG_UP], 5),
        ("10", [RINGING, ANSWERED, HUNG_UP], 8),
        ("11", [RINGING, ANSWERED, HUNG_UP], 13),
        ("14", [RINGING, ANSWERED, HUNG_UP], 43),
        ("19", [RINGING, ANSWERED, HUNG_UP], 93),
        ("20", [ANSWERED], 0),
        ("21", [RINGING, ANSWERED], 15),
        ("00", [RINGING, ANSWERED], 3),
        ("99", [RINGING, ANSWERED], 3),
    ],
)
def test_each_phone_reports_its_facts(ending: str, facts: list[LegFact], last_at: float) -> None:
    reported = facts_of(ending, last_at + 60)
    assert [fact for _when, fact in reported] == facts
    assert reported[-1][0] >= last_at - 0.01


def test_a_hung_up_phone_reports_nothing() -> None:
    assert facts_of("06", 60, lambda gateway: gateway.hang_up(LEG, Cause.NORMAL)) == []


def test_a_leg_can_be_hung_up_twice() -> None:
    def twice(gateway: SimulatedGateway) -> None:
        gateway.hang_up(LEG, Cause.NORMAL)
        gateway.hang_up(LEG, Cause.NORMAL)

    assert facts_of("99", 5, twice) == []


def test_only_the_last_two_digits_choose_the_phone() -> None:
    assert phone("442079460001") == phone("12025550101")
    assert phone("442079460122") == phone("442079460000")


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_clock_with_an_invalid_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed)


def test_logs_an_extension_masked_unless_the_phone_has_hung_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")

    async def run() -> None:
        gateway = SimulatedGateway(Clock(200), lambda call, fact: None)
        gateway.originate(LEG, "442079460000", "442079460007", ROUTE)
        gateway.dial_extension(LEG, "w12")
        gateway.hang_up(LEG, Cause.NORMAL)
        gateway.dial_extension(LEG, "13")

    asyncio.run(run())
    assert caplog.messages == ["A simulated phone was sent the extension •••."]
