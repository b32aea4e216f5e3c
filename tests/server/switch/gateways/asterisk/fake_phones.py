"""What the simulated phones of the fake Asterisk do, and the events about it."""

from __future__ import annotations

import abc
import asyncio
from dataclasses import dataclass, field
from typing import Any

from .channels import CAUSES, RINGING, UP, Channel

DIAL_STATUSES = {3: "CHANUNAVAIL", 17: "BUSY", 20: "CHANUNAVAIL", 34: "CONGESTION"}


@dataclass
class FakePhones(abc.ABC):
    """The channels and bridges. Its methods are called in the fake's thread."""

    channels: dict[str, Channel] = field(default_factory=dict)
    bridges: dict[str, set[str]] = field(default_factory=dict)
    all_channels: dict[str, Channel] = field(default_factory=dict)  # also those that have ended
    hangup_causes: dict[str, int] = field(default_factory=dict)

    @abc.abstractmethod
    def _has_socket(self, app: str) -> bool: ...

    @abc.abstractmethod
    def _forward(self, channel: Channel) -> None: ...

    @abc.abstractmethod
    def _send_event(self, channel: Channel, kind: str, **facts: Any) -> None: ...

    def _ring(self, channel: Channel) -> None:
        phone, later = channel.phone, asyncio.get_running_loop().call_later
        self._send_event(channel, "Dial", peer=channel.as_json(), dialstatus="")
        if phone.forwards:
            self._forward(channel)
            return
        if phone.rings:
            channel.state = RINGING
            self._send_event(channel, "ChannelStateChange")
            self._send_event(channel, "Dial", peer=channel.as_json(), dialstatus="RINGING")
        if phone.early_media:
            self._send_event(channel, "Dial", peer=channel.as_json(), dialstatus="PROGRESS")
        if phone.answers is not None:
            channel.timers.append(later(phone.answers, self._answer, channel))
        if phone.fails is not None:
            channel.timers.append(later(phone.fails, self._fail, channel))
        unanswered = float(channel.query.get("timeout", 30))
        channel.timers.append(later(unanswered, self._time_out, channel))

    def _time_out(self, channel: Channel) -> None:
        if channel.state != UP:
            self._destroy(channel, 19, tech_cause=480)

    def _fail(self, channel: Channel) -> None:
        phone = channel.phone
        is_old = phone.cause is not None
        cause = phone.cause if phone.cause is not None else CAUSES[phone.status]
        status = phone.dial_status or DIAL_STATUSES.get(cause, "NOANSWER")
        # For a channel that was created first, only a dialplan's tone gives a status, and that tone
        # does not end before the timeout.
        if not channel.in_stasis or phone.dial_status:
            self._send_event(channel, "Dial", peer=channel.as_json(), dialstatus=status)
        if not channel.in_stasis or not phone.dial_status:
            self._destroy(channel, cause, tech_cause=None if is_old else phone.status)

    def _answer(self, channel: Channel) -> None:
        if channel.id not in self.channels:
            return
        channel.state = UP
        self._send_event(channel, "ChannelStateChange")
        self._send_event(channel, "Dial", peer=channel.as_json(), dialstatus="ANSWER")
        if not self._has_socket(channel.app):  # "Stasis app is not active"
            self._destroy(channel, 16)
            return
        if not channel.in_stasis:
            channel.in_stasis = True
            args = channel.query.get("appArgs", "").split(",")
            self._send_event(channel, "StasisStart", args=args)
        if channel.phone.talks is not None:
            later = asyncio.get_running_loop().call_later
            channel.timers.append(
                later(channel.phone.talks, self._destroy, channel, channel.phone.cause or 16)
            )

    def _leave_stasis(self, channel: Channel) -> None:
        channel.in_stasis = False
        self._send_event(channel, "StasisEnd")

    def _destroy(self, channel: Channel, cause: int, tech_cause: int | None = None) -> None:
        if self.channels.pop(channel.id, None) is None:
            return
        for timer in channel.timers:
            timer.cancel()
        self.hangup_causes[channel.id] = cause
        if channel.rings in self.channels:
            self._destroy(self.channels[channel.rings], cause)
        self._send_event(channel, "ChannelHangupRequest", cause=cause)
        for name, bridge in self.bridges.items():
            if channel.id in bridge:
                bridge.discard(channel.id)
                self._send_event(channel, "ChannelLeftBridge", bridge=bridge_json(name, bridge))
        if channel.in_stasis:
            self._leave_stasis(channel)
        facts = {"tech_cause": tech_cause} if tech_cause else {}
        self._send_event(channel, "ChannelDestroyed", cause=cause, cause_txt="", **facts)


def bridge_json(name: str, channels: set[str]) -> dict[str, Any]:
    return {"id": name, "bridge_type": "mixing", "channels": sorted(channels)}
