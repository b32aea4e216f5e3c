"""The ids of our channels and bridges in Asterisk. Pure.

`poketalk-5f0c2a9b.17.1.A1` is the first attempt at leg A of call 17 under its fence 1, by the
switch whose Stasis application is `poketalk-5f0c2a9b`. Each connection has an application of its
own, because Asterisk sends an application's events to one WebSocket only. So an id identifies
its owner: many switches can share an Asterisk, and none ends another's calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..base import CallKey, LegKey

CHANNEL = re.compile(
    r"(?P<call>(?P<application>[A-Za-z0-9_-]+)\.-?[0-9]+\.[0-9]+\.)[AB][0-9]+", re.ASCII
)


def channel_id(application: str, leg: LegKey) -> str:
    """The id of this leg's channel. No other leg, attempt, fence or switch has the same."""
    return f"{application}.{leg.call.pk}.{leg.call.fence}.{leg.side}{leg.attempt}"


def bridge_id(application: str, call: CallKey) -> str:
    """The id of this call's bridge."""
    return f"{application}.{call.pk}.{call.fence}.bridge"


def is_channel_of(application: str, channel: str) -> bool:
    """Whether this is a channel of the application. The second half of a Local channel does not
    count: it ends with the first.
    """
    match = CHANNEL.fullmatch(channel)
    return match is not None and match["application"] == application


def is_in_application(application: str, data: Mapping[str, Any]) -> bool:
    """Whether the channel, in Asterisk's JSON, is in the application now, whatever its id."""
    dialplan = data.get("dialplan")
    if not isinstance(dialplan, dict) or dialplan.get("app_name") != "Stasis":
        return False
    return str(dialplan.get("app_data")).partition(",")[0] == application


def is_bridge_of(application: str, bridge: str) -> bool:
    """Whether this is a bridge of the application."""
    return bridge.startswith(f"{application}.") and bridge.endswith(".bridge")


def same_call(channel: str, other: str) -> bool:
    """Whether both are our channels, of the same call under the same fence."""
    match, other_match = CHANNEL.fullmatch(channel), CHANNEL.fullmatch(other)
    return bool(match and other_match and match["call"] == other_match["call"])


def bridge_of(channel: str) -> str:
    """The id of the bridge of this channel's call; `ValueError` if the channel is not ours."""
    match = CHANNEL.fullmatch(channel)
    if match is None:
        raise ValueError(f"{channel!r} is not one of our channels.")
    return f"{match['call']}bridge"
