"""The dialplans of the fake Asterisk: `Local/NUMBER@CONTEXT/n` dials the phone, as in the real one.

Our application gets the `Dial` that begins it, because the other half of the Local channel is its
own, unless the channel was created first. It gets all else only after a subscription.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

from aiohttp import web

from .channels import CAUSES, Channel
from .fake_phones import DIAL_STATUSES, FakePhones

PLAYS_TONES = "@from-freepbx/n"  # after a `Dial` that has failed


@dataclass
class FakeDialplans(FakePhones):
    """The dialed channels have ids of Asterisk's own."""

    subscribed: set[str] = field(default_factory=set)
    dialed_names: itertools.count[int] = field(default_factory=itertools.count)

    def _ring(self, channel: Channel) -> None:
        super()._ring(channel)
        if channel.endpoint.startswith("Local/") and not channel.rings:
            dialed = Channel(f"1795800000.{next(self.dialed_names)}", channel.endpoint, {"app": ""})
            channel.rings = dialed.id
            self.channels[dialed.id] = dialed
            caller = {**channel.as_json(), "id": f"{channel.id};2"}
            if not channel.in_stasis or caller["id"] in self.subscribed:
                peer = dialed.as_json()
                self._send_event(channel, "Dial", caller=caller, peer=peer, dialstatus="")

    def _fail(self, channel: Channel) -> None:
        dialed = self.channels.pop(channel.rings, None)
        if dialed is None:
            super()._fail(channel)
            return
        status = channel.phone.status
        cause = CAUSES[status]
        end = {"cause": cause, "tech_cause": status}
        self._send_event(dialed, "ChannelHangupRequest", **end)
        if channel.endpoint.endswith(PLAYS_TONES):
            tone = "BUSY" if DIAL_STATUSES.get(cause) == "BUSY" else "CONGESTION"
            channel.phone = replace(channel.phone, cause=0, dial_status=tone)
        else:
            channel.phone = replace(channel.phone, cause=cause)
        super()._fail(channel)
        # Its own thread sends it, sometimes only after the end of our channel.
        self._send_event(dialed, "ChannelDestroyed", **end)

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        name, app = request.query["eventSource"].removeprefix("channel:"), request.match_info["app"]
        channel = self.channels.get(name.removesuffix(";2"))
        if channel is None:
            return web.json_response({"message": "No such event source"}, status=422)
        self.subscribed.add(name)
        channel.query["app"] = app
        return web.json_response({"name": app})
