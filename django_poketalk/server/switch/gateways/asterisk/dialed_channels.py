"""The channels that a dialplan dials for our legs, and why they end.

Behind a dialplan (`Local/…`), our channel often ends without a cause, because the dialplan plays a
tone. The channel of the phone has the true one. It is not ours, and Asterisk sends its end only to
an application that has subscribed to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from django_poketalk.shared.logs import get_logger

from .connection import Connection, Json, NoResponse
from .leg import AsteriskLeg

logger = get_logger(__name__)

OTHER_HALF = ";2"  # of a Local channel: it runs the dialplan


class DialedChannels:
    """The channels that dialplans have dialed and that have not ended, by id."""

    def __init__(self, application: str, connection: Connection) -> None:
        self._application = application
        self._connection = connection
        self._legs: dict[str, AsteriskLeg] = {}

    def find(self, event: Json, legs: Mapping[str, AsteriskLeg]) -> str | None:
        """The channel that is dialed for one of these legs, if this `Dial` event is the first about
        it. Call `subscribe` for it.
        """
        match event:
            case {
                "dialstatus": "",
                "caller": {"id": str(caller)},
                "peer": {"id": str(channel)},
            } if caller.endswith(OTHER_HALF) and (leg := legs.get(caller.removesuffix(OTHER_HALF))):
                leg.dialed.add(channel)
                self._legs[channel] = leg
                return channel
        return None

    async def prepare(self, leg: AsteriskLeg) -> None:
        """Before a channel that was created first is dialed: what its other half dials is only
        known to an application that has subscribed to that half.
        """
        if leg.has_dialplan:
            await self.subscribe(f"{leg.channel}{OTHER_HALF}")

    async def subscribe(self, channel: str) -> None:
        """Receive the events of a channel until it ends. A failure costs only its cause."""
        path = f"applications/{self._application}/subscription"
        try:
            await self._connection.request("POST", path, {"eventSource": f"channel:{channel}"})
        except NoResponse as error:
            logger.info("No subscription to channel %s: %s.", channel, error)

    def hang_up(self, channel: str, event: Json) -> None:
        """Note why a channel ends. `event` is its `ChannelHangupRequest`, which precedes the end of
        our own channel, unlike its `ChannelDestroyed`.
        """
        if leg := self._legs.pop(channel, None):
            leg.dialed.discard(channel)
            leg.dialed_end = event

    def forget(self, leg: AsteriskLeg) -> None:
        """Forget the channels of a leg that has ended."""
        for channel in leg.dialed:
            self._legs.pop(channel, None)
