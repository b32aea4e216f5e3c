"""What an event says about a channel that a phone has transferred or forwarded. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django_poketalk.server.switch.machine.facts_and_commands import Cause

EVENTS = ("BridgeBlindTransfer", "BridgeAttendedTransfer")  # behind a dialplan; else `StasisStart`


@dataclass(frozen=True, slots=True)
class Redirection:
    """A channel that is redirected, and `target`, the channel that replaces it, if it has one."""

    channel: str
    cause: Cause
    target: str = ""


def find(event: dict[str, Any]) -> Redirection | None:
    """The redirection in this event, if any. The channels may be anybody's."""
    match event:
        case {
            "type": "StasisStart",
            "channel": {"id": str(target)},
            "replace_channel": {"id": str(channel)},
        }:
            return Redirection(channel, Cause.TRANSFERRED, target)
        case {"type": "Dial", "peer": {"id": str(channel)}, "forwarded": {"id": str(target)}}:
            return Redirection(channel, Cause.FORWARDED, target)
        case {
            "type": "BridgeAttendedTransfer",
            "result": "Success",
            "destination_type": "application",
            "transferer_first_leg": {"id": str(channel)},
            "transfer_target": {"id": str(target)},
        }:  # a leg that is not in a bridge; if it hangs up at once, no `StasisStart` follows
            return Redirection(channel, Cause.TRANSFERRED, target)
        case {"type": kind, "result": "Success", "transferee": {"id": str(channel)}} if (
            kind in EVENTS
        ):
            # The phone of a Local channel is behind its other half, which ends with it.
            return Redirection(channel.removesuffix(";2"), Cause.TRANSFERRED)
    return None
