"""Plans for call machines, and functions that filter lists of commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from django_poketalk.server.billing.rating import Tariff
from django_poketalk.server.switch.machine.facts_and_commands import (
    Command,
    Dial,
    ExtendHold,
    HangUp,
    Plan,
    Route,
    SendEvent,
    Side,
)

A, B = Side.A, Side.B
PER_SECOND = Tariff(Decimal("0.60"), Decimal(0), 1, 1)  # 0.01 per second

PLAN = Plan(
    webcallid="web1",
    tariff_a=PER_SECOND,
    tariff_b=PER_SECOND,
    routes_a=(Route(1, "simulated", 30), Route(2, "simulated", 30)),
    routes_b=(Route(1, "simulated", 30), Route(2, "simulated", 30)),
    max_duration=3600,
    hold=Decimal(100),
    hold_slice=120,
    event_interval=60,
)


def plan(**changes: object) -> Plan:
    """A plan of a call that costs 0.01 per second and leg, with a hold for more than an hour."""
    return replace(PLAN, **changes)  # type: ignore[arg-type]


def statuses(commands: Iterable[Command]) -> list[int]:
    return [command.event.status.value for command in commands if isinstance(command, SendEvent)]


def dialed(commands: Iterable[Command]) -> list[tuple[Side, int, int]]:
    return [(c.side, c.attempt, c.route.gateway) for c in commands if isinstance(c, Dial)]


def hung_up(commands: Iterable[Command]) -> set[Side]:
    return {command.side for command in commands if isinstance(command, HangUp)}


def requested_holds(commands: Iterable[Command]) -> list[Decimal]:
    return [command.amount for command in commands if isinstance(command, ExtendHold)]
