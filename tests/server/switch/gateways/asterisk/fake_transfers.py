"""Transfers and forwards by the phones of the fake Asterisk, as the real one does them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from .channels import UP, Channel, Phone
from .fake_phones import FakePhones, bridge_json


@dataclass
class FakeTransfers(FakePhones):
    """A transfer or forward makes two channels whose ids are Asterisk's own: one in the application
    of the channel that it replaces, and that of the phone that it rings, which no application sees.
    """

    names: itertools.count[int] = field(default_factory=itertools.count)

    def _transfer(self, channel: Channel, ending: str, attended: bool) -> None:
        bridge = next((name for name, ids in self.bridges.items() if channel.id in ids), None)
        if bridge is None and not attended:
            self._send_event(channel, "BridgeBlindTransfer", result="Invalid")
            return
        replacing = self._redirect(channel, ending)
        replacing.in_stasis = True
        replaced = {"replace_channel": channel.as_json(), "args": []}
        self._send_event(replacing, "StasisStart", **replaced)
        if bridge is not None:
            channels = self.bridges[bridge]
            [transferee] = [self.channels[name] for name in channels - {channel.id}]
            channels.discard(channel.id)
            self._left(channel, bridge)
            channels.add(replacing.id)
            kind = "BridgeAttendedTransfer" if attended else "BridgeBlindTransfer"
            facts = {"result": "Success", "transferee": transferee.as_json()}
            self._send_event(channel, kind, **facts)
        # The phone says BYE. No `ChannelDestroyed` is sent for its channel.
        del self.channels[channel.id]
        for timer in channel.timers:
            timer.cancel()
        channel.in_stasis = False
        self._send_event(channel, "StasisEnd")

    def _forward(self, channel: Channel) -> None:
        forwarded = self._redirect(channel, channel.phone.forwards)
        facts = {"dialstatus": "CANCEL", "forward": forwarded.endpoint}
        peer, target = channel.as_json(), forwarded.as_json()
        self._send_event(channel, "Dial", peer=peer, forwarded=target, **facts)
        self._destroy(channel, 23, tech_cause=302)
        forwarded.phone = Phone()
        self._ring(forwarded)

    def _redirect(self, channel: Channel, ending: str) -> Channel:
        """The channel that replaces this one, and that of the phone with these last digits."""
        number = f"{channel.endpoint.partition('/')[2].partition('@')[0][:-2]}{ending}"
        made = [
            Channel(f"1795900000.{next(self.names)}", f"{kind}/{number}@{where}", query)
            for kind, where, query in (
                ("Local", "from-internal", channel.query),
                ("PJSIP", "trunk", {"app": ""}),
            )
        ]
        replacing, phone = made
        replacing.rings = phone.id
        phone.state = UP
        for each in made:
            self.channels[each.id] = self.all_channels[each.id] = each
        return replacing

    def _left(self, channel: Channel, bridge: str) -> None:
        facts: dict[str, Any] = {"bridge": bridge_json(bridge, self.bridges[bridge])}
        self._send_event(channel, "ChannelLeftBridge", **facts)
