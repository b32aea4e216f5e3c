"""The simulated phones, one by one, on a clock that runs fast."""

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


def listen(
    ending: str, seconds: float, act: Callable[[SimulatedGateway], None] = lambda gateway: None
) -> list[tuple[float, LegFact]]:
    """What a phone does in so many call seconds, and when."""
    heard: list[tuple[float, LegFact]] = []

    async def run() -> None:
        clock = Clock(200)
        begun = clock.now()
        gateway = SimulatedGateway(
            clock, lambda call, fact: heard.append((clock.now() - begun, fact))
        )
        gateway.originate(LEG, f"4420794600{ending}", "442079460007", ROUTE)
        assert heard == []  # nothing is reported from within the call
        act(gateway)
        await asyncio.sleep(seconds / clock.speed)
        await gateway.close()

    asyncio.run(run())
    return heard


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
def test_what_each_phone_does(ending: str, facts: list[LegFact], last_at: float) -> None:
    heard = listen(ending, last_at + 60)
    assert [fact for _when, fact in heard] == facts
    assert heard[-1][0] >= last_at - 0.01


def test_a_phone_that_was_put_down_is_silent() -> None:
    assert listen("06", 60, lambda gateway: gateway.hang_up(LEG, Cause.NORMAL)) == []


def test_a_leg_that_is_over_may_be_put_down_again() -> None:
    def twice(gateway: SimulatedGateway) -> None:
        gateway.hang_up(LEG, Cause.NORMAL)
        gateway.hang_up(LEG, Cause.NORMAL)

    assert listen("99", 5, twice) == []


def test_the_last_two_digits_alone_decide() -> None:
    assert phone("442079460001") == phone("12025550101")
    assert phone("442079460122") == phone("442079460000")


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_clock_needs_a_speed(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Clock(speed)
