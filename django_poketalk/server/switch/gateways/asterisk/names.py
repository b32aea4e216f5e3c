"""What our channels and bridges are called in Asterisk. Pure.

`poketalk-5f0c2a9b.17.1.A1` is the first attempt at leg A of call 17 under its fence 1, by the
switch whose Stasis application is `poketalk-5f0c2a9b`. An application is one connection's own,
since Asterisk tells only one WebSocket of it. So a name says whose it is: many switches may share
an Asterisk, and none ends a living one's calls.
"""

from __future__ import annotations

import re

from ..base import CallKey, LegKey

CHANNEL = re.compile(
    r"(?P<call>(?P<application>[A-Za-z0-9_-]+)\.-?[0-9]+\.[0-9]+\.)[AB][0-9]+", re.ASCII
)


def channel(application: str, leg: LegKey) -> str:
    """The name of this leg's channel. No other leg, attempt, fence or switch has the same."""
    return f"{application}.{leg.call.pk}.{leg.call.fence}.{leg.side}{leg.attempt}"


def bridge(application: str, call: CallKey) -> str:
    """The name of this call's bridge."""
    return f"{application}.{call.pk}.{call.fence}.bridge"


def is_of(application: str, name: str) -> bool:
    """Whether a channel of this application's own has that name. The second half of a Local
    channel, which Asterisk names after the first, has not: it ends with the first.
    """
    match = CHANNEL.fullmatch(name)
    return match is not None and match["application"] == application


def is_bridge_of(application: str, name: str) -> bool:
    """Whether a bridge of this application's own has that name."""
    return name.startswith(f"{application}.") and name.endswith(".bridge")


def are_of_one_call(one: str, other: str) -> bool:
    """Whether these are two channels of ours, of the same call under the same fence."""
    matches = CHANNEL.fullmatch(one), CHANNEL.fullmatch(other)
    return all(matches) and len({match and match["call"] for match in matches}) == 1


def bridge_beside(name: str) -> str:
    """The bridge of the call that has this channel; `ValueError` for what is no channel of ours."""
    match = CHANNEL.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no channel of ours.")
    return f"{match['call']}bridge"
