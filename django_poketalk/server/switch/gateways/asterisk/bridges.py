"""What the phones of a call hear on one Asterisk: ringing, B's network, digits, and each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from django_poketalk.shared.logs import get_logger

from ..base import CallKey
from ..digits import BEFORE, with_half_seconds
from .channel_ids import bridge_id
from .connection import Connection, NoResponse
from .leg import AsteriskLeg

logger = get_logger(__name__)

DONE = (200, 204)


@dataclass
class _Media:
    """One call. `channels`: those in the bridge, None before the request for a bridge."""

    is_ringing: bool = False
    channels: set[str] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one change at a time


class Bridges:
    """A bridge for each call, and the ringing tone that A hears before it."""

    def __init__(self, application: str, connection: Connection) -> None:
        self._application = application
        self._connection = connection
        self._calls: dict[CallKey, _Media] = {}

    @property
    def ids(self) -> set[str]:
        """The bridges of live calls, also those that are being created."""
        return {
            bridge_id(self._application, call)
            for call, media in self._calls.items()
            if media.channels is not None
        }

    async def ring(self, a: AsteriskLeg, b: AsteriskLeg) -> None:
        """Play the ringing tone to A, unless it hears B. A failure costs only the tone."""
        if a.ended:
            return
        media = self._calls.setdefault(a.key.call, _Media())
        async with media.lock:
            hears_b = media.channels is not None and b.channel in media.channels
            if not (a.ended or b.ended or hears_b or media.is_ringing):
                media.is_ringing = True
                await self._request("POST", f"channels/{a.channel}/ring")

    async def connect(self, a: AsteriskLeg, b: AsteriskLeg) -> str:
        """Put both phones into the bridge, unless they are. Return why it failed, or ""."""
        bridge = bridge_id(self._application, a.key.call)
        media = self._calls.setdefault(a.key.call, _Media())
        async with media.lock:
            # The tone would run on in the bridge.
            _, why = await asyncio.gather(self._stop_ringing(a, media), self._create(bridge, media))
            missing = {a.channel, b.channel} - (media.channels or set())
            if why or not missing:
                return why
            why = await self._request(
                "POST", f"bridges/{bridge}/addChannel", channel=",".join(sorted(missing))
            )
            if not why and media.channels is not None:
                media.channels |= missing
            return why

    async def dial_extension(self, b: AsteriskLeg, digits: str) -> None:
        """Send digits to B's phone. Call this after `connect`: before, Asterisk would only bridge
        the channel when it has sent all digits.
        """
        media = self._calls.get(b.key.call)
        if media is None:
            return
        async with media.lock:
            is_connected = media.channels is not None and b.channel in media.channels
        if b.ended or not is_connected:
            return
        dtmf, before = with_half_seconds(digits), f"{BEFORE * 1000:.0f}"
        path = f"channels/{b.channel}/dtmf"
        why = await self._request("POST", path, dtmf=dtmf, before=before)
        if why and not b.ended:
            logger.warning("The extension was not dialed: %s", why)

    def forget(self, call: CallKey) -> str | None:
        """Forget a call that ends. Return its bridge, which must be destroyed, if it has one."""
        media = self._calls.pop(call, None)
        if media is None or media.channels is None:
            return None
        return bridge_id(self._application, call)

    async def _stop_ringing(self, a: AsteriskLeg, media: _Media) -> None:
        if media.is_ringing:
            media.is_ringing = False
            await self._request("DELETE", f"channels/{a.channel}/ring")

    async def _create(self, bridge: str, media: _Media) -> str:
        if media.channels is not None:
            return ""
        media.channels = set()
        why = await self._request("POST", "bridges", type="mixing", bridgeId=bridge, name=bridge)
        if why:
            media.channels = None
        return why

    async def _request(self, method: str, path: str, **parameters: str) -> str:
        """Send a request. Return why it failed, or ""."""
        try:
            status, answer = await self._connection.request(method, path, parameters)
        except NoResponse as error:
            return str(error)
        return "" if status in DONE else f"HTTP {status}: {answer}"
