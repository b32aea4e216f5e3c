"""The extension that is dialed when leg B has answered."""

from __future__ import annotations

from django_poketalk.server.switch.machine.call import CallMachine
from django_poketalk.server.switch.machine.facts_and_commands import (
    Answered,
    Bridge,
    Cause,
    Command,
    DialExtension,
    Failed,
)

from ..plans import A, B, plan, statuses


def commands_of(extension: str) -> list[Command]:
    """All commands until B has answered at its second gateway."""
    machine = CallMachine(plan(to_extension=extension))
    return [
        *machine.start(0.0),
        *machine.handle(Answered(A, 1), 1.0),
        *machine.handle(Failed(B, 1, Cause.GATEWAY_DOWN, transport=True), 2.0),
        *machine.handle(Answered(B, 2), 3.0),
        *machine.handle(Answered(B, 2), 4.0),
    ]


def test_it_is_dialed_once_on_the_answered_leg_after_the_bridge() -> None:
    commands = commands_of("w12")
    dialed = [command for command in commands if isinstance(command, Bridge | DialExtension)]
    assert dialed == [Bridge(1, 2), DialExtension(2, "w12")]
    assert statuses(commands) == [1, 3, 5, 7]


def test_without_an_extension_nothing_is_dialed() -> None:
    assert not any(isinstance(command, DialExtension) for command in commands_of(""))
